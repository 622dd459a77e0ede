/* task/internal.h - what the tasks of this folder share: an open translator, and sentences made ready for
 * it. */
#ifndef AT_TASK_INTERNAL_H
#define AT_TASK_INTERNAL_H
#include <pthread.h>
#include "attention/trace.h"
#include "decode/beam.h"
#include "store/folder.h"
#include "task/translator.h"
#include "text/preprocess.h"
#include "text/words.h"

struct at_translator {
    at_exec *exec;
    at_tape *tape;
    at_folder *folder;
    at_preprocess preprocess;
    at_beam_options decode; /* the model's own */
    pthread_mutex_t lock;   /* one call at a time uses exec and tape */
};

/* One line, or a part of one that was too long: its pieces, </s> at the end. */
typedef struct at_segment {
    size_t line;
    at_ids ids;
} at_segment;

typedef struct at_segments {
    at_segment *list;
    size_t count, capacity;
} at_segments;

/* Adds the segments of `text`, a line of the source language or of the target's, none longer than the model
 * reaches; none at all for an empty line. */
at_status at_segments_add(const at_translator *translator, bool source, size_t line, const char *text,
                          at_segments *segments);
void at_segments_free(at_segments *segments);

/* AT_ENUMBER when a hypothesis has a score that is no finite number: such a model says nothing sensible. */
at_status at_expect_finite(const at_hypotheses *found);
/* Text of a hypothesis, with what preprocessing took away given back. */
at_status at_spell(const at_translator *translator, const int32_t *ids, size_t count, at_buf *text);

/* Weights of one source made to say one target, in words or pieces. */
typedef struct at_look {
    at_attention_kind kind;
    int layer, head;
    bool pieces;
    at_ids source, target; /* each ends with </s>; not owned */
} at_look;

typedef struct at_looked {
    at_words row_words, column_words;
    float *weights; /* (row_words.count, column_words.count) */
} at_looked;

at_status at_look_at(at_translator *translator, const at_look *look, at_looked *looked);
void at_looked_free(at_looked *looked);
#endif

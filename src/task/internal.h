/* task/internal.h - what the tasks of this folder share: an open translator, and sentences made ready for
 * it. */
#ifndef AT_TASK_INTERNAL_H
#define AT_TASK_INTERNAL_H
#include <pthread.h>
#include "attention/trace.h"
#include "data/classes.h"
#include "decode/beam.h"
#include "store/folder.h"
#include "task/begin.h"
#include "task/reason.h"
#include "task/translator.h"
#include "text/preprocess.h"
#include "text/words.h"

struct at_translator {
    at_exec *exec;
    at_tape *tape;
    at_folder *folder;
    at_preprocess preprocess;
    at_beam_options decode;      /* the model's own */
    int align_layer, align_head; /* config.json's attend.align; AT_MEAN without */
    at_classes classes;          /* none: the model is no classifier */
    at_begin begin;              /* of a decoder alone */
    pthread_mutex_t lock;        /* one call at a time uses exec and tape */
};

/* AT_ENOSUP for a model that is only looked into. */
at_status at_expect_translates(const at_translator *translator);

/* One line, or a part of one that was too long: its pieces, </s> at the end. */
typedef struct at_segment {
    size_t line;
    at_ids ids;
    char *text; /* as the tokenizer got it */
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
/* The same with other text in place of some pieces: instead[i] not NULL. */
at_status at_spell_instead(const at_translator *translator, const int32_t *ids, size_t count,
                           const char *const *instead, at_buf *text);

/* A source and a target in pieces. */
typedef struct at_pair {
    at_ids source, target;               /* the source ends with </s>; the target may */
    bool begins;                         /* a decoder alone: its rows begin with */
    int32_t begin;                       /* this piece; otherwise with <s> */
    char *translation;                   /* the target's text, where at_pair_make has made it; else NULL */
    const char *raw_source, *raw_target; /* the texts as they came, for their whitespace words; or NULL */
} at_pair;

/* What a pair is made of. A decoder alone and an encoder alone have no target: of the one the text is what it
 * is made to say, of the other what it reads. */
typedef struct at_pair_spec {
    const char *source, *target; /* target NULL: the model's own translation */
    int beam;                    /* of the search for it; 0: the model's own */
    int write;                   /* a decoder alone: likeliest pieces that it first adds to the text */
} at_pair_spec;

/* The target comes without </s>. AT_EARG when either side is empty or longer than the model reaches. */
at_status at_pair_make(at_translator *translator, const at_pair_spec *spec, at_pair *pair);
/* The same; *fits is false, and nothing made, where a side is empty or too long. */
at_status at_pair_try(at_translator *translator, const at_pair_spec *spec, at_pair *pair, bool *fits);
void at_pair_free(at_pair *pair);

/* Runs all pairs in one pass, targets forced, with `trace` on the tape; decode false: the encoder alone. */
at_status at_trace_pairs(at_translator *translator, const at_pair *pairs, size_t count, bool decode,
                         at_trace *trace);
/* What rows and columns of one kind's weights stand for: rows of a decoder what was said, columns what it had
 * read. */
at_status at_look_words(const at_translator *translator, const at_pair *pair, at_attention_kind kind,
                        at_unit unit, at_words *rows, at_words *columns);
/* What a decoder had read: <s> and all that was said but the last piece. */
at_status at_look_read(const at_translator *translator, const at_pair *pair, at_unit unit, at_words *words);
/* (rows->pieces, columns->pieces) -> (rows->count, columns->count). */
void at_join_pieces(const float *pieces, const at_words *rows, const at_words *columns, float *words);

/* Weights of sources made to say targets. */
typedef struct at_look {
    at_attention_kind kind;
    int layer, head; /* or AT_MEAN, AT_OWN */
    at_unit unit;
} at_look;

typedef struct at_looked {
    at_words row_words, column_words;
    float *weights;  /* (row_words.count, column_words.count) */
    int layer, head; /* whose, AT_OWN resolved */
} at_looked;

/* AT_EARG for a unit that there is not. */
at_status at_unit_check(at_unit unit);
/* AT_ENOSUP, and what there is instead, when the model has no attention of that kind: asked before anything
 * is said. */
at_status at_look_possible(at_translator *translator, at_attention_kind kind);
/* One of `looked` for each pair. */
at_status at_look_at(at_translator *translator, const at_look *look, const at_pair *pairs, size_t count,
                     at_looked *looked);
void at_looked_free(at_looked *looked);

/* The kind that AT_VIEW_OWN stands for. */
at_view_kind at_view_own(const at_translator *translator);
/* What decided the class of the pair's source, and the words that `reasons` has columns for. */
at_status at_view_reasons(at_translator *translator, const at_pair *pair, at_unit unit, at_words *words,
                          at_reasons *reasons);

/* The pair's target as text, each <unk> replaced by the word of `raw` (the source as it came) that `look`
 * says it looked at most; the end of sentence is no word. */
at_status at_spell_unknown(at_translator *translator, const at_look *look, const at_pair *pair,
                           const char *raw, at_buf *text);
#endif

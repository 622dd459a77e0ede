/* data/dataset.h - a corpus as ids: pairs of texts, labelled texts, or texts alone.
 *
 * Role    Finds the files of a split, reads them (text/corpus.h), prepares and segments both sides, drops or
 *         cuts what is empty or too long and says how many in one log line. What an example is, the task
 *         says.
 * Owns    Ids, and the text when it is segmented anew each epoch (BPE dropout). The tokenizer is borrowed and
 *         must outlive it.
 * Shapes  Pair i: source.ids.id[source.offsets[i] … source.offsets[i+1]-1], the last one </s>; target
 *         likewise. Every length here counts </s>; a batch only moves the target by one, it adds no row.
 *         Without a target side its offsets are all 0. For an encoder alone, sequences begin with <s> too.
 * Errors  AT_EIO naming every file looked for; those of the corpus with file and line; AT_EFORMAT for a split
 *         without one usable pair, and for a label that the training data do not have.
 *
 *     at_dataset set;
 *     at_dataset_spec spec = {.folder = "data/multi30k", .split = options.train, .options = &options,
 *                             .tokenizer = tokenizer, .preprocess = &preprocess, .dropout = true};
 *     at_status st = at_dataset_load(&spec, log, &set);
 *     at_dataset_free(&set);
 */
#ifndef AT_DATA_DATASET_H
#define AT_DATA_DATASET_H
#include "base/field.h"
#include "base/log.h"
#include "data/classes.h"
#include "text/corpus.h"
#include "text/preprocess.h"
#include "text/tokenizer.h"

/* What is learned from the files. */
typedef enum at_data_task {
    AT_TASK_AUTO,     /* what the family of the model is for */
    AT_TASK_SEQ2SEQ,  /* pairs: FOLDER/SPLIT.SOURCE and .TARGET, or FOLDER/SPLIT.tsv */
    AT_TASK_LANGUAGE, /* one text: layouts stream and documents */
    AT_TASK_CLASSIFY, /* FOLDER/SPLIT.tsv: label, tab, text */
    AT_TASK_MASK, /* texts: FOLDER/SPLIT.SOURCE or SPLIT.txt, or what stands behind the tabs of SPLIT.tsv */
    AT_TASK_CONTRAST, /* pairs */
} at_data_task;

typedef struct at_data_options {
    int64_t task;               /* at_data_task */
    char *source, *target;      /* languages: the endings of the files train.en, train.de */
    char *train, *valid, *test; /* splits: names of files without ending, several with commas between */
    int64_t max_length;         /* pieces of one side, </s> included */
    int64_t too_long;           /* AT_TOO_LONG_… */
    int64_t batch_tokens, batch_pairs;
    int64_t batch_count; /* AT_COUNT_… */
    bool shuffle, bucket;
    double bpe_dropout;
    int64_t layout;    /* AT_LAYOUT_… */
    int64_t document;  /* AT_DOCUMENT_… */
    double valid_part; /* the end of train's text that is for validation */
    char *alignment;   /* the ending of files of links, for guided training; NULL: none */
} at_data_options;

enum { AT_TOO_LONG_DROP, AT_TOO_LONG_TRUNCATE };
enum { AT_COUNT_LARGER, AT_COUNT_TARGET };
/* Pairs for encoder and decoder; windows of a text or its documents for a decoder alone (data/tokens.h). */
enum { AT_LAYOUT_PAIRS, AT_LAYOUT_STREAM, AT_LAYOUT_DOCUMENTS };
enum { AT_DOCUMENT_FILE, AT_DOCUMENT_PARAGRAPH, AT_DOCUMENT_LINE };

extern const at_field at_data_fields[]; /* the recipe's section "data" */

typedef struct at_dataset_spec {
    const char *folder; /* where splits lie; those that begin with '/' or '.' lie where they say */
    const char *split;  /* FOLDER/SPLIT.SOURCE and .TARGET, or FOLDER/SPLIT.tsv; each may end in .gz */
    const at_data_options *options;
    const at_tokenizer *tokenizer;
    const at_preprocess *preprocess; /* NULL: lines as they are */
    bool dropout;                    /* with options->bpe_dropout: for training only */
    bool links;                      /* with options->alignment: SPLIT.ALIGNMENT, a line of links a pair */
    at_data_task task;               /* AUTO: SEQ2SEQ */
    const at_classes *classes;       /* CLASSIFY: the labels there are; NULL: those that are met */
} at_dataset_spec;

typedef struct at_dataset_side {
    at_ids ids;
    size_t *offsets; /* (count+1) */
    at_buf text;     /* prepared lines, one after the other; empty without dropout */
    size_t *starts;  /* (count+1) */
    size_t offsets_capacity, starts_capacity;
} at_dataset_side;

typedef struct at_dataset {
    size_t count; /* pairs, or labelled or single texts */
    at_dataset_side source, target;
    size_t max_length;
    double dropout; /* 0: ids stay as they are */
    const at_tokenizer *tokenizer;
    at_data_task task;
    struct at_dataset_links *links; /* data/links.h; NULL: none */
    int32_t *labels;                /* (count) CLASSIFY; otherwise NULL */
    size_t labels_capacity;
    at_classes classes; /* CLASSIFY: sorted; those of the spec, or those met */
    uint32_t mark;      /* checksum of all ids before dropout: tells one corpus from another */
} at_dataset;

at_status at_dataset_load(const at_dataset_spec *spec, const at_log *log, at_dataset *set);
/* The same from two files, or from one TSV (target_path NULL); folder and split are not looked at. */
at_status at_dataset_load_files(const char *source_path, const char *target_path, const at_dataset_spec *spec,
                                const at_log *log, at_dataset *set);
void at_dataset_free(at_dataset *set);

/* Segments every pair anew by BPE dropout (Provilkov et al. 2020, arXiv:1910.13267), a function of (seed,
 * epoch, pair). A side that comes out longer than max_length is segmented without dropout. Does nothing when
 * dropout is 0. After an error the ids are as before. */
at_status at_dataset_segment(at_dataset *set, uint64_t seed, uint64_t epoch);

/* FOLDER/NAME.ENDING, or that with .gz; a name that begins with '/' or '.' lies where it says. *path NULL
 * with AT_OK: neither is there; the caller frees it. */
at_status at_data_file(const char *folder, const char *name, const char *ending, char **path);

/* The files of one split, as options->task wants them: two paths, or one and NULL; the caller frees both.
 * AT_EIO: they are not there. */
at_status at_dataset_find(const char *folder, const char *split, const at_data_options *options,
                          char **source_path, char **target_path);
/* Calls `visit` for each example of these files as it stands there. Without a target side `target` is empty,
 * and for AT_TASK_CLASSIFY it is the label. `place`: "FILE:LINE". */
typedef at_status at_example_visit(void *context, const char *place, at_text source, at_text target);
at_status at_dataset_visit(const char *source_path, const char *target_path, at_data_task task,
                           at_example_visit *visit, void *context);

static inline size_t at_dataset_length(const at_dataset_side *side, size_t i)
{
    return side->offsets[i + 1] - side->offsets[i];
}
#endif

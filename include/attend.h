/* attend.h - attention models in C: the public interface of libattend.
 *
 * Role    Open a trained model folder; translate or write on with it; see what it attended to.
 *         Twenty lines make a translator:
 *
 *             #include <attend.h>
 *             #include <stdio.h>
 *
 *             static bool print(void *context, const at_translation *t)
 *             {
 *                 (void)context;
 *                 return puts(t->text) >= 0;               // false would stop the translating
 *             }
 *
 *             int main(void)
 *             {
 *                 at_translator *translator;
 *                 const char *lines[] = {"Tom chases Jerry."};
 *                 at_status st = at_translator_open("models/tatoeba-en-zh", NULL, &translator);
 *                 if (st == AT_OK) {
 *                     st = at_translate(translator, lines, 1, NULL, print, NULL);
 *                     at_translator_close(translator);
 *                 }
 *                 if (st != AT_OK)
 *                     fprintf(stderr, "%s\n", at_error_message());
 *                 return st != AT_OK;
 *             }
 *
 * Text    UTF-8, NUL-terminated, one sentence or more a line.
 * Owns    What a function named …_open or …_new returns is the caller's, until …_close
 *         or …_free. Text handed to a callback lives until the callback returns.
 * Errors  Every function that can fail returns an at_status; at_error_message() then says
 *         what was wrong, where, and what to do. The library never prints and never exits.
 * Threads A handle may be shared by threads; calls on one handle wait for each other. For
 *         translating at the same time open one handle a thread: the weights are mapped
 *         from the file and shared by the system. at_error_message() is per thread.
 * ABI     Option structs begin with their size, set by AT_…_DEFAULTS, so that they can grow.
 */
#ifndef ATTEND_H
#define ATTEND_H
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#if defined(__GNUC__)
#define AT_API __attribute__((visibility("default")))
#else
#define AT_API
#endif

#ifdef __cplusplus
extern "C" {
#endif

/* One list yields codes and texts. */
#define AT_STATUS_LIST(X)                                        \
    X(AT_OK, 0, "no error")                                      \
    X(AT_ENOMEM, 1, "out of memory")                             \
    X(AT_EIO, 2, "input or output failed")                       \
    X(AT_EFORMAT, 3, "malformed data")                           \
    X(AT_EARG, 4, "argument out of its limits")                  \
    X(AT_ESHAPE, 5, "shapes do not fit")                         \
    X(AT_ENUMBER, 6, "not a finite number")                      \
    X(AT_ENOSUP, 7, "not supported by this model or this build") \
    X(AT_ECANCEL, 8, "stopped by the caller")

typedef enum at_status {
#define AT_STATUS_ENUM(name, value, text) name = value,
    AT_STATUS_LIST(AT_STATUS_ENUM)
#undef AT_STATUS_ENUM
} at_status;

/* The message of this thread's last failure; "" when there was none. Valid until the next one. */
AT_API const char *at_error_message(void);
AT_API const char *at_status_text(at_status status);
AT_API const char *at_version(void);

/* --- A translator: a model folder, threads, kernels. ------------------------------------------ */

typedef struct at_translator at_translator;

/* How a running model keeps its matrices. bf16 is half of fp32: half the memory, and where memory's speed
 * decides (few rows at a time) nearly twice the speed; a number rounded to it is off by at most 1 in 512. */
typedef enum at_weights {
    AT_WEIGHTS_STORED, /* as the folder has them */
    AT_WEIGHTS_FP32,
    AT_WEIGHTS_BF16
} at_weights;

typedef struct at_open_options {
    size_t struct_size;
    int threads;         /* 0: all cores this process may use */
    const char *kernels; /* "ref", "avx2", "avx512", "neon"; NULL: the best this CPU has */
    at_weights weights;
} at_open_options;

#define AT_OPEN_DEFAULTS                                    \
    {                                                       \
        sizeof(at_open_options), 0, NULL, AT_WEIGHTS_STORED \
    }

/* options NULL: the defaults. */
AT_API at_status at_translator_open(const char *folder, const at_open_options *options,
                                    at_translator **translator);
AT_API void at_translator_close(at_translator *translator); /* NULL is fine */

/* --- Whose attention, and of what. ------------------------------------------------------------ */

/* A layer or a head, from 0; or one of these. */
enum {
    AT_MEAN = -1, /* the mean over all */
    AT_OWN = -2,  /* of cross attention, layer and head both: those that the model's config.json names for
                     alignments ("attend.align"); otherwise the mean */
};

typedef enum at_unit {
    AT_UNIT_WORD,   /* what white space separates, punctuation apart; in scripts without spaces a piece */
    AT_UNIT_SPACED, /* what white space separates: the words of tokenized corpora */
    AT_UNIT_PIECE,  /* the tokenizer's pieces */
} at_unit;

/* --- Translating. Vaswani et al. 2017; beam search with length-normalised scores. ------------- */

typedef struct at_translate_options {
    size_t struct_size;
    int beam;   /* hypotheses kept, 1 (greedy) … 64; 0: what the model's config.json says */
    int n_best; /* different translations of each line, best first, 1 … beam; fewer if the beam holds fewer */
    double penalty;   /* score = log probability / length^penalty; negative: the model's own */
    int max_length;   /* most pieces of a translation; 0: by the length of the source */
    int batch;        /* lines translated at a time, 1 … 4096 */
    bool align;       /* fill at_translation's words and weights */
    int layer, head;  /* whose cross attention; or AT_MEAN, AT_OWN */
    at_unit unit;     /* of the words that align gives */
    bool replace_unk; /* each <unk> becomes the source word, as it was written, that it looked at most */
} at_translate_options;

#define AT_TRANSLATE_DEFAULTS                                                                       \
    {                                                                                               \
        sizeof(at_translate_options), 0, 1, -1.0, 0, 32, false, AT_OWN, AT_OWN, AT_UNIT_WORD, false \
    }

typedef struct at_translation {
    size_t line;      /* which line, from 0 */
    int rank;         /* 0: the best */
    const char *text; /* "" for an empty line */
    double score, log_probability;
    /* With `align`; otherwise 0 and NULL. Words, not pieces; the last source word is the end of sentence. */
    const char *const *source_words, *const *target_words;
    size_t source_count, target_count;
    const float *weights; /* (target_count, source_count): each row sums to 1 */
    size_t pieces;        /* of the tokenizer that were said, ends of sentences included */
} at_translation;

/* Called for each translation, in the order of lines, then of ranks. false stops: at_translate returns
 * AT_ECANCEL. */
typedef bool at_translation_sink(void *context, const at_translation *translation);

/* Lines longer than the model reaches are cut at sentence ends, else at spaces, and their translations
 * joined. */
AT_API at_status at_translate(at_translator *translator, const char *const *lines, size_t count,
                              const at_translate_options *options, at_translation_sink *sink, void *context);

/* --- Aligning translations that are given: the model is made to say them. --------------------- */

typedef struct at_align_options {
    size_t struct_size;
    int layer, head; /* whose cross attention; or AT_MEAN, AT_OWN */
    at_unit unit;
    int batch; /* pairs in one pass, 1 … 4096 */
} at_align_options;

#define AT_ALIGN_DEFAULTS                                          \
    {                                                              \
        sizeof(at_align_options), AT_OWN, AT_OWN, AT_UNIT_WORD, 32 \
    }

/* Column j of a row is how much the target word rests on source word j: rows of a word's pieces are averaged,
 * columns of a word's pieces summed (Clark et al. 2019), so each row sums to 1. The last source word is the
 * end of sentence. With AT_UNIT_SPACED words are the line's own, whatever preprocessing made of it; one that
 * it made nothing of has a row or column of zeros. */
typedef struct at_alignment {
    size_t line; /* which pair, from 0 */
    const char *const *source_words, *const *target_words;
    size_t source_count, target_count; /* 0: an empty side, or longer than the model reaches */
    const float *weights;              /* (target_count, source_count) */
    bool too_long;
} at_alignment;

/* Called for each pair, in order. false stops: at_align returns AT_ECANCEL. */
typedef bool at_alignment_sink(void *context, const at_alignment *alignment);

AT_API at_status at_align(at_translator *translator, const char *const *sources, const char *const *targets,
                          size_t count, const at_align_options *options, at_alignment_sink *sink,
                          void *context);
/* For each target word the source word, the end of sentence left out, that it rests on most; of equals the
 * first. link: (target_count). SIZE_MAX: on none. */
AT_API void at_alignment_links(const at_alignment *alignment, size_t *link);

/* --- Seeing what a model attended to, exactly. ------------------------------------------------ */

/* The same handle for any model that reads text. Of a decoder alone `source` is the text that it is made to
 * say, of an encoder alone what it reads; neither has a target. Translating with them is AT_ENOSUP. */
AT_API at_status at_viewer_open(const char *folder, const at_open_options *options, at_translator **viewer);

typedef enum at_view_kind {
    AT_VIEW_CROSS,   /* target words look at source words */
    AT_VIEW_ENCODER, /* source words look at each other */
    AT_VIEW_DECODER, /* target words (rows) look at <s> and those before them (columns) */
    AT_VIEW_CLASS,   /* which words decided a classifier's label: a row for each measure (at_measure) */
    AT_VIEW_OWN, /* CROSS of a translator, DECODER of a decoder alone, CLASS of a classifier, else ENCODER */
} at_view_kind;

/* How much each word counted for the label of a line. */
typedef enum at_measure {
    AT_MEASURE_OWN,      /* the first of these that the model has */
    AT_MEASURE_POOLING,  /* weights of pooling by attention */
    AT_MEASURE_CLASS,    /* the class token's attention in the last layer, mean of its heads */
    AT_MEASURE_ROLLOUT,  /* the class token's attention followed through all layers */
    AT_MEASURE_LEFT_OUT, /* log probability of the label less that without the word; every model has it */
    AT_MEASURES,
} at_measure;

typedef struct at_view_options {
    size_t struct_size;
    at_view_kind kind;
    int layer, head; /* or AT_MEAN, AT_OWN; not of AT_VIEW_CLASS */
    bool pieces;     /* pieces of the tokenizer instead of words */
    int beam;        /* for the translation that is looked at; 0: the model's own */
    int write;       /* a decoder alone: likeliest pieces that it first adds to the text */
} at_view_options;

#define AT_VIEW_DEFAULTS                                                  \
    {                                                                     \
        sizeof(at_view_options), AT_VIEW_OWN, AT_OWN, AT_OWN, false, 0, 0 \
    }

typedef struct at_view {
    at_view_kind kind;       /* AT_VIEW_OWN resolved */
    const char *translation; /* of a decoder alone its whole text; of an encoder alone "" */
    const char *label;       /* of AT_VIEW_CLASS; else NULL */
    double probability;      /* the label's */
    const char *const *row_words, *const *column_words;
    size_t rows, columns;
    /* (rows, columns): each row sums to 1. Of AT_VIEW_CLASS the last two are one measure, words left out:
     * what spoke for the label, then what spoke against it, which together sum to 1. */
    const float *weights;
    int layer, head; /* whose they are, AT_OWN resolved; or AT_MEAN */
} at_view;

/* target NULL: the model's own translation of `source`; otherwise the attention while it is made to say
 * `target`. */
AT_API at_status at_view_new(at_translator *translator, const char *source, const char *target,
                             const at_view_options *options, at_view **view);
AT_API void at_view_free(at_view *view); /* NULL is fine */

/* All attention of one pair from one pass: every layer and head of every kind that the model has. */
typedef struct at_bundle_options {
    size_t struct_size;
    bool pieces;     /* pieces of the tokenizer instead of words */
    int beam;        /* for the translation that is looked at; 0: the model's own */
    int layer, head; /* only these, for long inputs; -1: all */
    int write;       /* a decoder alone: likeliest pieces that it first adds to the text */
} at_bundle_options;

#define AT_BUNDLE_DEFAULTS                             \
    {                                                  \
        sizeof(at_bundle_options), false, 0, -1, -1, 0 \
    }

typedef struct at_bundle_part {
    at_view_kind kind;
    int first_layer, first_head; /* which the first map is; 0 unless the options name one */
    int layers, heads;
    const char *const *row_words, *const *column_words;
    size_t rows, columns;
    const float
        *weights; /* (layers, heads, rows, columns): each row sums to 1; of AT_VIEW_CLASS as at_view's */
    /* (rows, columns) of self-attention followed through all layers, residuals included (Abnar & Zuidema
     * 2020); NULL: cross attention, one layer or head only, or more than 1,024 pieces. */
    const float *rollout;
} at_bundle_part;

typedef struct at_bundle {
    const char *translation; /* as at_view's */
    const char *label;
    double probability;
    at_view_kind own;        /* the model's own of the kinds */
    at_bundle_part parts[4]; /* the kinds there are, in the order of at_view_kind */
    size_t count;            /* of parts, at least 1 */
} at_bundle;

/* target as in at_view_new. AT_ENOSUP for a model without attention. */
AT_API at_status at_bundle_new(at_translator *translator, const char *source, const char *target,
                               const at_bundle_options *options, at_bundle **bundle);
AT_API void at_bundle_free(at_bundle *bundle); /* NULL is fine */

/* What each head does, measured over a text: the mean share of a row's weight that rests on … */
typedef enum at_head_role {
    AT_HEAD_PREVIOUS, /* the word before; of self-attention, like the next two */
    AT_HEAD_NEXT,     /* the word after; of an encoder */
    AT_HEAD_ITSELF,
    AT_HEAD_FIRST, /* the first word; of a decoder <s> */
    AT_HEAD_STOP,  /* full stops, question and exclamation marks, where there are any */
    AT_HEAD_END,   /* </s>, where it is looked at */
    AT_HEAD_ROLES,
} at_head_role;

typedef struct at_head {
    at_view_kind kind;
    int layer, head;
    size_t rows;                 /* words that looked; of a decoder those behind <s> */
    double share[AT_HEAD_ROLES]; /* 0 … 1; NaN where there is nothing to measure */
    double entropy;              /* bits, mean over rows: 0 where all weight rests on one word */
} at_head;

typedef struct at_heads {
    const at_head *list; /* in the order of at_view_kind, layer, head */
    size_t count;
    size_t pairs, left_out; /* left out: an empty side, or longer than the model reaches */
} at_heads;

typedef struct at_heads_options {
    size_t struct_size;
    int beam;  /* for translations; 0: the model's own */
    int batch; /* pairs in one pass, 1 … 4096 */
} at_heads_options;

#define AT_HEADS_DEFAULTS               \
    {                                   \
        sizeof(at_heads_options), 1, 32 \
    }

/* targets NULL: the model's own translations. */
AT_API at_status at_heads_new(at_translator *translator, const char *const *sources,
                              const char *const *targets, size_t count, const at_heads_options *options,
                              at_heads **heads);
AT_API void at_heads_free(at_heads *heads);              /* NULL is fine */
AT_API const char *at_head_role_name(at_head_role role); /* "previous" */
AT_API int at_head_strongest(const at_head *head);       /* the role with the largest share; -1: none */

/* How a model's rows know their place: the position encoding PE, and PE(p)·PE(q) by the distance of p and
 * q. */
typedef struct at_positions {
    size_t count, width;
    const float *values;              /* (count, width) */
    const double *dot, *least, *most; /* (count) over all pairs at that distance: mean, least, most */
} at_positions;

/* target: of the decoder's rows. AT_ENOSUP for a model without. */
AT_API at_status at_positions_new(at_translator *translator, bool target, size_t count,
                                  at_positions **positions);
AT_API void at_positions_free(at_positions *positions); /* NULL is fine */

/* --- Writing on: a decoder alone. ------------------------------------------------------------- */

typedef struct at_generator at_generator;

/* AT_ENOSUP for a model that is no decoder alone, such as a translator. options NULL: the defaults. */
AT_API at_status at_generator_open(const char *folder, const at_open_options *options,
                                   at_generator **generator);
AT_API void at_generator_close(at_generator *generator); /* NULL is fine */
/* The most pieces the model looks at; 0: any number. */
AT_API size_t at_generator_context(const at_generator *generator);

typedef enum at_window {
    /* Text past the context: the oldest piece is forgotten for each new one, where the model tells places by
     * distance (rotary positions, or none); with learned positions as AT_WINDOW_AGAIN. Of a longer prompt the
     * model reads the end. */
    AT_WINDOW_ROLL,
    /* A longer prompt is AT_EARG; a text that has filled the context ends (AT_ENDS_CONTEXT). */
    AT_WINDOW_REFUSE,
    /* The model reads the newer half of its context again, as a text of its own, and goes on. */
    AT_WINDOW_AGAIN,
} at_window;

typedef struct at_generate_options {
    size_t struct_size;
    int max_tokens;     /* most pieces of a text, 1 … */
    int samples;        /* texts for each prompt, 1 … 4096 */
    double temperature; /* 0: always the likeliest piece (greedy) */
    int top_k;          /* draw from so many of the likeliest; 0: all */
    double top_p;       /* draw from the fewest that together have this probability; 1: all */
    double min_p;       /* draw from those at least this part as likely as the likeliest; 0: all */
    double typical; /* draw from those nearest to the entropy that together have this probability; 1: all */
    double repetition;       /* penalty for pieces of prompt and text; 1: none */
    const char *const *stop; /* a text ends before the first of these; may be NULL */
    size_t stop_count;
    uint64_t seed; /* the same seed, prompt and options give the same text, alone or in company */
    at_window window;
    bool ignore_end; /* </s> is never said */
    int batch;       /* texts written at a time, 1 … 4096 */
    int chunk;       /* pieces of a prompt read at a time, 1 … */
    bool bf16_cache; /* keys and values of what was read are kept in bf16 */
} at_generate_options;

#define AT_GENERATE_DEFAULTS                                                                                \
    {                                                                                                       \
        sizeof(at_generate_options), 200, 1, 1.0, 0, 1.0, 0.0, 1.0, 1.0, NULL, 0, 1, AT_WINDOW_ROLL, false, \
            32, 512, false                                                                                  \
    }

typedef enum at_ends {
    AT_ENDS_NOT,     /* more is to come */
    AT_ENDS_SAID,    /* the model said </s> */
    AT_ENDS_STOP,    /* a stop string was met; it is not part of the text */
    AT_ENDS_LENGTH,  /* max_tokens */
    AT_ENDS_CONTEXT, /* the context is full (AT_WINDOW_REFUSE) */
} at_ends;

typedef struct at_token {
    size_t prompt; /* which, from 0 */
    int sample;    /* which text of that prompt, from 0 */
    int32_t id;
    const char *piece; /* its bytes, perhaps half a character; not NUL-terminated */
    size_t piece_length;
    double log_probability; /* the model's own, before temperature and filters */
    /* What can be shown now: whole characters of valid UTF-8 (other bytes and NUL are U+FFFD), nothing that
     * may yet turn out to begin a stop string. All of them joined are the text. NUL-terminated, often "". */
    const char *text;
    size_t text_length;
    at_ends ends;        /* other than AT_ENDS_NOT: this text's last call */
    size_t prompt_count; /* pieces of the prompt, what a text begins behind included */
    size_t left_out;     /* of them the model did not read, for they were before its context */
} at_token;

/* Called for each piece as it is said; texts that are written together take turns. false stops:
 * AT_ECANCEL. */
typedef bool at_token_sink(void *context, const at_token *token);

/* Prompts are UTF-8 (other bytes: AT_EFORMAT); "" begins a text from nothing. options NULL: the defaults. */
AT_API at_status at_generate(at_generator *generator, const char *const *prompts, size_t count,
                             const at_generate_options *options, at_token_sink *sink, void *context);

typedef struct at_text_score {
    double log_probability;   /* of the pieces that were predicted, natural logarithm */
    size_t pieces;            /* predicted: all but the first, where nothing stands before it */
    size_t bytes, characters; /* that they stand for */
} at_text_score;

/* How likely the model holds a text, read in windows of its context one after the other, as when it was
 * validated. perplexity = exp(-log_probability / pieces); bits a byte: -log_probability / ln 2 / bytes. */
AT_API at_status at_generator_score(at_generator *generator, const char *text, size_t length,
                                    at_text_score *score);

/* --- Classifying: lines to the labels that a model has learned. ------------------------------- */

typedef struct at_classifier at_classifier;

AT_API at_status at_classifier_open(const char *folder, const at_open_options *options,
                                    at_classifier **classifier);
AT_API void at_classifier_close(at_classifier *classifier); /* NULL is fine */
/* Names of the labels, by number; valid as long as the classifier. */
AT_API const char *const *at_classifier_labels(const at_classifier *classifier, size_t *count);

typedef struct at_classify_options {
    size_t struct_size;
    int batch;          /* lines or pictures read at a time, 1 … 4096 */
    bool words;         /* fill at_classification's words and weights */
    at_measure measure; /* what they say; AT_ENOSUP for one that the model does not have */
    size_t max_pixels;  /* a picture that says it has more is refused; 0: 100 million */
} at_classify_options;

#define AT_CLASSIFY_DEFAULTS                                      \
    {                                                             \
        sizeof(at_classify_options), 32, false, AT_MEASURE_OWN, 0 \
    }

typedef struct at_classification {
    size_t line;                /* which line, from 0 */
    const char *label;          /* the most probable one; "" for an empty line */
    int number;                 /* its number; -1 for an empty line */
    double probability;         /* its own */
    const float *probabilities; /* of all labels, by number; NULL for an empty line */
    bool cut;                   /* the line is longer than the model reaches: its beginning was read */
    const char *const *words;   /* with `words`: of the line, begin and end included; otherwise 0 and NULL */
    /* (word_count) how much each counted for the label: shares that sum to 1; of AT_MEASURE_LEFT_OUT natural
     * logarithms, positive where a word spoke for it. */
    const float *weights;
    size_t word_count;
    at_measure measure; /* what the weights say; AT_MEASURE_OWN where there are none */
    const char *error;  /* why a picture could not be read, its number -1; NULL: it was */
} at_classification;

/* Called for each line, in order. false stops: at_classify returns AT_ECANCEL. */
typedef bool at_classification_sink(void *context, const at_classification *classification);

AT_API at_status at_classify(at_classifier *classifier, const char *const *lines, size_t count,
                             const at_classify_options *options, at_classification_sink *sink, void *context);

/* Whether it labels pictures (then at_classify fails), or lines of text. */
AT_API bool at_classifier_sees(const at_classifier *classifier);
/* JPEG and PNG files, `batch` at a time; `line` is the place in `paths`. One that cannot be read comes with
 * its error, and the others go on. */
AT_API at_status at_classify_pictures(at_classifier *classifier, const char *const *paths, size_t count,
                                      const at_classify_options *options, at_classification_sink *sink,
                                      void *context);

/* --- Embedding: lines or words to vectors, near each other when what they stand for is. -------- */

typedef struct at_embedder at_embedder;

/* Any model with an encoder: one trained to embed, a classifier, a translator. */
AT_API at_status at_embedder_open(const char *folder, const at_open_options *options, at_embedder **embedder);
AT_API void at_embedder_close(at_embedder *embedder); /* NULL is fine */

typedef struct at_embed_options {
    size_t struct_size;
    int batch;  /* lines read at a time, 1 … 4096 */
    bool words; /* a vector for each word instead of one for the line */
    int layer;  /* rows after so many layers; 0: before any attention, places left out; -1: the last, and what
                   the model makes of a whole line */
    bool raw;   /* as they are; otherwise of length 1, so that products are cosines */
} at_embed_options;

#define AT_EMBED_DEFAULTS                              \
    {                                                  \
        sizeof(at_embed_options), 32, false, -1, false \
    }

typedef struct at_vector {
    size_t line;
    const char *word; /* with `words`; otherwise NULL */
    size_t number;    /* of the word in its line, from 0 */
    const float *values;
    size_t width; /* 0 for an empty line */
    bool cut;     /* the line is longer than the model reaches: its beginning was read */
} at_vector;

/* Called for each line, or for each word, in order. false stops: AT_ECANCEL. */
typedef bool at_vector_sink(void *context, const at_vector *vector);

AT_API at_status at_embed_lines(at_embedder *embedder, const char *const *lines, size_t count,
                                const at_embed_options *options, at_vector_sink *sink, void *context);

#ifdef __cplusplus
}
#endif
#endif

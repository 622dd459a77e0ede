/* model/model.h - one network a file, one table of them.
 *
 * Role    A model is a family (its row in the table), options, a parameter table and
 *         the family's own arrangement of it. One forward path: `encode` turns source
 *         rows into memory, `decode` turns new target rows into output rows; training
 *         uses no state, running does. A decoder alone has no memory, an encoder alone
 *         ends there.
 * Owns    Options, parameters, net. at_model_free.
 * Shapes  D width, V target vocabulary, N rows.
 * Errors  AT_EARG with the option's name (widths that heads do not divide, …), AT_ENOMEM,
 *         AT_ENOSUP for a sentence longer than learned positions reach.
 * Threads Const after loading: any number of threads may decode with it, each with its
 *         own tape and state.
 *
 *     at_model *model;
 *     at_status st = at_model_new("transformer", options, &vocabulary, &model);   // JSON section "model"
 *     st = at_params_allocate(&model->params);
 *     at_params_init(&model->params, seed);
 *     at_tape_begin(tape, AT_TAPE_TRAIN, seed, step);
 *     tape->grads = grads;
 *     at_var *loss = at_model_loss(model, tape, batch, &want, &report);
 */
#ifndef AT_MODEL_MODEL_H
#define AT_MODEL_MODEL_H
#include "base/field.h"
#include "data/batch.h"
#include "layer/params.h"

typedef struct at_vocabulary {
    int64_t source, target; /* pieces; the same tokenizer when joint */
    int32_t pad, bos, eos, unk;
    int64_t labels; /* classes to choose from; 0: the model is no classifier */
} at_vocabulary;

typedef struct at_loss_options {
    float smoothing; /* label smoothing, 0 … 0.5 */
    float scale;     /* multiplies the summed loss before backward: 1 / target tokens of the step */
    float z;         /* times the square of the log of the softmax's denominator, which keeps logits near 0:
                      * Chowdhery et al. 2022, arXiv:2204.02311, section 5 */
    float twins;     /* each example twice, bound with this weight (model/twins.h); 0: once. Not together with
                      * z; in a family with a loss of its own only where it gives labels to texts */
} at_loss_options;

typedef struct at_loss_report {
    double loss;   /* sum over tokens; with smoothing 0 and z 0 it is -log p(target) */
    size_t tokens; /* target rows, end of sentence included; for an encoder alone, what was predicted */
    size_t judged; /* predictions that were compared with the truth; 0: none were */
    size_t right;  /* those that hit it */
} at_loss_report;

typedef struct at_state at_state;
typedef struct at_model at_model;
struct at_graph;

/* What a family does. Hooks that its kind does not name are NULL.
 * encoder–decoder: encode, decode, all state hooks, output;
 * decoder alone:   decode (memory NULL), state_shape, state_step, output; slots have no source;
 * encoder alone:   encode, loss, pool; classify for labels; layer; output if it has logits of pieces. */
typedef enum at_family_kind { AT_ENCODER_DECODER, AT_DECODER_ONLY, AT_ENCODER_ONLY } at_family_kind;

/* What a pool of rows of a running model holds: `blocks` arrays of (heads, rows, width). All 0: nothing. */
typedef struct at_state_shape {
    size_t blocks, heads, width;
} at_state_shape;

/* A picture's tokens: the class token, where there is one, then patches row by row. */
typedef struct at_patch_grid {
    size_t down, across;
    bool class_token;
} at_patch_grid;

typedef struct at_family {
    const char *name;  /* "transformer" */
    const char *class; /* nearest Hugging Face class: "MarianMTModel" */
    at_family_kind kind;
    const at_field *fields; /* the recipe's "model" section */
    size_t options_size, net_size;
    at_status (*build)(at_model *model); /* checks options, declares parameters, fills net */
    void (*release)(at_model *model);    /* frees what net owns beside itself; may be NULL */
    /* Source rows -> memory rows (N_source, D). Callers only hand them on: a family may keep more behind
     * them. */
    at_var *(*encode)(const at_model *model, at_tape *tape, const at_batch *batch);
    /* Training: all target rows of the batch against memory -> (N_target, D) before the output product. */
    at_var *(*decode)(const at_model *model, at_tape *tape, const at_batch *batch, at_var *memory);
    /* at_model_loss of this family, adding to *report; NULL: cross-entropy of decode's rows against
     * target_out. */
    at_var *(*loss)(const at_model *model, at_tape *tape, const at_batch *batch,
                    const at_loss_options *options, at_loss_report *report);
    /* Encoder alone: rows of encode (N,D) -> one a sequence (B,D). *weights, where pooling has some, is how
     * much each row counted (N), and else NULL; weights may be NULL. */
    at_var *(*pool)(const at_model *model, at_tape *tape, at_var *x, const at_rows *rows,
                    const float **weights);
    at_var *(*classify)(const at_model *model, at_tape *tape,
                        at_var *pooled); /* (B,D) -> logits (B,labels) */
    /* Source rows after so many layers; 0: the pieces' vectors without their places, before any attention.
     * AT_EARG sticks for a layer that is not there. NULL: this family cannot. */
    at_var *(*layer)(const at_model *model, at_tape *tape, const at_batch *batch, size_t layer);
    /* Running (model/state.h): sizes of the state; keeps what cross attention needs of memory for the new
     * sources; new rows for slots -> (rows, D). */
    void (*state_shape)(const at_model *model, at_state_shape *self, at_state_shape *cross);
    size_t (*state_begin)(const at_model *model); /* numbers kept of a source beside rows; NULL: none */
    /* Whether slots may drop their oldest rows and go on (at_state_drop_oldest): places are told by distance,
     * or not at all. NULL: they may not. */
    bool (*state_rolls)(const at_model *model);
    bool state_newest; /* a step reads the row before it only: older ones are dropped */
    void (*state_source)(const at_model *model, at_tape *tape, at_state *state, at_var *memory,
                         const at_rows *rows, const int *sources);
    at_var *(*state_step)(const at_model *model, at_tape *tape, at_state *state, const int *slots,
                          const at_rows *rows, const int32_t *ids);
    const at_param *(*output)(const at_model *model); /* at_model_output; NULL: it has none */
    size_t (*max_length)(const at_model *model);      /* at_model_reach */
    /* The first `count` rows of the position encoding of the encoder's or the decoder's rows -> their
     * width; 0: none. out NULL: the width alone. The hook may be NULL: none. */
    size_t (*positions)(const at_model *model, bool decoder, size_t count, float *out);
    /* The steps of the chain with their shapes (model/graph.h). */
    void (*graph)(const at_model *model, struct at_graph *graph);
    /* Of pictures: what a batch must hold, data not set; height and width 0: any. NULL: this family reads
     * texts. */
    at_pixels (*pixels)(const at_model *model);
    /* Which tokens a picture becomes; NULL: none that could be shown. */
    at_patch_grid (*patches)(const at_model *model);
} at_family;

struct at_model {
    const at_family *family;
    void *options; /* the struct that family->fields describes */
    at_vocabulary vocabulary;
    at_params params;
    void *net;
};

extern const at_family *const at_families[];                         /* NULL-terminated */
const at_family *at_family_find(const char *name);                   /* NULL: none */
at_status at_family_get(const char *name, const at_family **family); /* AT_EARG names those there are */

/* options: the JSON section (keys of family->fields; "family" itself is allowed); NULL: all defaults.
 * Parameters are declared and laid out, not allocated. */
at_status at_model_new(const char *family, const json_t *options, const at_vocabulary *vocabulary,
                       at_model **model);
void at_model_free(at_model *model);
json_t *at_model_options(const at_model *model); /* the section again, "family" first; NULL: no memory */

/* (V,D): logits are rows times its transpose. NULL: a family that predicts no pieces. */
const at_param *at_model_output(const at_model *model);
/* The longest source and target, in rows; 0: any. */
size_t at_model_reach(const at_model *model);
/* Mean or sum loss by `options->scale`; the (tokens x vocabulary) matrix is never held. report may be
 * NULL. */
at_var *at_model_loss(const at_model *model, at_tape *tape, const at_batch *batch,
                      const at_loss_options *options, at_loss_report *report);
/* Cross-entropy of x (N,D) times the transpose of w (V,D) against targets (N), for families with a loss of
 * their own; of twins x is (2N,D), the second passes behind the first. *sum: over targets, before the
 * scale. */
at_var *at_cross_entropy(at_tape *tape, at_var *x, const at_param *w, const int32_t *targets,
                         const at_loss_options *options, double *sum);
/* The same of logits (N,K) that are there; adds to *report what it counts. */
at_var *at_logit_cross_entropy(at_tape *tape, at_var *logits, const int32_t *targets,
                               const at_loss_options *options, at_loss_report *report);
/* The same against what a batch says its examples are: labels, or shares of them (then report counts how
 * often the largest share was hit). */
at_var *at_label_loss(at_tape *tape, at_var *logits, const at_batch *batch, const at_loss_options *options,
                      at_loss_report *report);
/* Rows before the output product (N,D) -> logits (N,V). */
at_var *at_model_logits(const at_model *model, at_tape *tape, at_var *rows);
/* An encoder alone: a batch -> logits (B,labels). *weights as pool has them; weights may be NULL. */
at_var *at_model_classify(const at_model *model, at_tape *tape, const at_batch *batch, const float **weights);
/* Packs what products read, for running. Call once after loading, before sharing. */
at_status at_model_pack(at_model *model, at_exec *exec);

extern const at_op *const at_model_ops[];
#endif

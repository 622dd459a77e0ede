/* model/stack.h - residual blocks of attention and feed-forward, one above the other: what families share.
 *
 * Role    Declares the blocks of an encoder or a decoder and runs rows through them, while
 *         training (keys are the batch's rows) and while running (keys are a state's): one
 *         loop for all. A family brings the embedding, the output and its options.
 *         Vaswani et al. 2017, section 3.1; norm before each sub-layer: Xiong et al. 2020,
 *         arXiv:2002.04745.
 * Owns    The array of blocks. at_stack_free. Parameters are the model's.
 * Shapes  x (N,D) -> (N,D); cross attention: memory (M,D).
 * Errors  AT_EARG for Linformer in a causal stack; AT_ENOMEM; running: NULL, see the tape.
 *
 *     at_stack_spec spec = {.names = &names, .layers = 4, .width = 128, .ffn = 512, .heads = 4,
 *                           .causal = true, .norm = AT_PRE_NORM, .activation = AT_GELU};
 *     at_status st = at_stack_declare(&model->params, &spec, &net->stack);
 *     at_stack_pass pass = {.tape = tape, .rows = &batch->target};               // training
 *     at_stack_pass pass = {.tape = tape, .rows = rows, .state = state, .slots = slots,
 *                           .starts = starts};                                        // running
 *     at_var *y = at_stack_run(&net->stack, &pass, x);
 */
#ifndef AT_MODEL_STACK_H
#define AT_MODEL_STACK_H
#include "base/field.h"
#include "layer/multi_head.h"
#include "model/graph.h"
#include "model/state.h"

typedef enum at_norm_place { AT_POST_NORM, AT_PRE_NORM } at_norm_place;

/* What a family's parameters are called: "decoder.layers." + number + "." + "fc1" + ".weight". */
typedef struct at_stack_names {
    const char *layers;           /* before the number: "model.decoder.layers." */
    const char *self, *self_norm; /* "self_attn.", "self_attn_layer_norm" */
    const char *cross, *cross_norm;
    const char *fc1, *up, *fc2, *ffn_norm;
    const char *last; /* the norm at the end, whole: "model.decoder.layer_norm" */
    const at_projection_names *projections;
} at_stack_names;

/* What every family with an encoder offers of Linformer: rows of its table of options, and the choice. */
typedef struct at_linformer_options {
    int64_t k;
    bool share_heads, share_values, share_layers;
} at_linformer_options;
#define AT_LINFORMER_FIELDS(options, member)                                                             \
    {"linformer_k",                                                                                      \
     AT_FIELD_INT,                                                                                       \
     offsetof(options, member.k),                                                                        \
     "0",                                                                                                \
     0,                                                                                                  \
     65536,                                                                                              \
     NULL,                                                                                               \
     "Linformer: the encoder's attention looks at this many learned sums of all rows; 0: at every row"}, \
        {"linformer_share_heads",                                                                        \
         AT_FIELD_BOOL,                                                                                  \
         offsetof(options, member.share_heads),                                                          \
         "true",                                                                                         \
         0,                                                                                              \
         0,                                                                                              \
         NULL,                                                                                           \
         "Linformer: heads share their sums"},                                                           \
        {"linformer_share_values",                                                                       \
         AT_FIELD_BOOL,                                                                                  \
         offsetof(options, member.share_values),                                                         \
         "false",                                                                                        \
         0,                                                                                              \
         0,                                                                                              \
         NULL,                                                                                           \
         "Linformer: keys and values share their sums"},                                                 \
    {                                                                                                    \
        "linformer_share_layers", AT_FIELD_BOOL, offsetof(options, member.share_layers), "false", 0, 0,  \
            NULL, "Linformer: layers share their sums"                                                   \
    }
/* places: the longest sequence that the family lets in. */
at_linformer_spec at_linformer_chosen(const at_linformer_options *options, size_t places);

typedef struct at_stack_spec {
    const at_stack_names *names;
    size_t layers, width, ffn, heads;
    size_t groups; /* of heads that share keys; 0: each head has its own */
    bool causal;   /* a row sees no later row of its sequence */
    bool cross;    /* each block also looks at memory */
    bool shared_values;
    bool plain; /* no biases: neither in products nor in norms */
    bool rms;   /* RMSNorm instead of LayerNorm */
    bool gated; /* feed-forward fc2(f(fc1 x) * up x): Shazeer 2020, arXiv:2002.05202 */
    at_norm_place norm;
    float eps; /* of the norms; 0: 1e-5 */
    at_activation activation;
    at_score score; /* of all attention; with location: `places`, the longest sequence */
    at_normaliser normalise;
    size_t places;
    at_linformer_spec linformer; /* of self attention, which then may not be causal */
    const at_rotary *rotary;     /* positions of self attention; NULL: in the rows, or none */
    float deviation;             /* of the first weights; products into the residual sum have it divided by
                              * sqrt(2 layers), as GPT-2's; 0: Xavier */
    float dropout, attention_dropout, activation_dropout;
    float path_dropout; /* chance of a sub-layer of the last block to be left out of a sequence, less before:
                         * Huang et al. 2016, arXiv:1603.09382 */
    float layer_scale;  /* first factor of a sub-layer's columns: Touvron et al. 2021, 2103.17239; 0: none */
    bool temperatures;  /* each head of self attention learns a factor of its scores */
} at_stack_spec;

typedef struct at_norm_weights {
    at_param *gain, *bias; /* bias NULL: none */
    bool rms;
    float eps;
} at_norm_weights;

typedef struct at_stack_block {
    at_multi_head_weights self, cross;
    at_norm_weights self_norm, cross_norm, ffn_norm;
    at_projection fc1, up, fc2;
    at_param *self_scale, *ffn_scale; /* NULL: none */
} at_stack_block;

typedef struct at_stack {
    at_stack_spec spec;
    at_stack_block *blocks; /* (layers) */
    at_norm_weights last;   /* norm before only */
} at_stack;

/* One run of rows through a stack. */
typedef struct at_stack_pass {
    at_tape *tape;
    const at_rows *rows;        /* of x */
    at_var *memory;             /* cross attention without a state */
    const at_rows *memory_rows; /* of memory */
    at_state *state;            /* running: new rows for these slots, which the caller has extended */
    const int *slots;           /* (rows->count) */
    const int32_t *starts;      /* (rows->count) from at_state_advance */
    at_score_bias bias;         /* of self attention without a state */
    size_t layers;              /* only the first so many, without the norm at the end; 0: all */
} at_stack_pass;

at_status at_stack_declare(at_params *params, const at_stack_spec *spec, at_stack *stack);
void at_stack_free(at_stack *stack);
at_var *at_stack_run(const at_stack *stack, const at_stack_pass *pass, at_var *x);

/* Running. Blocks that a layer fills in a pool: keys, then values; or one, when keys are the values. */
at_state_shape at_stack_state_shape(const at_stack *stack);
/* Keys and values of memory for the sources that at_state_encode numbers. */
void at_stack_state_source(const at_stack *stack, at_tape *tape, at_state *state, at_var *memory,
                           const at_rows *rows, const int *sources);

/* The blocks, and the norm behind them, as steps of a chain over rows (rows, width): "n", "50". */
void at_stack_graph(const at_stack *stack, at_graph *graph, int lane, const char *rows);

/* For the rest of a family: prefix + name + ".weight", ".bias". */
typedef struct at_norm_spec {
    size_t width;
    bool plain, rms; /* RMSNorm has no bias */
    float eps;
} at_norm_spec;

at_status at_norm_declare(at_params *params, const char *prefix, const char *name, const at_norm_spec *spec,
                          at_norm_weights *norm);
at_var *at_norm_run(at_tape *tape, at_var *x, const at_norm_weights *norm);
#endif

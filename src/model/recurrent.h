/* model/recurrent.h - what the files of the recurrent encoder-decoder share; private to recurrent*.c.
 *
 * Role    Encoder: embedding, GRU or LSTM layers. One vector C is made of its states (`context`) and used
 *         (`use`) by a decoder of such layers; with attention every output word has its own C_i instead.
 *         Sutskever et al. 2014, arXiv:1409.3215: the last state begins the decoder, and no more.
 *         Cho et al. 2014, arXiv:1406.1078: C at every step and in the read-out.
 *         Bahdanau et al. 2015, arXiv:1409.0473: C_i from the state before, into the step and the read-out.
 *         Luong et al. 2015, arXiv:1508.04025: C_i from the new state; global, local-m, local-p; input
 *         feeding.
 *         Bengio et al. 2015, arXiv:1506.03099: scheduled sampling.
 * Shapes  E embedding, D decoder's hidden width, M width of an encoder's state (2 x hidden in both
 *         directions), G sums of a cell (GRU 3, LSTM 4), L decoder layers, R width of the output rows.
 *
 * While training, rows lie step by step ("by time"): those of step 0 for every sequence, longest first, then
 * those of step 1 for the sequences that have one. The sequences of a step are then the first so many.
 */
#ifndef AT_MODEL_RECURRENT_H
#define AT_MODEL_RECURRENT_H
#include "layer/multi_head.h"
#include "layer/recurrent.h"
#include "layer/repeated.h"
#include "layer/scorer.h"
#include "model/internal.h"
#include "model/state.h"

enum { AT_RNN_LAST, AT_RNN_MAP, AT_RNN_POOL };         /* context */
enum { AT_RNN_INITIAL, AT_RNN_EVERY, AT_RNN_READOUT }; /* use */
enum { AT_RNN_NONE, AT_RNN_BAHDANAU, AT_RNN_LUONG };   /* attention */
enum { AT_RNN_STATES, AT_RNN_INPUTS };                 /* keys */
enum { AT_RNN_MAXOUT, AT_RNN_TANH, AT_RNN_LINEAR };    /* readout */
enum { AT_RNN_TIED_NONE, AT_RNN_TIED_TARGET, AT_RNN_TIED_ALL };
enum { AT_RNN_LINEAR_DECAY, AT_RNN_EXPONENTIAL_DECAY, AT_RNN_SIGMOID_DECAY };

typedef struct at_rnn_options {
    int64_t cell, encoder_layers, decoder_layers, embedding, encoder_hidden, decoder_hidden;
    bool bidirectional, reverse;
    int64_t context, use;
    int64_t attention, score, normalise, align /* at_local */, window, keys, attention_width, places;
    bool input_feeding;
    int64_t readout, readout_width, tied;
    double dropout, attention_dropout;
    double sampling;
    int64_t sampling_decay, sampling_steps;
    bool sampling_draw;
} at_rnn_options;

/* Widths that follow from the options. */
typedef struct at_rnn_sizes {
    size_t embedding, hidden, memory, layers, gates;
    size_t context;      /* of C, or of C_i with attention; 0: it only begins the decoder */
    size_t parts;        /* of a layer's state: h, and an LSTM's c */
    size_t fed;          /* of what input feeding hands on; 0: nothing */
    size_t start;        /* L * parts * D: states of all layers, h first */
    size_t row;          /* start + fed: what a running decoder remembers */
    size_t out;          /* R */
    size_t keys, values; /* with attention, as they are kept for a source; else 0 */
} at_rnn_sizes;

typedef struct at_rnn_net {
    at_rnn_sizes sizes;
    at_embedding source, target;
    at_param *output;
    at_recurrent encoder, decoder;
    at_projection context; /* C of a last state or a mean; weight NULL: that itself */
    at_projection start;   /* the first states, of C; weight NULL: the encoder's last ones are handed over */
    at_param *fed;         /* (G D,·) what C, C_i or the fed-back row adds to the sums of layer 0, or NULL */
    at_scorer scorer;      /* with attention */
    at_projection by_state; /* (R',D) read-out, or Luong's attended row */
    at_param *by_word;      /* (R',E), read-out only */
    at_param *by_context;   /* (R',M or width of C) */
} at_rnn_net;

/* What the encoder leaves. It begins with the rows that others see and hand on. */
typedef struct at_rnn_memory {
    at_var rows;     /* (N,M), without gradient */
    at_var *values;  /* (N,M) */
    at_var *keys;    /* what scores are of; NULL without attention */
    at_var *start;   /* (B,start) */
    at_var *context; /* (B,·) one C for all words, or NULL */
} at_rnn_memory;

at_var *at_rnn_encode(const at_model *model, at_tape *tape, const at_batch *batch);

/* Rows of sequences, step by step. */
typedef struct at_rnn_plan {
    size_t sequences, steps, rows;
    const int32_t *order;     /* (sequences) longest first */
    const int32_t *counts;    /* (steps) sequences that have a row there */
    const int32_t *firsts;    /* (steps) where its rows begin */
    const int32_t *there;     /* (rows) by time: the row in order of sequences */
    const int32_t *back;      /* (rows) in order of sequences: the row by time */
    const int32_t *owner;     /* (rows) by time: place of its sequence in `order` */
    const uint32_t *examples; /* (sequences) in `order`, for dropout */
    const int32_t *ones;      /* (sequences+1) 0, 1, 2, …: a row a sequence */
} at_rnn_plan;

/* Rows of sequence b. */
static inline size_t at_rnn_length(const at_rows *rows, size_t b)
{
    return (size_t)(rows->offsets[b + 1] - rows->offsets[b]);
}

/* On the tape; false: see there. */
bool at_rnn_plan_make(at_tape *tape, const at_rows *rows, at_rnn_plan *plan);

/* One run of the decoder. */
typedef struct at_rnn_pass {
    const at_model *model;
    const at_rnn_options *o;
    const at_rnn_net *net;
    at_tape *tape;
    const at_rows *rows; /* of the target */
    const int32_t *ids;
    at_rnn_plan plan;
    at_rows memory_rows;                               /* of keys and values, in the plan's order */
    at_var *keys, *values, *start, *context, *fed_row; /* fed_row: what input feeding begins with */
    bool ready;                                        /* keys are as the scorer keeps them */
    at_scorer_run *scores;                             /* with attention */
    at_repeated *logits;                               /* the output product, when words are sampled */
    const int32_t *starts; /* (sequences) in the plan's order: rows that came before; NULL: none */
    at_state *state;       /* running; then also: */
    const int *slots;      /* (sequences) in the caller's order */
    const int32_t *shared; /* (memory_rows.count+1) which slots look at one source; NULL: each at its own */
} at_rnn_pass;

at_var *at_rnn_decode(const at_model *model, at_tape *tape, const at_batch *batch, at_var *memory);
/* The loop over steps: output rows (N,R) in the order of pass->rows. */
at_var *at_rnn_steps(at_rnn_pass *pass);
void at_rnn_state_source(const at_model *model, at_tape *tape, at_state *state, at_var *memory,
                         const at_rows *rows, const int *sources);
at_var *at_rnn_state_step(const at_model *model, at_tape *tape, at_state *state, const int *slots,
                          const at_rows *rows, const int32_t *ids);

/* Attention, for at most so many queries; false: see the tape. */
bool at_rnn_look_begin(at_rnn_pass *pass, size_t queries);
/* C_i of every row of pass->rows; and of the first `count` sequences of the plan, which are at step t. */
at_var *at_rnn_look(const at_rnn_pass *pass, at_var *q);
at_var *at_rnn_look_step(const at_rnn_pass *pass, at_var *q, size_t t, size_t count);

/* The parts that whole sequences and steps share. */
at_var *at_rnn_drop(const at_rnn_pass *pass, at_var *x, const at_rows *rows);
at_var *at_rnn_words(const at_rnn_pass *pass);
at_var *at_rnn_sums(const at_rnn_pass *pass, size_t layer,
                    at_var *x); /* of a decoder's layer, by its input */
at_cell_state at_rnn_first_state(const at_rnn_pass *pass, size_t layer);
at_var *at_rnn_read_out(const at_rnn_pass *pass, at_var *state, at_var *word, at_var *context);

/* Whether this run replaces words by the model's own. */
bool at_rnn_samples(const at_rnn_pass *pass);
/* The output rows of one step, not recorded. */
at_var *at_rnn_peek(const at_rnn_pass *pass, at_var *state, at_var *word, at_var *context, size_t count);
/* Puts the model's own words for some of the `count` sequences of step t, by their output rows of the step
 * before. ids (count) in the plan's order. */
void at_rnn_sample(const at_rnn_pass *pass, size_t t, size_t count, const at_var *rows, int32_t *ids);
#endif

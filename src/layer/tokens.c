#include "layer/tokens.h"
#include <math.h>
#include <string.h>
#include "base/rng.h"
#include "kernel/dropout.h"
#include "layer/internal.h"
#include "layer/pool.h"

/* ---------------------------------------------------------------- class token and positions */

typedef struct tokens {
    const at_kernels *k;
    size_t count, rows, d; /* pictures, rows of each before, width */
    bool class;
    const float *x, *first, *learned, *fixed; /* what is added; any may be NULL */
    float *out;
    const float *d_out;
    float *d_x, *d_first, *d_learned;
} tokens;

static size_t out_rows(const tokens *s)
{
    return s->rows + s->class;
}

static void token_rows(void *context, size_t begin, size_t end, int worker)
{
    (void)worker;
    const tokens *s = context;
    size_t each = out_rows(s);
    for (size_t i = begin; i < end; i++) {
        size_t b = i / each, t = i % each;
        float *out = s->out + i * s->d;
        const float *x = s->class && t == 0 ? s->first : s->x + (b * s->rows + t - s->class) * s->d;
        memcpy(out, x, s->d * sizeof *out);
        if (s->learned)
            s->k->add(out, out, s->learned + t * s->d, s->d);
        if (s->fixed)
            s->k->add(out, out, s->fixed + t * s->d, s->d);
    }
}

/* Tokens at places begin … end-1 of all pictures, so sums over pictures never race. */
static void token_places_back(void *context, size_t begin, size_t end, int worker)
{
    (void)worker;
    const tokens *s = context;
    size_t each = out_rows(s), d = s->d;
    for (size_t t = begin; t < end; t++)
        for (size_t b = 0; b < s->count; b++) {
            const float *d_out = s->d_out + (b * each + t) * d;
            bool first = s->class && t == 0;
            float *to = first ? s->d_first : s->d_x ? s->d_x + (b * s->rows + t - s->class) * d : NULL;
            if (to)
                s->k->add(to, to, d_out, d);
            if (s->d_learned)
                s->k->add(s->d_learned + t * d, s->d_learned + t * d, d_out, d);
        }
}

static void tokens_backward(at_tape *tape, const at_node *node)
{
    tokens s = *(const tokens *)node->saved;
    s.d_out = node->out->grad;
    s.d_x = at_tape_grad(tape, node->in[0], NULL);
    s.d_first = at_tape_grad(tape, node->in[1], NULL);
    s.d_learned = at_tape_grad(tape, node->in[2], NULL);
    if (tape->status == AT_OK)
        at_exec_rows(tape->exec, out_rows(&s), 1 + AT_LAYER_GRAIN / (s.count * s.d + 1), token_places_back,
                     &s);
}

const at_op at_op_tokens = {"tokens", tokens_backward};

at_var *at_tokens(at_tape *tape, at_var *x, const at_token_spec *spec)
{
    if (!x || !at_expect_rank(tape, "tokens", x, 2))
        return NULL;
    size_t d = (size_t)x->shape.dim[1];
    AT_ASSERT(spec->count > 0 && (size_t)x->shape.dim[0] % spec->count == 0);
    tokens s = {.k = tape->exec->kernels,
                .count = spec->count,
                .rows = (size_t)x->shape.dim[0] / spec->count,
                .d = d,
                .class = spec->class != NULL,
                .x = x->data,
                .first = spec->class ? spec->class->data : NULL,
                .learned = spec->learned ? spec->learned->data : NULL,
                .fixed = spec->fixed};
    const at_param *const given[] = {spec->class, spec->learned};
    const size_t want[] = {d, out_rows(&s) * d};
    for (int i = 0; i < 2; i++)
        if (given[i] && at_shape_count(given[i]->shape) != want[i]) {
            at_tape_fail(tape, AT_ESHAPE, "%s %s: rows are %s, %zu a picture", given[i]->name,
                         at_shape_text(given[i]->shape).s, at_shape_text(x->shape).s, out_rows(&s));
            return NULL;
        }
    at_var *out = at_tape_value(tape, at_shape2((int64_t)(s.count * out_rows(&s)), (int64_t)d));
    tokens *kept = at_tape_saved(tape, 1, sizeof *kept);
    if (tape->status != AT_OK)
        return NULL;
    s.out = out->data;
    *kept = s;
    at_exec_rows(tape->exec, s.count * out_rows(&s), 1 + AT_LAYER_GRAIN / (d + 1), token_rows, kept);
    at_var *in[] = {x, spec->class ? at_param_var(tape, spec->class) : NULL,
                    spec->learned ? at_param_var(tape, spec->learned) : NULL};
    return at_tape_record(tape, &at_op_tokens, out, in, 3, kept);
}

/* ---------------------------------------------------------------- factors of columns */

typedef struct scaled {
    const at_kernels *k;
    const float *x, *gain;
    float *out;
    size_t d, each; /* columns that share a factor */
    const float *d_out;
    float *d_x, *products;
} scaled;

static void scale_rows(void *context, size_t begin, size_t end, int worker)
{
    (void)worker;
    const scaled *s = context;
    for (size_t i = begin; i < end; i++)
        for (size_t j = 0; j < s->d; j += s->each)
            s->k->scale(s->out + i * s->d + j, s->x + i * s->d + j, s->gain[j / s->each], s->each);
}

static void scale_wide_rows(void *context, size_t begin, size_t end, int worker)
{
    (void)worker;
    const scaled *s = context;
    for (size_t i = begin; i < end; i++)
        s->k->mul(s->out + i * s->d, s->x + i * s->d, s->gain, s->d);
}

static void scale_rows_back(void *context, size_t begin, size_t end, int worker)
{
    (void)worker;
    const scaled *s = context;
    for (size_t i = begin; i < end; i++) {
        const float *d_out = s->d_out + i * s->d;
        for (size_t j = 0; s->d_x && j < s->d; j += s->each)
            s->k->axpy(s->d_x + i * s->d + j, s->gain[j / s->each], d_out + j, s->each);
        if (s->products)
            s->k->mul(s->products + i * s->d, d_out, s->x + i * s->d, s->d);
    }
}

static void scale_wide_rows_back(void *context, size_t begin, size_t end, int worker)
{
    (void)worker;
    const scaled *s = context;
    for (size_t i = begin; i < end; i++) {
        const float *d_out = s->d_out + i * s->d;
        if (s->d_x)
            s->k->mul_add(s->d_x + i * s->d, d_out, s->gain, s->d);
        if (s->products)
            s->k->mul(s->products + i * s->d, d_out, s->x + i * s->d, s->d);
    }
}

/* Sums of the products' columns, then of the columns that share a factor. */
static void add_gain(at_tape *tape, const scaled *s, size_t rows, float *d_gain)
{
    float *sums = at_tape_borrow(tape, s->d);
    if (!sums)
        return;
    memset(sums, 0, s->d * sizeof *sums);
    at_add_columns(tape->exec, sums, s->products, rows, s->d);
    for (size_t j = 0; j < s->d; j++)
        d_gain[j / s->each] += sums[j];
    at_tape_return(tape, sums);
}

static void scale_columns_backward(at_tape *tape, const at_node *node)
{
    scaled s = *(const scaled *)node->saved;
    size_t rows = (size_t)node->out->shape.dim[0];
    s.d_out = node->out->grad;
    s.d_x = at_tape_grad(tape, node->in[0], NULL);
    float *d_gain = at_tape_grad(tape, node->in[1], NULL);
    s.products = d_gain ? at_tape_borrow(tape, rows * s.d + 1) : NULL;
    if (tape->status != AT_OK)
        return;
    at_exec_rows(tape->exec, rows, 1 + AT_LAYER_GRAIN / (s.d + 1),
                 s.each == 1 ? scale_wide_rows_back : scale_rows_back, &s);
    if (d_gain)
        add_gain(tape, &s, rows, d_gain);
    if (s.products)
        at_tape_return(tape, s.products);
}

const at_op at_op_scale_columns = {"scale_columns", scale_columns_backward};

at_var *at_scale_columns(at_tape *tape, at_var *x, const at_param *gain)
{
    if (!x || !at_expect_rank(tape, gain->name, x, 2))
        return NULL;
    size_t groups = at_shape_count(gain->shape), d = (size_t)x->shape.dim[1];
    if (groups == 0 || d % groups != 0) {
        at_tape_fail(tape, AT_ESHAPE, "%s: %zu factors do not divide the columns of %s", gain->name, groups,
                     at_shape_text(x->shape).s);
        return NULL;
    }
    at_var *out = at_tape_value(tape, x->shape);
    scaled *s = at_tape_saved(tape, 1, sizeof *s);
    if (tape->status != AT_OK)
        return NULL;
    *s = (scaled){.k = tape->exec->kernels,
                  .x = x->data,
                  .gain = gain->data,
                  .out = out->data,
                  .d = d,
                  .each = d / groups};
    at_exec_rows(tape->exec, (size_t)x->shape.dim[0], 1 + AT_LAYER_GRAIN / (d + 1),
                 s->each == 1 ? scale_wide_rows : scale_rows, s);
    return at_tape_record(tape, &at_op_scale_columns, out, (at_var *[]){x, at_param_var(tape, gain)}, 2, s);
}

/* ---------------------------------------------------------------- branches left out */

typedef struct paths {
    const at_kernels *k;
    const float *base, *x;
    float *out;
    size_t d, count;
    const int32_t *offsets;
    float *factors; /* (B) 0 or 1 / (1 - rate) */
    const float *d_out;
    float *d_x;
} paths;

static void path_sequences(void *context, size_t begin, size_t end, int worker)
{
    (void)worker;
    const paths *s = context;
    for (size_t b = begin; b < end; b++) {
        size_t at = (size_t)s->offsets[b] * s->d, n = (size_t)s->offsets[b + 1] * s->d - at;
        memcpy(s->out + at, s->base + at, n * sizeof *s->out);
        if (s->factors[b] > 0)
            s->k->axpy(s->out + at, s->factors[b], s->x + at, n);
    }
}

static void path_sequences_back(void *context, size_t begin, size_t end, int worker)
{
    (void)worker;
    const paths *s = context;
    for (size_t b = begin; b < end; b++) {
        size_t at = (size_t)s->offsets[b] * s->d, n = (size_t)s->offsets[b + 1] * s->d - at;
        if (s->factors[b] > 0)
            s->k->axpy(s->d_x + at, s->factors[b], s->d_out + at, n);
    }
}

static void drop_paths_backward(at_tape *tape, const at_node *node)
{
    paths s = *(const paths *)node->saved;
    s.d_out = node->out->grad;
    s.d_x = at_tape_grad(tape, node->in[0], NULL);
    if (s.d_x)
        at_exec_rows(tape->exec, s.count, 1, path_sequences_back, &s);
    at_pass_gradient(tape, node->in[1], node->out);
}

const at_op at_op_drop_paths = {"drop_paths", drop_paths_backward};

static uint32_t example_of(const at_rows *rows, size_t b)
{
    return rows->examples ? rows->examples[b] : (uint32_t)b;
}

at_var *at_drop_paths(at_tape *tape, at_var *base, at_var *x, float rate, const at_rows *rows)
{
    if (!base || !x || tape->mode != AT_TAPE_TRAIN || rate <= 0)
        return base && x ? at_add(tape, base, x) : NULL;
    if (!at_expect_shape(tape, "branch", x, base->shape))
        return NULL;
    AT_ASSERT(at_rows_total(rows) == (size_t)x->shape.dim[0] && rate < 1);
    at_var *out = at_tape_value(tape, x->shape);
    paths *s = at_tape_saved(tape, 1, sizeof *s);
    float *factors = at_tape_saved(tape, rows->count + 1, sizeof *factors);
    int32_t *offsets = at_tape_saved(tape, rows->count + 1, sizeof *offsets);
    uint32_t key[2], word[4];
    if (tape->status != AT_OK)
        return NULL;
    at_tape_dropout_key(tape, key);
    memcpy(offsets, rows->offsets, (rows->count + 1) * sizeof *offsets);
    for (size_t b = 0; b < rows->count; b++) {
        at_philox((uint32_t[]){0, example_of(rows, b), 0, 0}, key, word);
        factors[b] = word[0] < at_drop_limit(rate) ? 0 : at_drop_scale(rate);
    }
    *s = (paths){.k = tape->exec->kernels,
                 .base = base->data,
                 .x = x->data,
                 .out = out->data,
                 .d = (size_t)x->shape.dim[1],
                 .count = rows->count,
                 .offsets = offsets,
                 .factors = factors};
    at_exec_rows(tape->exec, rows->count, 1, path_sequences, s);
    return at_tape_record(tape, &at_op_drop_paths, out, (at_var *[]){x, base}, 2, s);
}

/* ---------------------------------------------------------------- rows */

at_rows at_rows_even(at_tape *tape, size_t count, size_t each, const uint32_t *examples)
{
    if (count > 0 && each > INT32_MAX / count) {
        at_tape_fail(tape, AT_ENOSUP, "%zu pictures of %zu rows are too many for one batch", count, each);
        return (at_rows){0};
    }
    int32_t *offsets = at_tape_saved(tape, count + 1, sizeof *offsets);
    for (size_t b = 0; offsets && b <= count; b++)
        offsets[b] = (int32_t)(b * each);
    return offsets ? (at_rows){count, offsets, examples} : (at_rows){0};
}

/* Chooses by a shuffle of its own for each example, then puts what is left in order. */
static void choose(const uint32_t key[2], uint32_t example, size_t rows, size_t kept, uint32_t *places,
                   bool *stays)
{
    uint32_t word[4];
    for (size_t i = 0; i < rows; i++) {
        places[i] = (uint32_t)i;
        stays[i] = false;
    }
    for (size_t i = 0; i < kept; i++) {
        at_philox((uint32_t[]){(uint32_t)i, example, 0, 0}, key, word);
        size_t j = i + (size_t)(((uint64_t)word[0] * (uint64_t)(rows - i)) >> 32);
        uint32_t swapped = places[i];
        places[i] = places[j];
        places[j] = swapped;
        stays[places[i]] = true;
    }
}

at_var *at_drop_rows(at_tape *tape, at_var *x, float rate, size_t keep, const at_rows *rows, size_t *each)
{
    if (!x || rows->count == 0)
        return x;
    size_t all = (size_t)rows->offsets[1], loose = all - keep;
    *each = all;
    if (tape->mode != AT_TAPE_TRAIN || rate <= 0 || loose < 2)
        return x;
    size_t kept = (size_t)lrintf((float)loose * (1 - rate)), n = 0;
    kept = kept < 1 ? 1 : kept;
    uint32_t key[2], *places = at_tape_saved(tape, loose, sizeof *places);
    bool *stays = at_tape_saved(tape, loose, sizeof *stays);
    int32_t *index = at_tape_saved(tape, rows->count * (keep + kept), sizeof *index);
    if (tape->status != AT_OK)
        return NULL;
    at_tape_dropout_key(tape, key);
    for (size_t b = 0; b < rows->count; b++) {
        AT_ASSERT((size_t)rows->offsets[b + 1] == (b + 1) * all);
        choose(key, example_of(rows, b), loose, kept, places, stays);
        for (size_t i = 0; i < all; i++)
            if (i < keep || stays[i - keep])
                index[n++] = (int32_t)(b * all + i);
    }
    *each = keep + kept;
    return at_pick_rows(tape, x, index, n);
}

void at_sinusoids_2d(float *out, size_t height, size_t width, size_t d)
{
    size_t each = d / 4;
    AT_ASSERT(d % 4 == 0 && each > 1);
    for (size_t y = 0; y < height; y++)
        for (size_t x = 0; x < width; x++, out += d)
            for (size_t i = 0; i < each; i++) {
                double frequency = pow(10000.0, -(double)i / (double)(each - 1));
                out[i] = (float)sin((double)x * frequency);
                out[each + i] = (float)cos((double)x * frequency);
                out[2 * each + i] = (float)sin((double)y * frequency);
                out[3 * each + i] = (float)cos((double)y * frequency);
            }
}

const at_op *const at_picture_ops[] = {&at_op_unfold, &at_op_convolve,      &at_op_max_windows,
                                       &at_op_tokens, &at_op_scale_columns, &at_op_drop_paths,
                                       NULL};

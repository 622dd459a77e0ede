#include "task/by_hand.h"
#include <math.h>
#include <string.h>
#include "base/buf.h"
#include "base/memory.h"

/* Rows of a weight that the file gives: they decide how wide the hidden numbers are. 0: not given. */
static size_t rows_of(const at_by_hand *in, const char *name)
{
    return json_array_size(json_object_get(in->weights, name));
}

static size_t hidden_width(const at_by_hand *in)
{
    static const char *const names[] = {"query.weight", "v", "centre.hidden.weight"};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        if (rows_of(in, names[i]) > 0)
            return rows_of(in, names[i]);
    }
    return 0;
}

static at_status declare(const at_by_hand *in, at_params *params, at_scorer *scorer)
{
    const at_by_hand_options *o = &in->options;
    bool location = o->score == AT_SCORE_LOCATION && rows_of(in, "weight") > 0;
    at_scorer_spec spec = {.score = (at_score)o->score,
                           .normalise = (at_normaliser)o->normalise,
                           .local = (at_local)o->local,
                           .reach = o->reach,
                           .query_width = in->queries.width,
                           .key_width = in->keys.width,
                           .hidden = hidden_width(in),
                           .places = location ? rows_of(in, "weight") : in->keys.count};
    at_status st = at_scorer_declare(params, "", &spec, scorer);
    /* Declared as asked, so that messages name it; its scale is a step of its own here. */
    if (scorer->spec.score == AT_SCORE_SCALED_DOT)
        scorer->spec.score = AT_SCORE_DOT;
    return st == AT_OK ? at_params_allocate(params) : st;
}

static at_status wanting(const at_by_hand *in, const at_params *params)
{
    at_buf list = {0};
    for (size_t i = 0; i < params->count; i++)
        at_buf_printf(&list, "%s%s %s", i ? ", " : "", params->list[i]->name,
                      at_shape_text(params->list[i]->shape).s);
    at_status st = at_buf_status(&list);
    if (st == AT_OK)
        st = at_fail(AT_EARG,
                     "score '%s'%s learns numbers: give %s in field 'weights', or --seed N draws them",
                     at_score_table[in->options.score].name,
                     in->options.local == AT_LOCAL_PREDICTIVE ? " with local-p" : "", list.data);
    at_buf_free(&list);
    return st;
}

/* [numbers] for a vector, [[numbers], …] for a matrix. */
static at_status read_weight(const json_t *value, const at_param *p, float *out)
{
    size_t rows = p->shape.rank == 2 ? (size_t)p->shape.dim[0] : 1;
    size_t width = (size_t)p->shape.dim[p->shape.rank - 1];
    for (size_t i = 0; i < rows; i++) {
        const json_t *row = p->shape.rank == 2 ? json_array_get(value, i) : value;
        bool fits = json_array_size(row) == width && (p->shape.rank == 1 || json_array_size(value) == rows);
        for (size_t j = 0; fits && j < width; j++) {
            const json_t *number = json_array_get(row, j);
            out[i * width + j] = (float)json_number_value(number);
            fits = json_is_number(number) && isfinite(out[i * width + j]);
        }
        if (!fits)
            return at_fail(AT_EARG, "weights: '%s' wants numbers of shape %s", p->name,
                           at_shape_text(p->shape).s);
    }
    return AT_OK;
}

static at_status fill(const at_by_hand *in, at_params *params)
{
    const char *name;
    json_t *value;
    json_object_foreach(in->weights, name, value)
    {
        if (!at_params_find(params, name))
            return params->count ? wanting(in, params)
                                 : at_fail(AT_EARG, "weights: score '%s' learns no numbers, so none are read",
                                           at_score_table[in->options.score].name);
    }
    if (params->count && in->draw)
        at_params_init(params, in->seed);
    for (size_t i = 0; i < params->count; i++) {
        const at_param *p = params->list[i];
        value = json_object_get(in->weights, p->name);
        if (!value && !in->draw)
            return wanting(in, params);
        at_status st = value ? read_weight(value, p, params->block + p->offset) : AT_OK;
        if (st != AT_OK)
            return st;
    }
    return AT_OK;
}

static at_status make_room(const at_by_hand *in, at_by_hand_result *out)
{
    size_t pairs = in->queries.count * in->keys.count, width = in->values.width;
    *out = (at_by_hand_result){.factor = 1};
    out->scores = at_alloc_zero(pairs, sizeof *out->scores);
    out->masked = at_alloc_zero(pairs, sizeof *out->masked);
    out->weights = at_alloc_zero(pairs, sizeof *out->weights);
    out->parts = at_alloc_zero(pairs * width, sizeof *out->parts);
    out->sums = at_alloc_zero(in->queries.count * width, sizeof *out->sums);
    bool local = in->options.local == AT_LOCAL_PREDICTIVE;
    out->centres = local ? at_alloc_zero(in->queries.count, sizeof *out->centres) : NULL;
    return out->scores && out->masked && out->weights && out->parts && out->sums && (!local || out->centres)
               ? AT_OK
               : AT_ENOMEM;
}

static at_var *leaf(at_tape *tape, const at_named_rows *rows)
{
    return at_leaf(tape, at_shape2((int64_t)rows->count, (int64_t)rows->width), rows->numbers, NULL);
}

static const float *bias_of(at_tape *tape, const at_by_hand *in)
{
    size_t n = in->queries.count * in->keys.count;
    float *bias = in->mask ? at_tape_saved(tape, n, sizeof *bias) : NULL;
    if (bias)
        at_bias_of_mask(bias, in->mask, n);
    return bias;
}

/* Copies a stage out of the tape. NULL: an earlier step has failed. */
static void keep(float *to, const at_var *from)
{
    if (from)
        memcpy(to, from->data, at_shape_count(from->shape) * sizeof *to);
}

/* The steps, one operation each. */
static void compute(at_tape *tape, const at_by_hand *in, const at_scorer *scorer, at_by_hand_result *out)
{
    const int32_t q_rows[] = {0, (int32_t)in->queries.count}, k_rows[] = {0, (int32_t)in->keys.count};
    const at_by_hand_options *o = &in->options;
    const at_pairs *pairs = at_pairs_new(
        tape, &(at_pairs){.heads = 1, .groups = 1, .queries = {1, q_rows, NULL}, .keys = {1, k_rows, NULL}});
    at_var *q = leaf(tape, &in->queries), *v = leaf(tape, &in->values);
    at_scorer_run *run = at_scorer_begin(tape, scorer, leaf(tape, &in->keys), 1, in->queries.count);
    at_var *scores = at_scorer_scores(tape, run, q, pairs), *share = at_scorer_share(tape, run, q);
    keep(out->scores, scores);
    if (o->score == AT_SCORE_SCALED_DOT && o->scale)
        out->factor = 1.0f / sqrtf((float)in->keys.width);
    at_pair_mask mask = {.causal = in->causal,
                         .reach = o->local == AT_LOCAL_NONE ? 0 : o->reach,
                         .share = share,
                         .added = bias_of(tape, in)};
    at_var *scaled = out->factor == 1 ? scores : at_scale(tape, scores, out->factor);
    at_var *masked = at_pairs_mask(tape, scaled, pairs, &mask);
    keep(out->masked, masked);
    at_var *weights = at_pairs_normalise(tape, masked, pairs, (at_normaliser)o->normalise);
    if (share)
        weights = at_pairs_focus(tape, weights, share, pairs, o->reach);
    for (size_t i = 0; share && out->centres && i < in->queries.count; i++)
        out->centres[i] = share->data[i] * (float)in->keys.count;
    keep(out->weights, weights);
    keep(out->sums, at_pairs_sum(tape, weights, v, pairs));
    size_t keys = in->keys.count, width = in->values.width;
    for (size_t i = 0; weights && i < in->queries.count * keys; i++)
        tape->exec->kernels->scale(out->parts + i * width, in->values.numbers + i % keys * width,
                                   weights->data[i], width);
}

at_status at_by_hand_run(at_exec *exec, const at_by_hand *in, at_by_hand_result *out)
{
    at_params params = {0};
    at_scorer scorer;
    at_tape *tape = NULL;
    at_status st = make_room(in, out);
    if (st == AT_OK)
        st = declare(in, &params, &scorer);
    if (st == AT_OK)
        st = fill(in, &params);
    if (st == AT_OK)
        st = at_tape_new(exec, &tape);
    if (st == AT_OK) {
        at_tape_begin(tape, AT_TAPE_RUN, 0, 0);
        compute(tape, in, &scorer, out);
        st = at_tape_status(tape);
    }
    at_tape_free(tape);
    at_params_free(&params);
    if (st != AT_OK)
        at_by_hand_result_free(out);
    return st;
}

void at_by_hand_result_free(at_by_hand_result *result)
{
    at_free(result->scores);
    at_free(result->masked);
    at_free(result->weights);
    at_free(result->parts);
    at_free(result->sums);
    at_free(result->centres);
    *result = (at_by_hand_result){0};
}

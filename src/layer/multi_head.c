#include "layer/multi_head.h"
#include <math.h>
#include <stdio.h>
#include "attention/trace.h"
#include "layer/tokens.h"

at_status at_projection_declare(at_params *params, const char *prefix, const char *name, at_shape shape,
                                bool bias, at_projection *projection)
{
    char full[256];
    snprintf(full, sizeof full, "%s%s.weight", prefix, name);
    at_param_spec weight = {full, shape, AT_DECAYED, AT_INIT_XAVIER, 0, NULL, false};
    at_status st = at_params_add(params, &weight, &projection->weight);
    if (st != AT_OK)
        return st;
    projection->weight->compact = true;
    if (!bias)
        return AT_OK;
    snprintf(full, sizeof full, "%s%s.bias", prefix, name);
    at_param_spec zero = {full, at_shape1(shape.dim[0]), AT_PLAIN, AT_INIT_ZERO, 0, NULL, false};
    return at_params_add(params, &zero, &projection->bias);
}

at_status at_linformer_declare(at_params *params, const char *prefix, const at_linformer_spec *spec,
                               size_t groups, at_linformer_weights *weights)
{
    char full[256];
    int64_t places = (int64_t)spec->places, slots = (int64_t)spec->slots;
    /* Its rows are taken one by one, as an embedding's: packed panels would serve nobody. */
    at_param_spec matrix = {.name = full,
                            .shape = spec->share_heads ? at_shape2(places, slots)
                                                       : at_shape3((int64_t)groups, places, slots),
                            .role = AT_DECAYED,
                            .init = AT_INIT_NORMAL,
                            .deviation = 1.0f / sqrtf((float)spec->slots),
                            .gathered = true};
    snprintf(full, sizeof full, "%slinformer.keys", prefix);
    at_status st = at_params_add(params, &matrix, &weights->keys);
    weights->values = weights->keys;
    if (st != AT_OK || spec->share_values)
        return st;
    snprintf(full, sizeof full, "%slinformer.values", prefix);
    return at_params_add(params, &matrix, &weights->values);
}

at_status at_multi_head_declare(at_params *params, const char *prefix, const at_multi_head_spec *spec,
                                at_multi_head_weights *weights)
{
    static const at_projection_names usual = {"q_proj", "k_proj", "v_proj", "out_proj"};
    const at_projection_names *names = spec->names ? spec->names : &usual;
    int64_t query = (int64_t)(spec->heads * spec->head_width),
            key = (int64_t)(spec->groups * spec->head_width);
    *weights = (at_multi_head_weights){0};
    at_status st =
        at_projection_declare(params, prefix, names->query, at_shape2(query, (int64_t)spec->query_width),
                              spec->biases, &weights->query);
    if (st == AT_OK)
        st = at_projection_declare(params, prefix, names->key, at_shape2(key, (int64_t)spec->key_width),
                                   spec->biases, &weights->key);
    if (st == AT_OK && !spec->shared_values)
        st = at_projection_declare(params, prefix, names->value, at_shape2(key, (int64_t)spec->value_width),
                                   spec->biases, &weights->value);
    if (st == AT_OK)
        st = at_projection_declare(params, prefix, names->out, at_shape2((int64_t)spec->out_width, query),
                                   spec->biases, &weights->out);
    if (st == AT_OK && spec->linformer.slots && !spec->linformer.share_layers)
        st = at_linformer_declare(params, prefix, &spec->linformer, spec->groups, &weights->linformer);
    if (st != AT_OK)
        return st;
    char full[256];
    snprintf(full, sizeof full, "%sscore.", prefix);
    at_scorer_spec scorer = {.score = spec->score,
                             .normalise = spec->normalise,
                             .query_width = spec->head_width,
                             .key_width = spec->head_width,
                             .heads = spec->heads,
                             .places = spec->linformer.slots ? spec->linformer.slots : spec->places,
                             .projected = true};
    return at_scorer_declare(params, full, &scorer, &weights->scorer);
}

at_var *at_project(at_tape *tape, const at_projection *projection, at_var *x)
{
    return at_linear(tape, x, projection->weight, projection->bias, AT_LINEAR);
}

at_var *at_project_onto(at_tape *tape, at_var *base, const at_projection *projection, at_var *x)
{
    return at_linear_onto(tape, base, x, projection->weight, projection->bias);
}

static bool fused(const at_multi_head_weights *weights)
{
    const at_scorer_spec *s = &weights->scorer.spec;
    return s->score == AT_SCORE_SCALED_DOT && s->normalise == AT_NORMALISE_SOFTMAX;
}

/* starts: places of the first queries; NULL: 0. */
static at_var *by_pairs(at_tape *tape, const at_multi_head_weights *weights, at_var *q, at_var *k, at_var *v,
                        const at_attend_spec *spec, const int32_t *starts)
{
    if (spec->bias.numbers || spec->softcap != 0 || spec->ahead != 0 || spec->scale != 0) {
        at_tape_fail(
            tape, AT_ENOSUP,
            "score '%s' knows no bias, soft-cap, keys ahead or scale: 'scaled-dot' with softmax does",
            at_score_table[weights->scorer.spec.score].name);
        return NULL;
    }
    if (!q || !k || !v)
        return NULL;
    at_scorer_run *run =
        at_scorer_begin(tape, &weights->scorer, k, spec->groups, at_rows_total(&spec->queries));
    const at_pairs *pairs = at_pairs_new(
        tape, &(at_pairs){spec->heads, spec->groups, spec->queries, spec->keys, starts, NULL, NULL});
    at_pair_mask mask = {.causal = spec->causal, .window = spec->window};
    at_var *w = at_scorer_weights(tape, run, q, pairs, &mask);
    at_pairs_trace(tape, w, pairs, spec->kind, spec->layer);
    if (!w || !at_scorer_guide(tape, run, pairs, spec->kind, spec->layer))
        return NULL;
    return at_pairs_sum(tape, at_pairs_drop(tape, w, pairs, spec->dropout), v, pairs);
}

at_var *at_heads_attend(at_tape *tape, const at_multi_head_weights *weights, at_var *q, at_var *k, at_var *v,
                        const at_attend_spec *spec)
{
    if (!fused(weights))
        return by_pairs(tape, weights, q, k, v, spec, spec->past);
    at_attend_spec like = *spec;
    like.rounded = at_narrow_weights(tape, weights->query.weight);
    return at_attention(tape, q, k, v, &like);
}

at_var *at_heads_attend_cached(at_tape *tape, const at_multi_head_weights *weights, at_var *q,
                               const at_cached_keys *caches, size_t key_width, size_t value_width,
                               const at_attend_spec *spec)
{
    if (fused(weights))
        return at_attention_cached(tape, q, caches, key_width, value_width, spec);
    size_t count = spec->queries.count;
    at_attend_spec whole = *spec;
    int32_t *starts = at_tape_saved(tape, count, sizeof *starts);
    if (!starts || !at_pairs_lengths(tape, caches, count, &whole.keys))
        return NULL;
    for (size_t b = 0; b < count; b++) { /* the new rows are the last of their sequence */
        int32_t queries = spec->queries.offsets[b + 1] - spec->queries.offsets[b];
        starts[b] = spec->causal ? (int32_t)caches[b].length - queries : 0;
    }
    at_var *k = at_pairs_gather(tape, caches, count, spec->groups, key_width, false);
    at_var *v = at_pairs_gather(tape, caches, count, spec->groups, value_width, true);
    return by_pairs(tape, weights, q, k, v, &whole, spec->past ? spec->past : starts);
}

/* The masks that sums over places allow: none but of whole keys. */
static bool may_project(at_tape *tape, const at_attend_spec *spec)
{
    if (!spec->causal && spec->window == 0)
        return true;
    at_tape_fail(
        tape, AT_ENOSUP,
        "Linformer: each of its keys is a sum over all places, so %s would see what it must not: take "
        "full attention (linformer_k 0)",
        spec->causal ? "causal attention" : "a window");
    return false;
}

/* Attention of queries over k sums of keys and of values. */
static at_var *attend_projected(at_tape *tape, const at_multi_head_weights *weights, at_var *q, at_var *k,
                                at_var *v, const at_attend_spec *spec)
{
    const at_linformer_weights *l = &weights->linformer;
    at_attend_spec over = *spec;
    bool hides = spec->bias.numbers, narrow = at_narrow_weights(tape, weights->key.weight),
         same = k == v && l->keys == l->values;
    if (!may_project(tape, spec))
        return NULL;
    if (hides) {
        bool both = k == v;
        k = at_linformer_hide(tape, k, &spec->bias, &spec->keys);
        v = both ? k : at_linformer_hide(tape, v, &spec->bias, &spec->keys);
        over.bias = (at_score_bias){0};
    }
    at_var *e = at_param_var(tape, l->keys), *f = same ? e : at_param_var(tape, l->values);
    k = at_linformer(tape, k, e, spec->groups, &spec->keys, narrow);
    v = same ? k : at_linformer(tape, v, f, spec->groups, &spec->keys, narrow);
    size_t slots = (size_t)l->keys->shape.dim[l->keys->shape.rank - 1];
    if (!k || !v || !at_linformer_rows(tape, &spec->keys, slots, &over.keys))
        return NULL;
    size_t before = tape->trace ? at_trace_count(tape->trace) : 0;
    at_var *out = at_heads_attend(tape, weights, q, k, v, &over);
    at_linformer_trace(tape, before, f, spec->heads, &spec->keys);
    return out;
}

at_var *at_multi_head(at_tape *tape, const at_multi_head_weights *weights, at_var *q, at_var *k, at_var *v,
                      const at_attend_spec *spec, at_var *base)
{
    at_var *queries = at_project(tape, &weights->query, q);
    at_var *keys = at_project(tape, &weights->key, k);
    at_var *values = weights->value.weight ? at_project(tape, &weights->value, v) : keys;
    if (weights->rotary) {
        queries = at_rotate(tape, weights->rotary, queries, spec->heads, &spec->queries, NULL);
        keys = at_rotate(tape, weights->rotary, keys, spec->groups, &spec->keys, NULL);
    }
    if (weights->temperature && queries)
        queries = at_scale_columns(tape, queries, weights->temperature);
    at_var *attended = weights->linformer.keys ? attend_projected(tape, weights, queries, keys, values, spec)
                                               : at_heads_attend(tape, weights, queries, keys, values, spec);
    return at_project_onto(tape, base, &weights->out, attended);
}

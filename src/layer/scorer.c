#include "layer/scorer.h"
#include <math.h>
#include <stdio.h>

struct at_scorer_run {
    const at_scorer *scorer;
    size_t groups;
    at_var *keys;       /* as the score reads them */
    at_repeated *query; /* additive: W_q */
    at_var *query_part; /* concat: the columns of W that meet the query */
    at_var *v, *gain;
    at_repeated *places, *centre_hidden;
    at_var *scores, *weights; /* of the last call, masked and normalised: what a guide teaches */
};

static at_status add(at_params *params, const char *prefix, const char *name, at_shape shape, at_init init,
                     float deviation, at_param **param)
{
    char full[256];
    snprintf(full, sizeof full, "%s%s", prefix, name);
    at_param_spec spec = {full, shape, shape.rank == 2 ? AT_DECAYED : AT_PLAIN, init, deviation, NULL, false};
    return at_params_add(params, &spec, param);
}

static at_status matrix(at_params *params, const char *prefix, const char *name, size_t out, size_t in,
                        at_param **param)
{
    return add(params, prefix, name, at_shape2((int64_t)out, (int64_t)in), AT_INIT_XAVIER, 0, param);
}

static at_status check_spec(const at_scorer_spec *s)
{
    const at_score_row *row = &at_score_table[s->score];
    bool equal = row->equal_widths || (s->score == AT_SCORE_ADDITIVE && s->projected);
    if (equal && s->query_width != s->key_width)
        return at_fail(AT_EARG,
                       "score '%s' wants queries and keys of one width; got %zu and %zu. general, additive, "
                       "concat and location take any",
                       row->name, s->query_width, s->key_width);
    if (s->local != AT_LOCAL_NONE && s->reach < 1)
        return at_fail(
            AT_EARG,
            "local attention looks at the keys within some distance of its centre: that must be at "
            "least 1; got %lld",
            (long long)s->reach);
    if (s->score == AT_SCORE_LOCATION && s->places < 1)
        return at_fail(AT_EARG, "score 'location' has a weight for each place of a key: it wants at least 1");
    return AT_OK;
}

/* v · tanh(…) begins as a mean of its hidden numbers' size. */
static at_status declare_v(at_params *params, const char *prefix, at_scorer *scorer)
{
    const at_scorer_spec *s = &scorer->spec;
    return add(params, prefix, "v", at_shape1((int64_t)(s->heads * s->hidden)), AT_INIT_NORMAL,
               1.0f / sqrtf((float)s->hidden), &scorer->v);
}

static at_status declare_score(at_params *params, const char *prefix, at_scorer *scorer)
{
    const at_scorer_spec *s = &scorer->spec;
    at_status st = AT_OK;
    switch (s->score) {
    case AT_SCORE_GENERAL:
        return matrix(params, prefix, "weight", s->query_width, s->key_width, &scorer->weight);
    case AT_SCORE_ADDITIVE:
        if (!s->projected)
            st = matrix(params, prefix, "query.weight", s->hidden, s->query_width, &scorer->query);
        if (st == AT_OK && !s->projected)
            st = matrix(params, prefix, "key.weight", s->hidden, s->key_width, &scorer->key);
        return st == AT_OK ? declare_v(params, prefix, scorer) : st;
    case AT_SCORE_CONCAT:
        st = matrix(params, prefix, "weight", s->hidden, s->query_width + s->key_width, &scorer->weight);
        return st == AT_OK ? declare_v(params, prefix, scorer) : st;
    case AT_SCORE_COSINE_LEARNED:
        return add(params, prefix, "gain", at_shape1((int64_t)s->heads), AT_INIT_ONE, 0, &scorer->gain);
    case AT_SCORE_LOCATION:
        return matrix(params, prefix, "weight", s->places, s->query_width, &scorer->weight);
    case AT_SCORE_DOT:
    case AT_SCORE_SCALED_DOT:
    case AT_SCORE_COSINE:
    case AT_SCORES:
        break;
    }
    return AT_OK;
}

at_status at_scorer_declare(at_params *params, const char *prefix, const at_scorer_spec *spec,
                            at_scorer *scorer)
{
    *scorer = (at_scorer){.spec = *spec};
    at_scorer_spec *s = &scorer->spec;
    s->heads = s->heads ? s->heads : 1;
    if (s->projected || s->hidden == 0)
        s->hidden = s->query_width;
    at_status st = check_spec(s);
    if (st == AT_OK)
        st = declare_score(params, prefix, scorer);
    if (st == AT_OK && s->local == AT_LOCAL_PREDICTIVE)
        st = matrix(params, prefix, "centre.hidden.weight", s->hidden, s->heads * s->query_width,
                    &scorer->centre_hidden);
    if (st == AT_OK && s->local == AT_LOCAL_PREDICTIVE)
        st = matrix(params, prefix, "centre.out.weight", 1, s->hidden, &scorer->centre_out);
    return st;
}

/* Rows of all heads one below the other, for a matrix that heads share; and back. */
static at_var *by_head(at_tape *tape, at_var *x, size_t heads, size_t width)
{
    if (heads == 1 || !x)
        return x;
    return at_reshape(tape, x, at_shape2(x->shape.dim[0] * (int64_t)heads, (int64_t)width));
}

static at_var *side_by_side(at_tape *tape, at_var *x, size_t heads)
{
    if (heads == 1 || !x)
        return x;
    return at_reshape(tape, x, at_shape2(x->shape.dim[0] / (int64_t)heads, x->shape.dim[1] * (int64_t)heads));
}

at_var *at_scorer_keys(at_tape *tape, const at_scorer *scorer, at_var *keys, size_t groups)
{
    const at_scorer_spec *s = &scorer->spec;
    if (!at_expect_rank(tape, "keys", keys, 2) ||
        !at_expect_shape(tape, "keys", keys, at_shape2(keys->shape.dim[0], (int64_t)(groups * s->key_width))))
        return NULL;
    at_var *rows = by_head(tape, keys, groups, s->key_width);
    switch (s->score) {
    case AT_SCORE_GENERAL:
        return side_by_side(tape, at_linear(tape, rows, scorer->weight, NULL, AT_LINEAR), groups);
    case AT_SCORE_ADDITIVE:
        if (s->projected)
            return keys;
        return side_by_side(tape, at_linear(tape, rows, scorer->key, NULL, AT_LINEAR), groups);
    case AT_SCORE_CONCAT: {
        at_var *part = at_columns(tape, at_param_var(tape, scorer->weight), s->query_width, s->key_width);
        return side_by_side(tape, at_matmul(tape, rows, part, true), groups);
    }
    case AT_SCORE_COSINE:
    case AT_SCORE_COSINE_LEARNED:
        return at_unit_rows(tape, keys, groups, NULL);
    case AT_SCORE_DOT:
    case AT_SCORE_SCALED_DOT:
    case AT_SCORE_LOCATION:
    case AT_SCORES:
        break;
    }
    return keys;
}

size_t at_scorer_key_width(const at_scorer *scorer)
{
    const at_scorer_spec *s = &scorer->spec;
    if (s->score == AT_SCORE_ADDITIVE || s->score == AT_SCORE_CONCAT)
        return s->hidden;
    return s->score == AT_SCORE_GENERAL ? s->query_width : s->key_width;
}

at_scorer_run *at_scorer_resume(at_tape *tape, const at_scorer *scorer, at_var *keys, size_t groups,
                                size_t rows)
{
    const at_scorer_spec *s = &scorer->spec;
    at_scorer_run *run = keys ? at_tape_saved(tape, 1, sizeof *run) : NULL;
    if (!run)
        return NULL;
    *run = (at_scorer_run){.scorer = scorer, .groups = groups, .keys = keys};
    if (s->score == AT_SCORE_CONCAT)
        run->query_part = at_columns(tape, at_param_var(tape, scorer->weight), 0, s->query_width);
    if (scorer->query)
        run->query = at_repeated_new(tape, scorer->query, NULL, rows * s->heads);
    if (s->score == AT_SCORE_LOCATION)
        run->places = at_repeated_new(tape, scorer->weight, NULL, rows * s->heads);
    if (scorer->centre_hidden)
        run->centre_hidden = at_repeated_new(tape, scorer->centre_hidden, NULL, rows);
    if (scorer->v)
        run->v = at_param_var(tape, scorer->v);
    if (scorer->gain)
        run->gain = at_scale(tape, at_param_var(tape, scorer->gain), sqrtf((float)s->key_width));
    return tape->status == AT_OK ? run : NULL;
}

at_scorer_run *at_scorer_begin(at_tape *tape, const at_scorer *scorer, at_var *keys, size_t groups,
                               size_t rows)
{
    return at_scorer_resume(tape, scorer, at_scorer_keys(tape, scorer, keys, groups), groups, rows);
}

at_var *at_scorer_scores(at_tape *tape, at_scorer_run *run, at_var *q, const at_pairs *pairs)
{
    if (!run || !q || !pairs)
        return NULL;
    const at_scorer_spec *s = &run->scorer->spec;
    AT_ASSERT(pairs->heads == s->heads && pairs->groups == run->groups);
    if (!at_expect_shape(tape, "queries", q,
                         at_shape2(q->shape.dim[0], (int64_t)(s->heads * s->query_width))))
        return NULL;
    at_var *rows = by_head(tape, q, s->heads, s->query_width);
    switch (s->score) {
    case AT_SCORE_SCALED_DOT:
        return at_score_dot(tape, q, run->keys, pairs, 1.0f / sqrtf((float)s->query_width));
    case AT_SCORE_ADDITIVE:
        if (!s->projected)
            q = side_by_side(tape, at_repeated_step(tape, run->query, rows, NULL), s->heads);
        return at_score_additive(tape, q, run->keys, run->v, pairs);
    case AT_SCORE_CONCAT:
        q = side_by_side(tape, at_matmul(tape, rows, run->query_part, true), s->heads);
        return at_score_additive(tape, q, run->keys, run->v, pairs);
    case AT_SCORE_COSINE:
    case AT_SCORE_COSINE_LEARNED:
        return at_score_dot(tape, at_unit_rows(tape, q, s->heads, run->gain), run->keys, pairs, 1);
    case AT_SCORE_LOCATION:
        q = side_by_side(tape, at_repeated_step(tape, run->places, rows, NULL), s->heads);
        return at_score_location(tape, q, pairs);
    case AT_SCORE_DOT:
    case AT_SCORE_GENERAL:
    case AT_SCORES:
        break;
    }
    return at_score_dot(tape, q, run->keys, pairs, 1);
}

at_var *at_scorer_share(at_tape *tape, at_scorer_run *run, at_var *q)
{
    if (!run || !run->centre_hidden)
        return NULL;
    at_var *hidden = at_activate(tape, at_repeated_step(tape, run->centre_hidden, q, NULL), AT_TANH);
    return at_linear(tape, hidden, run->scorer->centre_out, NULL, AT_SIGMOID);
}

at_var *at_scorer_weights(at_tape *tape, at_scorer_run *run, at_var *q, const at_pairs *pairs,
                          const at_pair_mask *mask)
{
    at_var *scores = at_scorer_scores(tape, run, q, pairs);
    if (!scores)
        return NULL;
    const at_scorer_spec *s = &run->scorer->spec;
    at_pair_mask all = mask ? *mask : (at_pair_mask){0};
    if (s->local != AT_LOCAL_NONE)
        all.reach = s->reach;
    at_var *share = at_scorer_share(tape, run, q);
    all.share = share;
    if (s->local == AT_LOCAL_PREDICTIVE && !share)
        return NULL;
    run->scores = at_pairs_mask(tape, scores, pairs, &all);
    run->weights = at_pairs_normalise(tape, run->scores, pairs, s->normalise);
    return share ? at_pairs_focus(tape, run->weights, share, pairs, s->reach) : run->weights;
}

bool at_scorer_guide(at_tape *tape, const at_scorer_run *run, const at_pairs *pairs, at_attention_kind kind,
                     int layer)
{
    if (!run)
        return false;
    const at_scorer_spec *s = &run->scorer->spec;
    if (s->local == AT_LOCAL_PREDICTIVE && at_guide_wants(tape, kind, layer)) {
        at_tape_fail(
            tape, AT_ENOSUP,
            "guided alignment: not of model.align 'local-p', whose bell lies over the weights; choose "
            "'global' or 'local-m', or set train.guided_alignment to 0");
        return false;
    }
    return at_guide_pairs(tape, run->scores, run->weights, pairs, s->normalise, kind, layer);
}

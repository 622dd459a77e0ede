/* Where a decoder's state looks: C_i of queries at the same step, or of all rows of whole sequences. */
#include "model/recurrent.h"

bool at_rnn_look_begin(at_rnn_pass *p, size_t queries)
{
    if (p->o->attention == AT_RNN_NONE)
        return true;
    p->scores = p->ready ? at_scorer_resume(p->tape, &p->net->scorer, p->keys, 1, queries)
                         : at_scorer_begin(p->tape, &p->net->scorer, p->keys, 1, queries);
    return p->scores != NULL;
}

/* Sequences that have no row any more stay, without a query: keys and values need no new order. */
static const int32_t *step_queries(const at_rnn_pass *p, size_t count)
{
    size_t n = p->memory_rows.count;
    int32_t *offsets = at_tape_saved(p->tape, n + 1, sizeof *offsets);
    for (size_t j = 0; offsets && j <= n; j++)
        offsets[j] = (int32_t)(j < count ? j : count);
    return offsets;
}

static at_var *look(const at_rnn_pass *p, at_var *q, const at_pairs *like)
{
    at_tape *tape = p->tape;
    const at_pairs *pairs = at_pairs_new(tape, like);
    at_var *weights = at_scorer_weights(tape, p->scores, q, pairs, NULL);
    if (!weights || !at_scorer_guide(tape, p->scores, pairs, AT_CROSS, 0))
        return NULL;
    at_pairs_trace(tape, weights, pairs, AT_CROSS, 0);
    weights = at_pairs_drop(tape, weights, pairs, (float)p->o->attention_dropout);
    return at_pairs_sum(tape, weights, p->values, pairs);
}

at_var *at_rnn_look(const at_rnn_pass *p, at_var *q)
{
    at_pairs like = {.heads = 1, .groups = 1, .queries = *p->rows, .keys = p->memory_rows};
    return q ? look(p, q, &like) : NULL;
}

at_var *at_rnn_look_step(const at_rnn_pass *p, at_var *q, size_t t, size_t count)
{
    size_t n = p->memory_rows.count;
    int32_t *starts = at_tape_saved(p->tape, n, sizeof *starts);
    at_pairs like = {.heads = 1,
                     .groups = 1,
                     .keys = p->memory_rows,
                     .starts = starts,
                     .names = p->shared ? NULL : p->plan.order};
    like.queries = (at_rows){n, p->shared ? p->shared : step_queries(p, count), p->plan.examples};
    if (!q || !starts || !like.queries.offsets)
        return NULL;
    for (size_t j = 0; j < n; j++)
        starts[j] = (int32_t)t + (p->starts && !p->shared ? p->starts[j] : 0);
    return look(p, q, &like);
}

#include "data/plan.h"
#include <string.h>
#include "base/memory.h"
#include "data/internal.h"

static size_t source_of(const at_plan_lengths *l, uint32_t i)
{
    return l->source ? l->source(l->of, i) : 0;
}

static size_t longer_of(const at_plan_lengths *l, uint32_t i)
{
    size_t s = source_of(l, i), t = l->target ? l->target(l->of, i) : 0;
    return s > t ? s : t;
}

/* Stable counting sort by a length, so that the shuffle decides among equals. */
static at_status sort_by(at_plan *plan, const at_plan_lengths *l,
                         size_t (*length)(const at_plan_lengths *l, uint32_t i))
{
    size_t most = 0;
    for (uint32_t i = 0; i < l->count; i++)
        most = length(l, i) > most ? length(l, i) : most;
    size_t *places = at_alloc_zero(most + 2, sizeof *places);
    uint32_t *sorted = at_alloc_array(l->count, sizeof *sorted);
    if (!places || !sorted) {
        at_free(places);
        at_free(sorted);
        return AT_ENOMEM;
    }
    for (uint32_t i = 0; i < l->count; i++)
        places[length(l, i) + 1]++;
    for (size_t i = 0; i <= most; i++)
        places[i + 1] += places[i];
    for (size_t k = 0; k < l->count; k++)
        sorted[places[length(l, plan->order[k])]++] = plan->order[k];
    memcpy(plan->order, sorted, l->count * sizeof *sorted);
    at_free(places);
    at_free(sorted);
    return AT_OK;
}

/* Cuts `order` into groups within the bounds. */
static at_status cut(at_plan *plan, const at_plan_lengths *l, const at_loader_options *o)
{
    size_t source = 0, target = 0, first = 0;
    plan->count = 0;
    plan->starts[0] = 0;
    for (size_t k = 0; k < l->count; k++) {
        size_t s = o->target_only ? 0 : source_of(l, plan->order[k]);
        size_t t = l->target ? l->target(l->of, plan->order[k]) : 0;
        if (o->batch_tokens && (s > o->batch_tokens || t > o->batch_tokens))
            return at_fail(
                AT_EARG,
                "data.batch_tokens: %zu is less than the %zu pieces of one example; raise it or lower "
                "data.max_length",
                o->batch_tokens, s > t ? s : t);
        bool full = (o->batch_tokens && (source + s > o->batch_tokens || target + t > o->batch_tokens)) ||
                    (o->batch_pairs && k - first >= o->batch_pairs);
        if (full) {
            plan->starts[++plan->count] = first = k;
            source = target = 0;
        }
        source += s;
        target += t;
    }
    if (l->count)
        plan->starts[++plan->count] = l->count;
    return AT_OK;
}

static at_status make_room(at_plan *plan, size_t count)
{
    if (plan->order && plan->capacity >= count)
        return AT_OK;
    at_plan_free(plan);
    plan->order = at_alloc_array(count + 1, sizeof *plan->order);
    plan->batches = at_alloc_array(count + 1, sizeof *plan->batches);
    plan->starts = at_alloc_array(count + 1, sizeof *plan->starts);
    plan->capacity = count;
    return plan->order && plan->batches && plan->starts ? AT_OK : AT_ENOMEM;
}

at_status at_plan_make(at_plan *plan, const at_plan_lengths *l, const at_loader_options *o, uint64_t epoch)
{
    AT_ASSERT(l->count < UINT32_MAX);
    at_rng rng = at_epoch_rng(o->seed, epoch);
    at_status st = make_room(plan, l->count);
    if (st != AT_OK)
        return st;
    for (uint32_t i = 0; i < l->count; i++)
        plan->order[i] = i;
    if (o->shuffle)
        at_rng_shuffle(&rng, plan->order, l->count);
    if (o->bucket) /* by the longer side; among equals by the source */
        st = sort_by(plan, l, source_of);
    if (st == AT_OK && o->bucket)
        st = sort_by(plan, l, longer_of);
    if (st == AT_OK)
        st = cut(plan, l, o);
    if (st != AT_OK)
        return st;
    for (uint32_t b = 0; b < plan->count; b++)
        plan->batches[b] = b;
    if (o->shuffle)
        at_rng_shuffle(&rng, plan->batches, plan->count);
    return AT_OK;
}

const uint32_t *at_plan_batch(const at_plan *plan, size_t batch, size_t *count)
{
    uint32_t group = plan->batches[batch];
    *count = plan->starts[group + 1] - plan->starts[group];
    return plan->order + plan->starts[group];
}

void at_plan_free(at_plan *plan)
{
    at_free(plan->order);
    at_free(plan->batches);
    at_free(plan->starts);
    *plan = (at_plan){0};
}

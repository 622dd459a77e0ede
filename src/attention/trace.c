#include "attention/trace.h"
#include <stdio.h>
#include <string.h>
#include "attention/internal.h"
#include "base/arena.h"
#include "base/memory.h"

typedef struct wish {
    at_attention_kind kind;
    int layer, head;
} wish;

enum { MAX_WISHES = 8, KINDS = 3 };

struct at_trace {
    wish wishes[MAX_WISHES];
    size_t wished;
    int layers[KINDS], heads[KINDS]; /* seen */
    at_stage stage;
    bool shared_out;
    at_trace_map *maps;
    size_t count, capacity;
    at_arena *arena;
};

at_trace *at_trace_new(void)
{
    at_trace *t = at_alloc_zero(1, sizeof *t);
    if (!t)
        return NULL;
    t->arena = at_arena_new();
    if (!t->arena) {
        at_free(t);
        return NULL;
    }
    return t;
}

void at_trace_free(at_trace *trace)
{
    if (!trace)
        return;
    at_arena_free(trace->arena);
    at_free(trace->maps);
    at_free(trace);
}

void at_trace_clear(at_trace *trace)
{
    trace->count = 0;
    trace->shared_out = false;
    at_arena_reset(trace->arena);
}

void at_trace_want(at_trace *trace, at_attention_kind kind, int layer, int head)
{
    AT_ASSERT(trace->wished < MAX_WISHES);
    trace->wishes[trace->wished++] = (wish){kind, layer, head};
}

static bool matches(int wanted, int is)
{
    return wanted < 0 || wanted == is;
}

bool at_trace_wants(at_trace *trace, at_attention_kind kind, int layer, int head)
{
    trace->layers[kind] = layer + 1 > trace->layers[kind] ? layer + 1 : trace->layers[kind];
    trace->heads[kind] = head + 1 > trace->heads[kind] ? head + 1 : trace->heads[kind];
    for (size_t i = 0; i < trace->wished; i++) {
        const wish *w = &trace->wishes[i];
        if (w->kind == kind && matches(w->layer, layer) && matches(w->head, head))
            return true;
    }
    return false;
}

float *at_trace_room(at_trace *trace, size_t count)
{
    return at_arena_array(trace->arena, count ? count : 1, sizeof(float));
}

at_trace_map *at_trace_add(at_trace *trace, const at_trace_map *like)
{
    if (at_grow(&trace->maps, &trace->capacity, trace->count + 1, sizeof *trace->maps) != AT_OK)
        return NULL;
    float *weights = at_trace_room(trace, like->queries * like->keys);
    if (!weights)
        return NULL;
    at_trace_map *map = &trace->maps[trace->count++];
    *map = *like;
    map->weights = weights;
    return map;
}

void at_trace_share_out(at_trace *trace)
{
    trace->shared_out = true;
}

bool at_trace_shared_out(const at_trace *trace)
{
    return trace->shared_out;
}

at_trace_map *at_trace_map_at(at_trace *trace, size_t index)
{
    return &trace->maps[index];
}

int at_trace_layers(const at_trace *trace, at_attention_kind kind)
{
    return trace->layers[kind];
}

int at_trace_heads(const at_trace *trace, at_attention_kind kind)
{
    return trace->heads[kind];
}

/* Maps that grow have room for the next power of two of rows. */
static size_t room(size_t rows)
{
    size_t power = 1;
    while (power < rows)
        power *= 2;
    return power;
}

float *at_trace_append(at_trace *trace, const at_trace_map *like, size_t start)
{
    at_trace_map *map = NULL;
    for (size_t i = trace->count; i-- > 0 && start > 0 && !map;) {
        at_trace_map *m = &trace->maps[i];
        if (m->kind == like->kind && m->layer == like->layer && m->head == like->head &&
            m->sequence == like->sequence && m->keys == like->keys && m->queries == start)
            map = m;
    }
    if (!map) {
        at_trace_map first = *like;
        first.queries = room(like->queries);
        map = at_trace_add(trace, &first);
        if (map)
            map->queries = like->queries;
        return map ? map->weights : NULL;
    }
    size_t rows = start + like->queries;
    if (rows > room(start)) {
        float *more = at_arena_array(trace->arena, room(rows) * like->keys + 1, sizeof *more);
        if (!more)
            return NULL;
        memcpy(more, map->weights, start * like->keys * sizeof *more);
        map->weights = more;
    }
    map->queries = rows;
    return map->weights + start * like->keys;
}

void at_trace_want_stage(at_trace *trace, at_stage stage)
{
    trace->stage = stage;
}

at_stage at_trace_stage(const at_trace *trace)
{
    return trace->stage;
}

size_t at_trace_count(const at_trace *trace)
{
    return trace->count;
}

const at_trace_map *at_trace_at(const at_trace *trace, size_t index)
{
    return &trace->maps[index];
}

const at_trace_map *at_trace_find(const at_trace *trace, at_attention_kind kind, int layer, int head,
                                  size_t sequence)
{
    for (size_t i = 0; i < trace->count; i++) {
        const at_trace_map *m = &trace->maps[i];
        if (m->kind == kind && matches(layer, m->layer) && matches(head, m->head) && m->sequence == sequence)
            return m;
    }
    return NULL;
}

const char *at_attention_kind_name(at_attention_kind kind)
{
    static const char *const names[] = {"encoder", "decoder", "cross"};
    return names[kind];
}

at_status at_trace_expect(const at_trace *trace, int kind)
{
    char there[96] = "";
    for (int k = 0; k < KINDS; k++) {
        if (trace->layers[k] == 0)
            continue;
        if (kind < 0 || k == kind)
            return AT_OK;
        size_t used = strlen(there);
        snprintf(there + used, sizeof there - used, "%s%s", used ? " and " : "",
                 at_attention_kind_name((at_attention_kind)k));
    }
    if (*there)
        return at_fail(
            AT_ENOSUP,
            "this model has no %s attention, so there are no weights to look at; it has %s attention",
            at_attention_kind_name((at_attention_kind)kind), there);
    return at_fail(AT_ENOSUP,
                   "this model has no %sattention, so there are no weights to look at; it runs "
                   "without. Weights come with a model trained with model.attention bahdanau or luong "
                   "(family recurrent), or of family transformer",
                   kind < 0           ? ""
                   : kind == AT_CROSS ? "cross "
                                      : "");
}

/* Says which layers and heads there are, since the one asked for is not among them. */
static at_status no_such_map(const at_trace *trace, at_attention_kind kind, int layer, int head)
{
    const char *name = at_attention_kind_name(kind);
    at_status st = at_trace_expect(trace, (int)kind);
    if (st != AT_OK)
        return st;
    char which[2][16] = {"mean", "mean"};
    if (layer >= 0)
        snprintf(which[0], sizeof which[0], "%d", layer);
    if (head >= 0)
        snprintf(which[1], sizeof which[1], "%d", head);
    return at_fail(AT_EARG, "no %s attention of layer %s, head %s: there are layers 0 to %d, heads 0 to %d",
                   name, which[0], which[1], trace->layers[kind] - 1, trace->heads[kind] - 1);
}

at_status at_trace_mean(const at_trace *trace, at_attention_kind kind, int layer, int head, size_t sequence,
                        float *out, size_t queries, size_t keys)
{
    size_t found = 0, n = queries * keys;
    memset(out, 0, n * sizeof *out);
    for (size_t i = 0; i < trace->count; i++) {
        const at_trace_map *m = &trace->maps[i];
        if (m->kind != kind || m->sequence != sequence || !matches(layer, m->layer) ||
            !matches(head, m->head))
            continue;
        if (m->queries != queries || m->keys != keys)
            return at_fail(AT_ESHAPE, "trace: want (%zu,%zu), got (%zu,%zu)", queries, keys, m->queries,
                           m->keys);
        for (size_t j = 0; j < n; j++)
            out[j] += m->weights[j];
        found++;
    }
    if (found == 0)
        return no_such_map(trace, kind, layer, head);
    for (size_t j = 0; j < n; j++)
        out[j] /= (float)found;
    return AT_OK;
}

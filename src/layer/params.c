#include "layer/params.h"
#include <math.h>
#include <string.h>
#include "base/file.h"
#include "base/memory.h"
#include "base/rng.h"

static void forget_panels(at_param *p)
{
    if (!p->tied_to) {
        at_free_aligned(p->packed);
        at_free_aligned(p->packed16);
    }
    p->packed = NULL;
    p->packed16 = NULL;
}

void at_params_free(at_params *params)
{
    for (size_t i = 0; i < params->count; i++) {
        at_param *p = params->list[i];
        forget_panels(p);
        at_free_aligned(p->own);
        at_free(p->name);
        at_free(p);
    }
    at_free(params->list);
    at_free_aligned(params->block);
    at_free_aligned(params->shadow);
    *params = (at_params){0};
}

at_status at_params_add(at_params *params, const at_param_spec *spec, at_param **param)
{
    AT_ASSERT(!at_params_find(params, spec->name));
    AT_ASSERT(!spec->tied_to || at_shape_same(spec->tied_to->shape, spec->shape));
    if (at_grow(&params->list, &params->capacity, params->count + 1, sizeof *params->list) != AT_OK)
        return AT_ENOMEM;
    at_param *p = at_alloc_zero(1, sizeof *p);
    if (!p)
        return AT_ENOMEM;
    p->name = at_strdup(spec->name);
    if (!p->name) {
        at_free(p);
        return AT_ENOMEM;
    }
    p->shape = spec->shape;
    p->role = spec->role;
    p->init = spec->init;
    p->deviation = spec->deviation;
    p->gathered = spec->gathered;
    p->tied_to = spec->tied_to && spec->tied_to->tied_to ? spec->tied_to->tied_to : spec->tied_to;
    params->list[params->count++] = p;
    if (param)
        *param = p;
    return AT_OK;
}

at_param *at_params_find(const at_params *params, const char *name)
{
    for (size_t i = 0; i < params->count; i++) {
        if (strcmp(params->list[i]->name, name) == 0)
            return params->list[i];
    }
    return NULL;
}

size_t at_params_numbers(const at_params *params)
{
    size_t count = 0;
    for (size_t i = 0; i < params->count; i++)
        count += params->list[i]->tied_to ? 0 : at_shape_count(params->list[i]->shape);
    return count;
}

void at_params_lay_out(at_params *params)
{
    size_t at = 0;
    for (int role = AT_DECAYED; role <= AT_PLAIN; role++) {
        for (size_t i = 0; i < params->count; i++) {
            at_param *p = params->list[i];
            if (p->tied_to || p->role != (at_role)role)
                continue;
            p->offset = at;
            at += (at_shape_count(p->shape) + 15) / 16 * 16; /* each begins on a cache line */
        }
        if (role == AT_DECAYED)
            params->decayed = at;
    }
    params->total = at;
    for (size_t i = 0; i < params->count; i++) {
        if (params->list[i]->tied_to)
            params->list[i]->offset = params->list[i]->tied_to->offset;
    }
}

at_status at_params_allocate(at_params *params)
{
    at_params_lay_out(params);
    at_free_aligned(params->block);
    params->block = at_alloc_aligned(params->total ? params->total : 1, sizeof(float));
    if (!params->block)
        return AT_ENOMEM;
    memset(params->block, 0, params->total * sizeof(float));
    for (size_t i = 0; i < params->count; i++)
        params->list[i]->data = params->block + params->list[i]->offset;
    return AT_OK;
}

static void fill(at_rng *rng, float *data, const at_param *p)
{
    size_t n = at_shape_count(p->shape);
    float fan = (float)p->shape.dim[0] + (p->shape.rank > 1 ? (float)at_param_inputs(p) : 0);
    float bound = sqrtf(6.0f / fan); /* Glorot & Bengio 2010 */
    for (size_t i = 0; i < n; i++) {
        switch (p->init) {
        case AT_INIT_ZERO:
            data[i] = 0;
            break;
        case AT_INIT_ONE:
            data[i] = 1;
            break;
        case AT_INIT_XAVIER:
            data[i] = bound * (2 * at_rng_uniform(rng) - 1);
            break;
        case AT_INIT_NORMAL:
            data[i] = p->deviation * at_rng_normal(rng);
            break;
        case AT_INIT_VALUE:
            data[i] = p->deviation;
            break;
        case AT_INIT_UNIFORM:
            data[i] = p->deviation * (2 * at_rng_uniform(rng) - 1);
            break;
        case AT_INIT_IDENTITY:
            data[i] = i / (size_t)p->shape.dim[1] == i % (size_t)p->shape.dim[1] ? 1 : 0;
            break;
        }
    }
}

void at_params_init(at_params *params, uint64_t seed)
{
    AT_ASSERT(params->block);
    for (size_t i = 0; i < params->count; i++) {
        const at_param *p = params->list[i];
        if (p->tied_to)
            continue;
        /* A stream of its own for each name: adding a parameter does not change the others. */
        uint32_t name = at_crc32(0, p->name, strlen(p->name));
        at_rng rng = at_rng_make(seed ^ ((uint64_t)name << 20), AT_RNG_INIT);
        fill(&rng, params->block + p->offset, p);
    }
}

static at_status pack(at_param *p, at_exec *exec)
{
    size_t out = (size_t)p->shape.dim[0], in = at_param_inputs(p);
    p->packed_panel = exec->kernels->panel;
    if (p->data) {
        p->packed = at_alloc_aligned(at_packed_size(exec, in, out), sizeof *p->packed);
        if (p->packed)
            at_exec_pack(exec, p->packed, p->data, 1, in, in, out);
        return p->packed ? AT_OK : AT_ENOMEM;
    }
    p->packed16 = at_alloc_aligned(at_packed_bf16_size(exec, in, out), sizeof *p->packed16);
    if (p->packed16)
        at_exec_pack_bf16(exec, p->packed16, p->data16, 1, in, in, out);
    return p->packed16 ? AT_OK : AT_ENOMEM;
}

at_status at_param_pack(at_param *param, at_exec *exec)
{
    at_param *owner = param->tied_to ? param->tied_to : param;
    if (!owner->packed && !owner->packed16) {
        at_status st = pack(owner, exec);
        if (st != AT_OK)
            return st;
    }
    param->packed = owner->packed;
    param->packed16 = owner->packed16;
    param->packed_panel = owner->packed_panel;
    return AT_OK;
}

void at_params_unpack(at_params *params)
{
    for (size_t i = 0; i < params->count; i++)
        forget_panels(params->list[i]);
}

/* Those that are tied point where their owners do. */
static void follow_owners(at_params *params)
{
    for (size_t i = 0; i < params->count; i++) {
        at_param *p = params->list[i];
        if (p->tied_to) {
            p->data = p->tied_to->data;
            p->data16 = p->tied_to->data16;
        }
    }
}

at_status at_params_compact(at_params *params, at_exec *exec)
{
    at_status st = AT_OK;
    at_params_unpack(params);
    for (size_t i = 0; i < params->count && st == AT_OK; i++) {
        at_param *p = params->list[i];
        if (!p->compact || p->tied_to || !p->data)
            continue;
        size_t count = at_shape_count(p->shape);
        at_bf16 *narrow = at_alloc_aligned(count ? count : 1, sizeof *narrow);
        if (!narrow) {
            st = AT_ENOMEM;
            break;
        }
        at_exec_narrow(exec, narrow, p->data, count);
        at_free_aligned(p->own);
        p->own = narrow;
        p->data16 = narrow;
        p->data = NULL;
    }
    follow_owners(params);
    return st;
}

at_status at_params_shadow(at_params *params, at_exec *exec)
{
    AT_ASSERT(params->block);
    if (!params->shadow) {
        params->shadow = at_alloc_aligned(params->total ? params->total : 1, sizeof *params->shadow);
        if (!params->shadow)
            return AT_ENOMEM;
        for (size_t i = 0; i < params->count; i++) {
            at_param *p = params->list[i];
            p->data16 = p->compact ? params->shadow + p->offset : NULL;
        }
    }
    at_exec_narrow(exec, params->shadow, params->block, params->total);
    return AT_OK;
}

at_var *at_param_var(at_tape *tape, const at_param *param)
{
    float *grad = tape->grads && tape->mode != AT_TAPE_RUN ? tape->grads + param->offset : NULL;
    /* The tape only reads values: the cast is for the one at_var type of leaves and results. */
    return at_leaf(tape, param->shape, (float *)(uintptr_t)param->data, grad);
}

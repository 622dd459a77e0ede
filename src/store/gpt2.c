/* The numbers of a GPT-2 as Hugging Face stores it. Its products are Conv1D layers: weights (in, out), the
 * other way round than everywhere else, and queries, keys and values side by side in one, c_attn (D, 3 D).
 * Ours are (out, in) and apart, so they are turned and split while they are read. Names may lack
 * "transformer.", as in the files that OpenAI's weights were first published with. */
#include <stdio.h>
#include <string.h>
#include "base/memory.h"
#include "store/internal.h"

enum { NAME = 160 };
static const char prefix[] = "transformer.";

/* Where a parameter's numbers lie. */
typedef struct place {
    char name[NAME]; /* of the tensor */
    size_t part, of; /* which of so many equal parts of its columns */
    bool turned;
} place;

bool at_gpt2_is(const json_t *config)
{
    const char *type = json_string_value(json_object_get(config, "model_type"));
    return !json_object_get(config, "attend") && type && strcmp(type, "gpt2") == 0;
}

static bool ends_with(const char *text, const char *end)
{
    size_t n = strlen(text), m = strlen(end);
    return n >= m && strcmp(text + n - m, end) == 0;
}

/* "transformer.h.0.attn.k_proj.weight" -> the middle third of "transformer.h.0.attn.c_attn.weight". */
static void find_place(const char *name, place *p)
{
    static const char *const thirds[] = {".attn.q_proj.", ".attn.k_proj.", ".attn.v_proj."};
    static const char *const turned[] = {".attn.c_proj.weight", ".mlp.c_fc.weight", ".mlp.c_proj.weight"};
    *p = (place){.of = 1};
    snprintf(p->name, sizeof p->name, "%s", name);
    for (size_t i = 0; i < 3; i++) {
        const char *at = strstr(name, thirds[i]);
        if (at) {
            const char *rest = at + strlen(thirds[i]);
            snprintf(p->name, sizeof p->name, "%.*s.attn.c_attn.%s", (int)(at - name), name, rest);
            p->part = i;
            p->of = 3;
            p->turned = strcmp(rest, "weight") == 0;
        }
        p->turned = p->turned || ends_with(name, turned[i]);
    }
}

static const at_stored *find(const at_safetensors *file, const char *name)
{
    const at_stored *tensor = at_safetensors_find(file, name);
    bool begins = strncmp(name, prefix, sizeof prefix - 1) == 0;
    return tensor || !begins ? tensor : at_safetensors_find(file, name + sizeof prefix - 1);
}

/* (in, of x out) of the file -> the part's (out, in); of a vector the part. */
static void take_part(const float *from, const place *p, const at_param *param, float *to)
{
    size_t count = at_shape_count(param->shape);
    if (!p->turned) {
        memcpy(to, from + p->part * count, count * sizeof *to);
        return;
    }
    size_t out = (size_t)param->shape.dim[0], in = (size_t)param->shape.dim[1], row = p->of * out;
    for (size_t i = 0; i < in; i++)
        for (size_t o = 0; o < out; o++)
            to[o * in + i] = from[i * row + p->part * out + o];
}

static at_shape stored_shape(const place *p, const at_param *param)
{
    at_shape shape = param->shape;
    if (p->turned)
        shape = at_shape2(param->shape.dim[1], (int64_t)p->of * param->shape.dim[0]);
    else
        shape.dim[0] *= (int64_t)p->of;
    return shape;
}

static at_status read_param(const at_safetensors *file, const at_param *param, float *to)
{
    place p;
    find_place(param->name, &p);
    const at_stored *tensor = find(file, p.name);
    at_shape want = stored_shape(&p, param);
    if (!tensor)
        return at_fail(AT_ESHAPE,
                       "%s: tensor '%s' %s is missing; config.json and this file are not of one model",
                       file->path, p.name, at_shape_text(want).s);
    if (!at_shape_same(tensor->shape, want))
        return at_fail(AT_ESHAPE,
                       "%s: tensor '%s': file has %s, config.json wants %s; they are not of one model",
                       file->path, p.name, at_shape_text(tensor->shape).s, at_shape_text(want).s);
    float *numbers = at_alloc_array(at_shape_count(want), sizeof *numbers);
    at_status st = numbers ? at_stored_floats(file, tensor, numbers) : AT_ENOMEM;
    if (st == AT_OK)
        take_part(numbers, &p, param, to);
    at_free(numbers);
    return st;
}

/* Whether some parameter is read from this tensor; or it is a mask, or a second name of the tied table. */
static bool has_place(const at_safetensors *file, const at_model *model, const at_stored *tensor)
{
    if (ends_with(tensor->name, ".attn.bias") || ends_with(tensor->name, ".attn.masked_bias"))
        return true;
    for (size_t i = 0; i < model->params.count; i++) {
        place p;
        find_place(model->params.list[i]->name, &p);
        if (find(file, p.name) == tensor)
            return true;
    }
    const at_stored *table = find(file, "transformer.wte.weight");
    return !strcmp(tensor->name, "lm_head.weight") && table && table->bytes == tensor->bytes &&
           !memcmp(table->data, tensor->data, tensor->bytes);
}

at_status at_gpt2_bind(const at_safetensors *file, at_model *model)
{
    at_params *params = &model->params;
    for (size_t i = 0; i < file->count; i++)
        if (!has_place(file, model, &file->list[i]))
            return at_fail(AT_ESHAPE,
                           "%s: tensor '%.80s' %s has no place in the GPT-2 of config.json; they are not of "
                           "one model",
                           file->path, file->list[i].name, at_shape_text(file->list[i].shape).s);
    at_status st = at_params_allocate(params);
    for (size_t i = 0; i < params->count && st == AT_OK; i++)
        if (!params->list[i]->tied_to)
            st = read_param(file, params->list[i], params->block + params->list[i]->offset);
    return st;
}

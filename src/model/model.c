#include "model/model.h"
#include <stdio.h>
#include <string.h>
#include "base/memory.h"
#include "layer/layer.h"
#include "model/internal.h"

const at_family *const at_families[] = {&at_family_transformer,
                                        &at_family_recurrent,
                                        &at_family_decoder,
                                        &at_family_encoder,
                                        &at_family_glimpse,
                                        &at_family_vit,
                                        NULL};
const at_op *const at_model_ops[] = {&at_op_cross_entropy, &at_op_logit_cross_entropy, NULL};

const at_family *at_family_find(const char *name)
{
    for (size_t i = 0; at_families[i]; i++) {
        if (strcmp(at_families[i]->name, name) == 0)
            return at_families[i];
    }
    return NULL;
}

static at_status read_options(at_model *model, const json_t *section)
{
    static const char *const also[] = {"family", NULL};
    if (model->family->kind == AT_DECODER_ONLY && json_object_get(section, "linformer_k"))
        return at_linformer_refuse();
    at_status st = at_fields_default(model->family->fields, model->options);
    if (st == AT_OK && section)
        st = at_fields_read(model->family->fields, model->options, section, also);
    return st == AT_OK ? st : at_fail_within(st, "model");
}

at_status at_family_get(const char *name, const at_family **family)
{
    *family = at_family_find(name);
    if (*family)
        return AT_OK;
    char known[256] = "";
    size_t length = 0;
    for (size_t i = 0; at_families[i] && length < sizeof known; i++)
        length += (size_t)snprintf(known + length, sizeof known - length, "%s%s", i ? ", " : "",
                                   at_families[i]->name);
    return at_fail(AT_EARG, "model.family: unknown '%.40s'; known: %s", name, known);
}

at_status at_model_new(const char *family, const json_t *section, const at_vocabulary *vocabulary,
                       at_model **model)
{
    const at_family *f;
    at_status known = at_family_get(family, &f);
    if (known != AT_OK)
        return known;
    at_model *m = at_alloc_zero(1, sizeof *m);
    if (!m)
        return AT_ENOMEM;
    m->family = f;
    m->vocabulary = *vocabulary;
    m->options = at_alloc_zero(1, f->options_size);
    m->net = at_alloc_zero(1, f->net_size);
    at_status st = m->options && m->net ? read_options(m, section) : AT_ENOMEM;
    if (st == AT_OK)
        st = f->build(m);
    if (st != AT_OK) {
        at_model_free(m);
        return st;
    }
    at_params_lay_out(&m->params);
    *model = m;
    return AT_OK;
}

void at_model_free(at_model *model)
{
    if (!model)
        return;
    if (model->net && model->family->release)
        model->family->release(model);
    if (model->options)
        at_fields_free(model->family->fields, model->options);
    at_params_free(&model->params);
    at_free(model->options);
    at_free(model->net);
    at_free(model);
}

json_t *at_model_options(const at_model *model)
{
    json_t *fields = at_fields_write(model->family->fields, model->options);
    json_t *all = json_pack("{s:s}", "family", model->family->name);
    if (!fields || !all || json_object_update(all, fields) != 0) {
        json_decref(all);
        all = NULL;
    }
    json_decref(fields);
    return all;
}

bool at_length_fits(at_tape *tape, const char *what, size_t length, size_t most)
{
    if (!most || length <= most)
        return true;
    at_tape_fail(tape, AT_ENOSUP, "%s of %zu pieces: this model reaches %zu (model.max_length)", what, length,
                 most);
    return false;
}

size_t at_any_length(const at_model *model)
{
    (void)model;
    return 0;
}

bool at_rows_fit(at_tape *tape, const char *what, const at_rows *rows, size_t most)
{
    for (size_t b = 0; b < rows->count; b++) {
        if (!at_length_fits(tape, what, (size_t)(rows->offsets[b + 1] - rows->offsets[b]), most))
            return false;
    }
    return true;
}

const at_param *at_model_output(const at_model *model)
{
    return model->family->output ? model->family->output(model) : NULL;
}

size_t at_model_reach(const at_model *model)
{
    return model->family->max_length(model);
}

at_var *at_label_logits(at_tape *tape, const at_projection *classifier, at_var *pooled)
{
    if (classifier->weight)
        return at_project(tape, classifier, pooled);
    at_tape_fail(tape, AT_ENOSUP, "this model has learned no labels: train it with data.task classify");
    return NULL;
}

at_var *at_model_logits(const at_model *model, at_tape *tape, at_var *rows)
{
    return rows ? at_linear(tape, rows, at_model_output(model), NULL, AT_LINEAR) : NULL;
}

at_var *at_model_classify(const at_model *model, at_tape *tape, const at_batch *batch, const float **weights)
{
    const at_family *f = model->family;
    at_var *x = f->encode(model, tape, batch);
    x = x ? f->pool(model, tape, x, &batch->source, weights) : NULL;
    return x ? f->classify(model, tape, x) : NULL;
}

at_status at_model_pack(at_model *model, at_exec *exec)
{
    const at_param *output = at_model_output(model);
    const at_param *owner = output && output->tied_to ? output->tied_to : output;
    for (size_t i = 0; i < model->params.count; i++) {
        at_param *p = model->params.list[i];
        if (p->shape.rank < 2 || (p->gathered && p != owner))
            continue;
        at_status st = at_param_pack(p, exec);
        if (st != AT_OK)
            return st;
    }
    return AT_OK;
}

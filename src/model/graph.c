#include "model/graph.h"
#include <stdio.h>
#include <string.h>
#include "model/stack.h"

at_graph_step *at_graph_add(at_graph *graph, int lane, const char *name)
{
    AT_ASSERT(graph->count < AT_GRAPH_STEPS);
    at_graph_step *step = &graph->steps[graph->count++];
    *step = (at_graph_step){.lane = lane, .repeats = 1};
    snprintf(step->name, sizeof step->name, "%s", name);
    return step;
}

void at_graph_count(const at_graph *graph, at_graph_step *step, const char *prefix)
{
    const at_params *params = &graph->model->params;
    for (size_t i = 0; i < params->count; i++) {
        const at_param *p = params->list[i];
        if (!p->tied_to && strncmp(p->name, prefix, strlen(prefix)) == 0)
            step->parameters += at_shape_count(p->shape);
    }
}

void at_graph_labels(at_graph *graph)
{
    long long count = (long long)graph->model->vocabulary.labels;
    if (!count)
        return;
    at_graph_step *labels = at_graph_add(graph, 0, "linear");
    snprintf(labels->shape, sizeof labels->shape, "%lld", count);
    snprintf(labels->detail, sizeof labels->detail, "labels; softmax");
    at_graph_count(graph, labels, "classifier.");
}

at_status at_graph_make(const at_model *model, at_graph *graph)
{
    *graph = (at_graph){.model = model};
    if (!model->family->graph)
        return at_fail(AT_ENOSUP, "family '%s' draws no chain of its shapes", model->family->name);
    model->family->graph(model, graph);
    return AT_OK;
}

/* ---------------------------------------------------------------- blocks */

static const char *activation_name(const at_stack_spec *spec)
{
    static const char *const names[] = {
        [AT_LINEAR] = "linear", [AT_RELU] = "ReLU", [AT_GELU] = "GELU",      [AT_GELU_TANH] = "GELU (tanh)",
        [AT_SILU] = "SiLU",     [AT_TANH] = "tanh", [AT_SIGMOID] = "sigmoid"};
    return spec->gated ? "SwiGLU" : names[spec->activation];
}

static void describe_heads(const at_stack_spec *spec, char *out, size_t size)
{
    char groups[48] = "", slots[64] = "", score[64] = "";
    if (spec->groups && spec->groups != spec->heads)
        snprintf(groups, sizeof groups, " in %zu groups", spec->groups);
    if (spec->linformer.slots)
        snprintf(slots, sizeof slots, ", over %zu sums of at most %zu rows (Linformer)",
                 spec->linformer.slots, spec->linformer.places);
    if (spec->score != AT_SCORE_SCALED_DOT)
        snprintf(score, sizeof score, ", score %s", at_score_table[spec->score].name);
    snprintf(out, size, "%zu heads of %zu%s%s%s%s; feed-forward %zu, %s; %s before each", spec->heads,
             spec->width / spec->heads, groups, spec->causal ? ", causal" : "", slots, score, spec->ffn,
             activation_name(spec), spec->rms ? "RMSNorm" : "LayerNorm");
    char *before = spec->norm == AT_POST_NORM ? strstr(out, " before each") : NULL;
    if (before)
        snprintf(before, size - (size_t)(before - out), " behind each");
}

void at_stack_graph(const at_stack *stack, at_graph *graph, int lane, const char *rows)
{
    const at_stack_spec *spec = &stack->spec;
    char prefix[96], shape[sizeof graph->steps[0].shape];
    snprintf(shape, sizeof shape, "%s×%zu", rows, spec->width);
    if (spec->linformer.slots && spec->linformer.share_layers) {
        at_graph_step *sums = at_graph_add(graph, lane, "Linformer's sums, of all layers");
        snprintf(prefix, sizeof prefix, "%slinformer.", spec->names->layers);
        snprintf(sums->shape, sizeof sums->shape, "%s", shape);
        at_graph_count(graph, sums, prefix);
    }
    at_graph_step *block =
        at_graph_add(graph, lane, spec->cross || spec->causal ? "decoder block" : "encoder block");
    snprintf(prefix, sizeof prefix, "%s0.", spec->names->layers);
    snprintf(block->shape, sizeof block->shape, "%s", shape);
    at_graph_count(graph, block, prefix);
    block->repeats = spec->layers;
    block->reads = spec->cross;
    describe_heads(spec, block->detail, sizeof block->detail);
    if (spec->norm == AT_POST_NORM)
        return;
    at_graph_step *last = at_graph_add(graph, lane, spec->rms ? "RMSNorm" : "LayerNorm");
    snprintf(last->shape, sizeof last->shape, "%s", shape);
    at_graph_count(graph, last, spec->names->last);
}

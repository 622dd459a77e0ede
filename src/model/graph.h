/* model/graph.h - the chain of a model: what happens to its rows, step by step, with shapes.
 *
 * Role    A family's hook `graph` lists its steps; at_graph_make calls it. Every parameter belongs to
 *         exactly one step (the tests add them up).
 * Owns    Nothing: an at_graph is a value.
 * Shapes  As text: numbers that the model fixes, n rows of a source, m of a target.
 * Errors  AT_ENOSUP for a family without the hook.
 *
 *     at_graph graph;
 *     st = at_graph_make(model, &graph);
 *
 *     at_graph_step *s = at_graph_add(graph, 0, "embedding");             // in a family's hook
 *     at_graph_count(graph, s, "model.shared.");
 *     snprintf(s->shape, sizeof s->shape, "n×%lld", width);
 */
#ifndef AT_MODEL_GRAPH_H
#define AT_MODEL_GRAPH_H
#include "model/model.h"

enum { AT_GRAPH_STEPS = 32 };

typedef struct at_graph_step {
    int lane; /* 0; 1: a decoder beside its encoder */
    char name[48], detail[200], shape[64];
    size_t repeats;    /* blocks of one kind, one behind the other */
    size_t parameters; /* of one of them; those tied to others' not counted */
    bool reads;        /* looks at what lane 0 ends with */
} at_graph_step;

typedef struct at_graph {
    const at_model *model;
    const char *lanes[2]; /* their names; NULL: the only one has none */
    at_graph_step steps[AT_GRAPH_STEPS];
    size_t count;
} at_graph;

at_status at_graph_make(const at_model *model, at_graph *graph);

/* For families. A step once, without parameters. */
at_graph_step *at_graph_add(at_graph *graph, int lane, const char *name);
/* Adds the parameters whose names begin so. */
void at_graph_count(const at_graph *graph, at_graph_step *step, const char *prefix);
/* The last step of what gives labels: classifier. -> labels. None where the model has learned none. */
void at_graph_labels(at_graph *graph);
#endif

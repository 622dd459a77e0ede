#include "layer/multi_head.h"
#include <stdio.h>

at_status at_projection_declare(at_params *params, const char *prefix, const char *name, at_shape shape,
                                bool bias, at_projection *projection)
{
    char full[256];
    snprintf(full, sizeof full, "%s%s.weight", prefix, name);
    at_param_spec weight = {full, shape, AT_DECAYED, AT_INIT_XAVIER, 0, NULL, false};
    at_status st = at_params_add(params, &weight, &projection->weight);
    if (st != AT_OK || !bias)
        return st;
    snprintf(full, sizeof full, "%s%s.bias", prefix, name);
    at_param_spec zero = {full, at_shape1(shape.dim[0]), AT_PLAIN, AT_INIT_ZERO, 0, NULL, false};
    return at_params_add(params, &zero, &projection->bias);
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
    return st;
}

at_var *at_project(at_tape *tape, const at_projection *projection, at_var *x)
{
    return at_linear(tape, x, projection->weight, projection->bias, AT_LINEAR);
}

at_var *at_multi_head(at_tape *tape, const at_multi_head_weights *weights, at_var *q, at_var *k, at_var *v,
                      const at_attend_spec *spec)
{
    at_var *queries = at_project(tape, &weights->query, q);
    at_var *keys = at_project(tape, &weights->key, k);
    at_var *values = weights->value.weight ? at_project(tape, &weights->value, v) : keys;
    if (weights->rotary) {
        queries = at_rotate(tape, weights->rotary, queries, spec->heads, &spec->queries, NULL);
        keys = at_rotate(tape, weights->rotary, keys, spec->groups, &spec->keys, NULL);
    }
    return at_project(tape, &weights->out, at_attention(tape, queries, keys, values, spec));
}

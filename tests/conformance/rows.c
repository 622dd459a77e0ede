/* Where numbers lie: axes and heads as rows; and the table of operators. */
#include <stdio.h>
#include <string.h>
#include "tests/conformance/operators.h"

at_status axis_of(int64_t axis, int rank, int *result)
{
    if (axis < -rank || axis >= rank)
        return at_fail(AT_ESHAPE, "axis %lld of an array of %d dimensions", (long long)axis, rank);
    *result = (int)(axis < 0 ? axis + rank : axis);
    return AT_OK;
}

size_t dimensions(at_shape shape, int first, int end)
{
    size_t n = 1;
    for (int i = first; i < end; i++)
        n *= (size_t)shape.dim[i];
    return n;
}

void axis_to_rows(float *rows, const float *from, size_t outer, size_t n, size_t inner)
{
    for (size_t o = 0; o < outer; o++)
        for (size_t j = 0; j < n; j++)
            for (size_t i = 0; i < inner; i++)
                rows[(o * inner + i) * n + j] = from[(o * n + j) * inner + i];
}

void rows_to_axis(float *to, const float *rows, size_t outer, size_t n, size_t inner)
{
    for (size_t o = 0; o < outer; o++)
        for (size_t j = 0; j < n; j++)
            for (size_t i = 0; i < inner; i++)
                to[(o * n + j) * inner + i] = rows[(o * inner + i) * n + j];
}

void heads_to_rows(float *rows, const float *from, const size_t bhsd[4])
{
    size_t heads = bhsd[1], positions = bhsd[2], d = bhsd[3];
    for (size_t b = 0; b < bhsd[0]; b++)
        for (size_t h = 0; h < heads; h++)
            for (size_t s = 0; s < positions; s++)
                memcpy(rows + ((b * positions + s) * heads + h) * d,
                       from + ((b * heads + h) * positions + s) * d, d * sizeof *rows);
}

void rows_to_heads(float *to, const float *rows, const size_t bhsd[4])
{
    size_t heads = bhsd[1], positions = bhsd[2], d = bhsd[3];
    for (size_t b = 0; b < bhsd[0]; b++)
        for (size_t h = 0; h < heads; h++)
            for (size_t s = 0; s < positions; s++)
                memcpy(to + ((b * heads + h) * positions + s) * d,
                       rows + ((b * positions + s) * heads + h) * d, d * sizeof *to);
}

static const onnx_operator operators[] = {
    {"Attention", run_attention,
     "|is_causal|kv_num_heads|q_num_heads|qk_matmul_output_mode|scale|softcap|softmax_precision|"
     "left_window_size|right_window_size|"},
    {"GRU", run_gru,
     "|activation_alpha|activation_beta|activations|clip|direction|hidden_size|layout|linear_before_reset|"},
    {"Gelu", run_gelu, "|approximate|"},
    {"LSTM", run_lstm,
     "|activation_alpha|activation_beta|activations|clip|direction|hidden_size|input_forget|layout|"},
    {"LayerNormalization", run_layer_norm, "|axis|epsilon|stash_type|"},
    {"LogSoftmax", run_log_softmax, "|axis|"},
    {"RMSNormalization", run_rms_norm, "|axis|epsilon|stash_type|"},
    {"RNN", run_rnn, "|activation_alpha|activation_beta|activations|clip|direction|hidden_size|layout|"},
    {"RotaryEmbedding", run_rotary, "|interleaved|num_heads|rotary_embedding_dim|"},
    {"Softmax", run_softmax, "|axis|"},
    {"SoftmaxCrossEntropyLoss", run_cross_entropy, "|ignore_index|reduction|"},
};

const onnx_operator *operator_find(const char *name)
{
    for (size_t i = 0; i < sizeof operators / sizeof *operators; i++)
        if (strcmp(operators[i].name, name) == 0)
            return &operators[i];
    return NULL;
}

bool operator_knows(const onnx_operator *op, const char *attribute)
{
    char barred[64];
    snprintf(barred, sizeof barred, "|%s|", attribute);
    return strlen(attribute) < sizeof barred - 3 && strstr(op->attributes, barred) != NULL;
}

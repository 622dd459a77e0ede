/* layer/internal.h - shared by the files of this folder. */
#ifndef AT_LAYER_INTERNAL_H
#define AT_LAYER_INTERNAL_H
#include "layer/layer.h"

enum {
    AT_LAYER_GRAIN = 16384, /* elements a task takes at least */
    AT_COLUMN_GRAIN = 64,   /* columns a task takes when rows are summed */
    AT_NORM_CHUNK = 64,     /* rows whose gradients of gain and bias are summed together */
};

extern const at_op at_op_linear, at_op_embed, at_op_layer_norm, at_op_rms_norm, at_op_rotary, at_op_repeated,
    at_op_repeated_step;
#endif

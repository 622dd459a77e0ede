/* model/internal.h - the families and operations that the table of this folder lists. */
#ifndef AT_MODEL_INTERNAL_H
#define AT_MODEL_INTERNAL_H
#include "model/model.h"

extern const at_family at_family_transformer;
extern const at_op at_op_cross_entropy;
#endif

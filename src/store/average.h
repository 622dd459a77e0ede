/* store/average.h - the mean of several models of one training.
 *
 * Role    Checkpoint averaging: Vaswani et al. 2017, section 6.1. Each path is a model folder or a
 *         checkpoint; all must hold the parameters of `params` with the same shapes.
 * Owns    Nothing. out has params->total floats, laid out like params->block.
 * Errors  AT_EARG for no path at all; else those of at_folder_numbers.
 *
 *     st = at_average_folders(paths, 5, &model->params, model->params.block);
 */
#ifndef AT_STORE_AVERAGE_H
#define AT_STORE_AVERAGE_H
#include "layer/params.h"

/* Sums are kept in double, in the order of `paths`. */
at_status at_average_folders(const char *const *paths, size_t count, const at_params *params, float *out);
#endif

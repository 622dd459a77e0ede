/* layer/window.h - windows over pictures: patches, convolution, the largest of a window.
 *
 * Role    A picture is rows too, one a pixel, line by line; a window is a rectangle of them. Cut out side by
 *         side windows are the patches of Dosovitskiy et al. 2021, arXiv:2010.11929; multiplied with weights
 *         they are a convolution (LeCun et al. 1989), whose windows exist for some rows at a time only.
 * Owns    Nothing: parameters are the model's, results the tape's.
 * Shapes  G grid of B pictures, H lines, W columns: x (B*H*W, C). B*R*S windows of h*w pixels, R down and S
 *         across -> (B*R*S, h*w*C) or (B*R*S, D). What a window has outside its picture is zero.
 * Errors  Rows that are not the grid's, weights of another width: NULL, AT_ESHAPE sticks and names both.
 *
 *     at_grid grid = {batch->source.count, 224, 224};
 *     at_windowing patches = at_windowing_patches(&grid, 32, 32);
 *     at_var *x = at_unfold(tape, pixels, &grid, &patches);                        // (B*49, 3072)
 *     at_windowing three = at_windowing_same(&grid, 3, 1);
 *     at_var *y = at_convolve(tape, pixels, &grid, &three, w, b);                  // (B*224*224, D)
 *     grid = at_grid_after(&grid, &three);
 */
#ifndef AT_LAYER_WINDOW_H
#define AT_LAYER_WINDOW_H
#include "layer/layer.h"

typedef struct at_grid {
    size_t count, height, width; /* pictures, lines, columns */
} at_grid;

typedef struct at_windowing {
    size_t height, width; /* of one */
    size_t down, across;  /* how many there are in a picture */
    size_t step_down, step_across;
    int64_t top, left; /* where the first begins; negative: outside the picture */
    bool planes;       /* columns of at_unfold by channel, line, column; false: by line, column, channel */
} at_windowing;

/* Side by side, as many as fit whole; channel by channel, as PyTorch's Conv2d has its weights. */
at_windowing at_windowing_patches(const at_grid *grid, size_t height, size_t width);
/* size x size around every step-th pixel; size odd. */
at_windowing at_windowing_same(const at_grid *grid, size_t size, size_t step);
at_grid at_grid_after(const at_grid *grid, const at_windowing *window);
static inline size_t at_grid_rows(const at_grid *grid)
{
    return grid->count * grid->height * grid->width;
}

at_var *at_unfold(at_tape *tape, at_var *x, const at_grid *grid, const at_windowing *window);
/* Each window's numbers, by line, column, channel, times w^T, plus b: w (D, h*w*C), b (D) or NULL. */
at_var *at_convolve(at_tape *tape, at_var *x, const at_grid *grid, const at_windowing *window,
                    const at_param *w, const at_param *b);
/* The largest number of each channel in each window; among equals the first. Every window reaches inside. */
at_var *at_max_windows(at_tape *tape, at_var *x, const at_grid *grid, const at_windowing *window);
#endif

/* task/glimpses.h - a model that looks at a few places of a picture: where it looks, and what it says then.
 *
 * Role    Opens the model, makes pictures ready as it was trained on them, follows its gaze. With several
 *         samples, paths are drawn around what it chooses, as in training, and their probabilities averaged.
 * Owns    A gazer its folder, threads and tape: at_gazer_close. Results of at_gazer_look until the next call.
 * Shapes  path (T,2), probabilities (classes.count); seen (H,W,C) as the model had it.
 * Errors  Those of store and image; AT_ENOSUP for a model of another family.
 * Threads One caller at a time.
 *
 *     at_gazer *g;
 *     at_status st = at_gazer_open("models/mnist-glimpses", NULL, &g);
 *     at_gazed gazed;
 *     st = at_gazer_look(g, &set, 0, 1, &gazed);
 *     printf("%s\n", g->classes.names[gazed.best]);
 */
#ifndef AT_TASK_GLIMPSES_H
#define AT_TASK_GLIMPSES_H
#include "attend.h"
#include "data/classes.h"
#include "data/pictures.h"
#include "model/glimpse.h"
#include "store/folder.h"

typedef struct at_gazer {
    at_exec *exec;
    at_tape *tape;
    at_folder *folder;
    at_classes classes;
    at_prepare prepare;
    at_image seen;
    float *pixels, *path, *probabilities; /* private */
} at_gazer;

typedef struct at_gazed {
    const at_image *seen;
    const float *path, *probabilities;
    size_t glimpses, best;
} at_gazed;

/* Whether the model in this folder is of this family; false too when there is none. */
bool at_gazer_can(const char *folder);
at_status at_gazer_open(const char *folder, const at_open_options *options, at_gazer **gazer);
void at_gazer_close(at_gazer *gazer); /* NULL is fine */

/* Picture `index` of the set. samples 1: the places that it thinks best; more: the mean over drawn paths, the
 * path being the best one all the same. */
at_status at_gazer_look(at_gazer *gazer, const at_picture_set *set, size_t index, size_t samples,
                        at_gazed *out);
#endif

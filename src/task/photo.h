/* task/photo.h - an open model of pictures: what a photo shows, and where the model looked.
 *
 * Role    Opens a model folder whose family reads pictures; brings a file to what the model was trained on
 *         (image/prepare.h); one pass gives probabilities and, with a trace, every map of attention, rollout,
 *         and how alike what the last layer made of two patches is (cosine, their mean taken off).
 * Owns    A reader its folder, threads and tape: at_photo_reader_close. A look its numbers and its picture:
 *         at_photo_look_free.
 * Shapes  T tokens: the class token, where there is one, then down * across patches row by row.
 *         weights (layers, heads, T, T), rows sum to 1; rollout, alike (T, T). Of a Linformer weights are
 *         those of learned sums, shared out to the patches they are made of (attention/linformer.h).
 * Errors  Those of store and image; AT_ENOSUP for a model that reads texts, or has no patches; AT_EARG for a
 *         layer that is not there.
 * Threads One call at a time on one reader.
 *
 *     at_photo_reader *reader;
 *     at_status st = at_photo_reader_open("models/cats-dogs", NULL, 0, &reader);
 *     at_photo_look look = {0};
 *     if (st == AT_OK)
 *         st = at_photo_look_new(reader, "photo.jpg", AT_MEAN, AT_MEAN, &look);
 *     at_photo_row(&look, AT_PHOTO_ROLLOUT, AT_MEAN, AT_PHOTO_MODEL, row);     // (down * across)
 */
#ifndef AT_TASK_PHOTO_H
#define AT_TASK_PHOTO_H
#include "attend.h"
#include "data/classes.h"
#include "image/prepare.h"
#include "store/folder.h"

typedef struct at_photo_reader {
    at_exec *exec;
    at_tape *tape;
    at_folder *folder;
    at_classes classes;
    at_prepare prepare;
} at_photo_reader;

/* Whether the folder's config.json names a family that reads pictures; false too when it cannot be read. */
bool at_photo_model(const char *folder);
/* max_pixels 0: AT_IMAGE_MAX_PIXELS. */
at_status at_photo_reader_open(const char *folder, const at_open_options *options, size_t max_pixels,
                               at_photo_reader **reader);
void at_photo_reader_close(at_photo_reader *reader); /* NULL is fine */

enum { AT_PHOTO_ROLLOUT = -2 }; /* beside layers and AT_MEAN */
enum { AT_PHOTO_MODEL = -1 };   /* who looks: the class token, or what pooling makes of all patches */

typedef struct at_photo_look {
    at_image seen; /* the part of the photo that the model saw, RGB, sharper than the model's own */
    size_t down, across, tokens;
    bool class_token;
    bool shared_out;             /* weights are a Linformer's, shared out to the patches */
    int layers, heads;           /* that `weights` holds */
    int first_layer, first_head; /* 0 unless one was asked for */
    float *weights;
    float *rollout;       /* NULL: one layer or head only, or too many tokens */
    float *alike;         /* NULL likewise */
    float *pooling;       /* (T) how much each token counts where there is no class token; else NULL */
    float *probabilities; /* (classes) NULL: the model has learned no labels */
    size_t classes;
    const char *const *names; /* the reader's */
} at_photo_look;

/* layer, head: one, or AT_MEAN for all. */
at_status at_photo_look_new(at_photo_reader *reader, const char *path, int layer, int head,
                            at_photo_look *look);
void at_photo_look_free(at_photo_look *look);
/* How much `asker` (a patch, or AT_PHOTO_MODEL) looks at each patch: in a layer and head, their mean
 * (AT_MEAN), or followed through all layers (layer AT_PHOTO_ROLLOUT). out (down * across). */
at_status at_photo_row(const at_photo_look *look, int layer, int head, long asker, float *out);
/* How alike each patch is to one of them, 0 … 1. AT_ENOSUP when alike is NULL. */
at_status at_photo_alike(const at_photo_look *look, long patch, float *out);
#endif

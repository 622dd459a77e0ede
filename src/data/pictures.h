/* data/pictures.h - pictures as batches: found, decoded ahead of training, augmented, mixed.
 *
 * Role    Finds the pictures of a split (a folder of classes, a list, IDX), holds a part of train out, and
 *         gives batches of normalised floats. Threads of the loader's own decode and augment some batches
 *         ahead; what they make is a function of (seed, epoch, picture) alone.
 * Owns    at_picture_split its set: at_picture_split_free. A loader its threads and its buffers.
 * Shapes  batch.pixels (B, height, width, channels), source counts B, examples are numbers in the set.
 *         A batch lives until the next call on its loader.
 * Errors  AT_EIO naming every place looked at; those of image/folder.h. A broken file is named in the log and
 *         left out, or ends the work with its own error where `strict`.
 * Threads One caller; a cache may be shared by loaders.
 *
 *     at_picture_split train = {0}, valid = {0};
 *     at_status st = at_picture_split_find("data/cats-dogs", "train", NULL, &train);
 *     st = at_picture_split_hold_out(&train, 0.1, seed, &valid);       // valid: numbers of the same set
 *     at_picture_loader_spec spec = {.split = &train, .prepare = how, .augment = &augment, .batch = 64,
 *                                    .ahead = 3, .classes = 2, .shuffle = true, .seed = 1, .threads = 2};
 *     st = at_picture_loader_new(&spec, &loader);
 */
#ifndef AT_DATA_PICTURES_H
#define AT_DATA_PICTURES_H
#include "data/loader.h"
#include "image/prepare.h"

/* The recipe's section "pictures". */
typedef struct at_picture_options {
    int64_t batch, ahead, cache_mb, max_pixels, threads;
    int64_t resample, fit, normalise;
    double middle, spare, holdout;
    int64_t clutter, shift; /* of IDX: image/prepare.h, at_placing */
    double turn, grow;
    bool canvas;
    bool strict;
} at_picture_options;

extern const at_field at_picture_fields[];

typedef struct at_picture_split {
    at_picture_set *set; /* the one in `own`, or another split's */
    at_picture_set own;
    uint32_t *index; /* (count) numbers in the set, rising */
    size_t count;
    uint32_t mark; /* checksum of labels and names: tells one set from another */
} at_picture_split;

/* FOLDER/NAME/CLASS/…; or the list FOLDER/NAME.tsv or .txt; or FOLDER/NAME-images-idx3-ubyte and
 * -labels-idx1-ubyte, also with .gz. A name that begins with '/' or '.' lies where it says. */
at_status at_picture_split_find(const char *folder, const char *name, const at_classes *expected,
                                at_picture_split *split);
/* Moves part `part` of each class from `split` to `held` by the seed: at least one picture of a class that
 * has two or more, never the last. AT_EARG if nothing is held or left. */
at_status at_picture_split_hold_out(at_picture_split *split, double part, uint64_t seed,
                                    at_picture_split *held);
void at_picture_split_free(at_picture_split *split); /* those held out of it first */

/* Size and normalisation of what a model takes. */
at_prepare at_picture_prepare(const at_picture_options *options, const at_pixels *size);
/* For a model's config.json: how a picture becomes what it was trained on, and back. NULL: no memory. */
json_t *at_picture_section(const at_prepare *how);
at_status at_picture_section_read(const json_t *section, const at_pixels *size, at_prepare *how);

typedef struct at_picture_loader_spec {
    const at_picture_split *split;
    at_prepare prepare;
    const at_augment_options *augment; /* NULL: none */
    at_image_cache *cache;             /* NULL: none */
    size_t batch, ahead;               /* pictures of a batch; batches made before they are asked for */
    size_t classes;                    /* for the shares of mixed batches */
    bool shuffle, strict;
    uint64_t seed;
    int threads;       /* that decode; 0: all cores */
    const at_log *log; /* names broken files; may be NULL */
} at_picture_loader_spec;

at_status at_picture_loader_new(const at_picture_loader_spec *spec, at_loader **loader);

typedef struct at_picture_figures {
    size_t pictures, broken; /* made so far; files left out */
    double waited;           /* seconds that the caller waited for a batch */
} at_picture_figures;

at_picture_figures at_picture_loader_figures(const at_loader *loader);
#endif

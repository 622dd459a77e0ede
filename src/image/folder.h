/* image/folder.h - a set of pictures: a folder with a sub-folder a class, a list, one folder, or IDX.
 *
 * Role    Finds which pictures there are and what they are called; opens none of them. The order is that of
 *         names by their bytes, the same on every machine.
 * Owns    Its paths, names and IDX bytes: at_picture_set_free. Zero-initialise; a call that fails leaves it
 *         empty.
 * Shapes  path, label (count); class_names (class_count). Of IDX: path NULL, pixels (count, height, width).
 * Errors  AT_EIO; AT_EFORMAT naming file, line and what is wrong: no sub-folders, one class alone, a class
 *         that `expected` does not have, no picture at all, IDX files of unequal count.
 *
 *     at_picture_set set = {0};
 *     at_status st = at_picture_set_folder("data/cats-dogs/train", NULL, &set);    // cat/…, dog/…
 *     printf("%zu pictures, %zu classes\n", set.count, set.class_count);
 *     at_picture_set_free(&set);
 *
 * In a folder of classes, files are found however deep they lie below the class's own folder. Names that
 * begin with a dot are skipped, everywhere, and so is what is neither file nor folder. Whether a file is a
 * picture is seen when it is read.
 */
#ifndef AT_IMAGE_FOLDER_H
#define AT_IMAGE_FOLDER_H
#include "image/idx.h"

typedef struct at_picture_set {
    size_t count;
    char **path;        /* (count) that fopen takes; NULL: the pixels are in `idx` */
    int32_t *label;     /* (count) NULL: none are known */
    char **class_names; /* (class_count) */
    size_t class_count;
    at_idx idx;
    size_t path_capacity, label_capacity, class_capacity; /* private */
} at_picture_set;

/* Names of classes that a model already has, in its order; NULL where they are asked for: those that are met,
 * sorted, at least two. */
typedef struct at_class_names {
    const char *const *name;
    size_t count;
} at_class_names;

/* FOLDER/CLASS/… */
at_status at_picture_set_folder(const char *folder, const at_class_names *expected, at_picture_set *set);
/* Lines `label<TAB>path`; a path that does not begin with '/' is taken from the list's own folder. */
at_status at_picture_set_list(const char *path, const at_class_names *expected, at_picture_set *set);
/* Every file below a folder, or the one file; without labels. */
at_status at_picture_set_all(const char *path, at_picture_set *set);
/* Appends as at_picture_set_all does; for several words of a command line. */
at_status at_picture_set_add(const char *path, at_picture_set *set);
/* labels NULL: none. Classes are called "0" … the largest label, or as expected. */
at_status at_picture_set_idx(const char *images, const char *labels, const at_class_names *expected,
                             at_picture_set *set);
void at_picture_set_free(at_picture_set *set);
#endif

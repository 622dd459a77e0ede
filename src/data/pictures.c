/* The pictures of a split, and how they become numbers. */
#include "data/pictures.h"
#include <inttypes.h>
#include <math.h>
#include <string.h>
#include "base/file.h"
#include "base/memory.h"
#include "data/internal.h"

enum { HALF, IMAGENET, UNIT };
enum { PIECE = 8 }; /* side of clutter: Mnih et al. 2014, arXiv:1406.6247, section 4 */

#define AT(member) offsetof(at_picture_options, member)

const at_field at_picture_fields[] = {
    {"batch", AT_FIELD_INT, AT(batch), "64", 1, 65536, NULL, "pictures of a batch"},
    {"ahead", AT_FIELD_INT, AT(ahead), "3", 1, 64, NULL, "batches made before they are asked for"},
    {"reader_threads", AT_FIELD_INT, AT(threads), "0", 0, 256, NULL,
     "threads that decode and augment; 0: as many as there are for training"},
    {"cache_mb", AT_FIELD_INT, AT(cache_mb), "1024", 0, 1 << 20, NULL,
     "megabytes of decoded pictures that are kept between epochs"},
    {"max_pixels", AT_FIELD_INT, AT(max_pixels), "100000000", 1, 1e12, NULL,
     "a file that says it has more is refused"},
    {"resample", AT_FIELD_CHOICE, AT(resample), "bicubic", 0, 0, AT_RESAMPLE_CHOICES,
     "how a picture comes to another size"},
    {"fit", AT_FIELD_CHOICE, AT(fit), "crop", 0, 0, AT_FIT_CHOICES,
     "without augmentation: the middle in the model's shape, or all of it stretched"},
    {"middle", AT_FIELD_REAL, AT(middle), "1", 0.05, 1, NULL, "side of that middle part; 0.875: 224 of 256"},
    {"spare", AT_FIELD_REAL, AT(spare), "1.25", 1, 8, NULL,
     "pictures are kept this many times as large as the model's, so that crops stay sharp"},
    {"normalise", AT_FIELD_CHOICE, AT(normalise), "half", 0, 0, "half|imagenet|unit",
     "values: -1 to 1; less the mean and by the deviation of ImageNet's colours; 0 to 1"},
    {"holdout", AT_FIELD_REAL, AT(holdout), "0", 0, 0.9, NULL,
     "part of train's pictures, the same of each class, to validate by instead of `valid`"},
    {"canvas", AT_FIELD_BOOL, AT(canvas), "false", 0, 0, NULL,
     "of IDX: each picture anywhere on an empty one of the model's size, another place each epoch"},
    {"clutter", AT_FIELD_INT, AT(clutter), "0", 0, 1024, NULL,
     "of IDX: so many pieces of 8 x 8 pixels, cut from other pictures, are added anywhere"},
    {"shift", AT_FIELD_INT, AT(shift), "0", 0, 256, NULL,
     "of IDX, instead of augmentation: moved by up to so many pixels each way"},
    {"turn", AT_FIELD_REAL, AT(turn), "0", 0, 180, NULL,
     "of IDX, instead of augmentation: turned by up to so many degrees each way"},
    {"grow", AT_FIELD_REAL, AT(grow), "0", 0, 0.9, NULL,
     "of IDX, instead of augmentation: larger or smaller by up to this part"},
    {"strict", AT_FIELD_BOOL, AT(strict), "false", 0, 0, NULL,
     "a file that cannot be read ends the training; otherwise it is named and left out"},
    {0}};

/* ---------------------------------------------------------------- finding */

static char *joined(const char *folder, const char *name, const char *ending)
{
    bool here = name[0] == '/' || name[0] == '.';
    at_buf text = {0};
    at_buf_printf(&text, "%s%s%s%s", here ? "" : folder, here ? "" : "/", name, ending);
    return at_buf_take(&text);
}

/* FOLDER/NAME + ending, or that with .gz; NULL with AT_OK: neither is there. */
static at_status find(const char *folder, const char *name, const char *ending, char **path)
{
    static const char *const packed[] = {"", ".gz"};
    *path = NULL;
    for (int i = 0; i < 2 && !*path; i++) {
        char whole[64];
        snprintf(whole, sizeof whole, "%s%s", ending, packed[i]);
        char *candidate = joined(folder, name, whole);
        if (!candidate)
            return AT_ENOMEM;
        if (at_file_exists(candidate))
            *path = candidate;
        else
            at_free(candidate);
    }
    return AT_OK;
}

static at_status open_idx(const char *folder, const char *name, const at_class_names *expected,
                          at_picture_set *set, bool *there)
{
    char *images, *labels = NULL;
    at_status st = find(folder, name, "-images-idx3-ubyte", &images);
    *there = st == AT_OK && images;
    if (*there)
        st = find(folder, name, "-labels-idx1-ubyte", &labels);
    if (*there && st == AT_OK && !labels)
        st = at_fail(AT_EIO, "%s: no %s-labels-idx1-ubyte beside it, nor with .gz", images, name);
    if (*there && st == AT_OK)
        st = at_picture_set_idx(images, labels, expected, set);
    at_free(images);
    at_free(labels);
    return st;
}

static at_status open_list(const char *folder, const char *name, const at_class_names *expected,
                           at_picture_set *set, bool *there)
{
    static const char *const endings[] = {".tsv", ".txt", ""};
    at_status st = AT_OK;
    *there = false;
    for (int i = 0; i < 3 && st == AT_OK && !*there; i++) {
        char *path = joined(folder, name, endings[i]);
        if (!path)
            return AT_ENOMEM;
        *there = at_file_exists(path) && !at_is_folder(path);
        if (*there)
            st = at_picture_set_list(path, expected, set);
        at_free(path);
    }
    return st;
}

static at_status open_set(const char *folder, const char *name, const at_class_names *expected,
                          at_picture_set *set)
{
    char *path = joined(folder, name, "");
    bool there = path && at_is_folder(path);
    at_status st = path ? AT_OK : AT_ENOMEM;
    if (there)
        st = at_picture_set_folder(path, expected, set);
    at_free(path);
    if (st == AT_OK && !there)
        st = open_idx(folder, name, expected, set, &there);
    if (st == AT_OK && !there)
        st = open_list(folder, name, expected, set, &there);
    if (st == AT_OK && !there)
        st = at_fail(AT_EIO,
                     "%s: none of the folder %s, the lists %s.tsv and %s.txt, and %s-images-idx3-ubyte is "
                     "there; name what is there in data.train, data.valid (\".\": the folder itself)",
                     folder, name, name, name, name);
    return st;
}

/* Labels and the files' own names, without the folders before them. */
static uint32_t mark_of(const at_picture_split *s)
{
    uint32_t mark = 0;
    for (size_t i = 0; i < s->count; i++) {
        size_t at = s->index[i];
        const char *path = s->set->path ? s->set->path[at] : "", *name = strrchr(path, '/');
        mark = at_crc32(mark, name ? name : path, strlen(name ? name : path));
        mark = at_crc32(mark, &s->set->label[at], sizeof *s->set->label);
    }
    if (s->set->idx.bytes)
        mark = at_crc32(mark, s->set->idx.bytes, s->set->idx.count * s->set->idx.height * s->set->idx.width);
    return mark;
}

at_status at_picture_split_find(const char *folder, const char *name, const at_classes *expected,
                                at_picture_split *split)
{
    *split = (at_picture_split){0};
    at_class_names names = {0};
    if (expected)
        names = (at_class_names){(const char *const *)expected->names, expected->count};
    at_status st = open_set(folder, name, expected ? &names : NULL, &split->own);
    if (st == AT_OK && split->own.count >= UINT32_MAX)
        st = at_fail(AT_EARG, "%s: more than %u pictures", folder, UINT32_MAX - 1);
    split->set = &split->own;
    split->count = split->own.count;
    split->index = st == AT_OK ? at_alloc_array(split->count + 1, sizeof *split->index) : NULL;
    if (st == AT_OK && !split->index)
        st = AT_ENOMEM;
    for (size_t i = 0; st == AT_OK && i < split->count; i++)
        split->index[i] = (uint32_t)i;
    if (st == AT_OK)
        split->mark = mark_of(split);
    else
        at_picture_split_free(split);
    return st;
}

void at_picture_split_free(at_picture_split *split)
{
    at_picture_set_free(&split->own);
    at_free(split->index);
    *split = (at_picture_split){0};
}

/* Of a class of n pictures. */
static size_t held_of(size_t n, double part)
{
    size_t want = (size_t)llrint(part * (double)n);
    if (n < 2 || part <= 0)
        return 0;
    return want < 1 ? 1 : want < n ? want : n - 1;
}

at_status at_picture_split_hold_out(at_picture_split *split, double part, uint64_t seed,
                                    at_picture_split *held)
{
    size_t count = split->count, classes = split->set->class_count, kept = 0;
    *held = (at_picture_split){.set = split->set};
    uint32_t *order = at_alloc_array(count + 1, sizeof *order);
    size_t *want = at_alloc_zero(classes + 1, sizeof *want);
    bool *out = at_alloc_zero(split->set->count + 1, sizeof *out);
    held->index = at_alloc_array(count + 1, sizeof *held->index);
    at_status st = order && want && out && held->index ? AT_OK : AT_ENOMEM;
    if (st == AT_OK) {
        at_rng rng = at_epoch_rng(seed, UINT64_MAX - 1); /* no epoch's */
        memcpy(order, split->index, count * sizeof *order);
        at_rng_shuffle(&rng, order, count);
        for (size_t i = 0; i < count; i++)
            want[split->set->label[order[i]]]++;
        for (size_t c = 0; c < classes; c++)
            want[c] = held_of(want[c], part);
        for (size_t i = 0; i < count; i++) {
            size_t *left = &want[split->set->label[order[i]]];
            out[order[i]] = *left > 0;
            *left -= *left > 0;
        }
        for (size_t i = 0; i < count; i++) {
            uint32_t at = split->index[i];
            if (out[at])
                held->index[held->count++] = at;
            else
                split->index[kept++] = at;
        }
        split->count = kept;
        split->mark = mark_of(split);
        held->mark = mark_of(held);
    }
    at_free(order);
    at_free(want);
    at_free(out);
    if (st == AT_OK && (!held->count || !split->count))
        st = at_fail(AT_EARG, "option 'pictures.holdout': %g of %zu pictures leaves none to %s", part, count,
                     held->count ? "learn from" : "validate by");
    if (st != AT_OK)
        at_picture_split_free(held);
    return st;
}

/* ---------------------------------------------------------------- numbers */

at_prepare at_picture_prepare(const at_picture_options *o, const at_pixels *size)
{
    static const float imagenet[2][3] = {{0.485f, 0.456f, 0.406f}, {0.229f, 0.224f, 0.225f}};
    at_prepare how = AT_PREPARE_DEFAULTS;
    how.width = size->width;
    how.height = size->height;
    how.channels = size->channels;
    how.resample = (at_resample)o->resample;
    how.fit = (at_fit)o->fit;
    how.middle = o->middle;
    how.spare = o->spare;
    how.max_pixels = (size_t)o->max_pixels;
    how.placing = (at_placing){.canvas = o->canvas,
                               .clutter = (size_t)o->clutter,
                               .piece = PIECE,
                               .shift = (size_t)o->shift,
                               .turn = o->turn,
                               .grow = o->grow};
    for (int c = 0; c < 3; c++) {
        how.mean[c] = o->normalise == IMAGENET ? imagenet[0][c] : o->normalise == UNIT ? 0 : 0.5f;
        how.deviation[c] = o->normalise == IMAGENET ? imagenet[1][c] : o->normalise == UNIT ? 1 : 0.5f;
    }
    return how;
}

static const char *const resamples[] = {"bicubic", "bilinear", "area"}, *const fits[] = {"crop", "stretch"};

static json_t *three(const float numbers[3])
{
    return json_pack("[f,f,f]", (double)numbers[0], (double)numbers[1], (double)numbers[2]);
}

json_t *at_picture_section(const at_prepare *how)
{
    return json_pack("{s:I, s:I, s:s, s:s, s:f, s:f, s:b, s:I, s:o, s:o}", "height", (json_int_t)how->height,
                     "width", (json_int_t)how->width, "resample", resamples[how->resample], "fit",
                     fits[how->fit], "middle", how->middle, "spare", how->spare, "canvas",
                     (int)how->placing.canvas, "clutter", (json_int_t)how->placing.clutter, "mean",
                     three(how->mean), "deviation", three(how->deviation));
}

static at_status read_choice(const json_t *section, const char *key, const char *const *names, size_t count,
                             size_t *choice)
{
    const char *text = NULL;
    at_status st = at_json_text_or(section, key, &text);
    for (size_t i = 0; st == AT_OK && text && i < count; i++)
        if (!strcmp(text, names[i])) {
            *choice = i;
            return AT_OK;
        }
    return st == AT_OK && text ? at_fail(AT_EFORMAT, "field '%s': '%.40s' is none that is known", key, text)
                               : st;
}

static at_status read_three(const json_t *section, const char *key, double least, float numbers[3])
{
    const json_t *list = json_object_get(section, key);
    if (!list)
        return AT_OK;
    for (size_t i = 0; i < 3; i++) {
        double number = json_number_value(json_array_get(list, i));
        if (json_array_size(list) != 3 || !json_is_number(json_array_get(list, i)) ||
            !(fabs(number) <= 1e3) || fabs(number) < least)
            return at_fail(AT_EFORMAT, "field '%s': want a list of three numbers", key);
        numbers[i] = (float)number;
    }
    return AT_OK;
}

at_status at_picture_section_read(const json_t *section, const at_pixels *size, at_prepare *how)
{
    at_prepare p = AT_PREPARE_DEFAULTS;
    size_t resample = p.resample, fit = p.fit;
    const json_t *middle = json_object_get(section, "middle"), *spare = json_object_get(section, "spare");
    int64_t height = (int64_t)size->height, width = (int64_t)size->width;
    at_status st = AT_OK;
    if (!size->height) /* a model of any size: that of its training */
        st = at_json_int(section, "height", 1, 16384, &height);
    if (st == AT_OK && !size->width)
        st = at_json_int(section, "width", 1, 16384, &width);
    p.height = (size_t)height;
    p.width = (size_t)width;
    p.channels = size->channels;
    if (st == AT_OK)
        st = read_choice(section, "resample", resamples, 3, &resample);
    if (st == AT_OK)
        st = read_choice(section, "fit", fits, 2, &fit);
    if (st == AT_OK)
        st = read_three(section, "mean", 0, p.mean);
    if (st == AT_OK)
        st = read_three(section, "deviation", 1e-6, p.deviation);
    if (middle)
        p.middle = json_number_value(middle);
    if (spare)
        p.spare = json_number_value(spare);
    if (st == AT_OK && !(p.middle > 0 && p.middle <= 1 && p.spare >= 1 && p.spare <= 64))
        st = at_fail(AT_EFORMAT, "fields 'middle', 'spare': want numbers within 0 … 1 and from 1 on");
    int64_t clutter = 0;
    if (st == AT_OK)
        st = at_json_int_or(section, "clutter", 0, 1024, &clutter);
    p.placing = (at_placing){.canvas = json_is_true(json_object_get(section, "canvas")),
                             .clutter = (size_t)clutter,
                             .piece = PIECE};
    p.resample = (at_resample)resample;
    p.fit = (at_fit)fit;
    *how = p;
    return st == AT_OK ? st : at_fail_within(st, "attend.data");
}

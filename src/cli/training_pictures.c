/* A training whose data are pictures: which there are, what is held out, their loaders. */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include "base/pool.h"
#include "cli/training.h"

static bool has_valid(const at_training *t)
{
    return t->pictures.holdout > 0 || (t->data.valid && *t->data.valid);
}

static at_status take_classes(at_training *t)
{
    const at_picture_set *set = t->train_split.set;
    at_status st = AT_OK;
    int32_t number;
    for (size_t i = 0; st == AT_OK && i < set->class_count; i++)
        st = at_classes_add(&t->train_set.classes, set->class_names[i], strlen(set->class_names[i]), &number);
    return st;
}

at_status at_training_find_pictures(at_training *t, const at_log *log)
{
    at_picture_split *train = &t->train_split;
    char known[200];
    if (strchr(t->data.train, ',') || (t->data.valid && strchr(t->data.valid, ',')))
        return at_fail(AT_EARG, "option 'data.train': of pictures one folder or list, not several");
    at_status st = at_picture_split_find(t->folder, t->data.train, NULL, train);
    if (st == AT_OK)
        st = take_classes(t);
    if (st == AT_OK && t->pictures.holdout > 0)
        st = at_picture_split_hold_out(train, t->pictures.holdout, (uint64_t)t->train.seed, &t->valid_split);
    else if (st == AT_OK && has_valid(t))
        st = at_picture_split_find(t->folder, t->data.valid, &t->train_set.classes, &t->valid_split);
    if (st != AT_OK)
        return st;
    at_classes_list(&t->train_set.classes, known, sizeof known);
    at_log_line(log, "%zu pictures to learn from, %zu to validate by; classes: %s", train->count,
                t->valid_split.count, known);
    snprintf(t->data_mark, sizeof t->data_mark, "%zu pictures, checksum %08" PRIx32, train->count,
             train->mark ^ t->valid_split.mark);
    return AT_OK;
}

/* A model that takes any size takes that of the data, where all pictures have one. */
static at_status find_size(const at_training *t, at_pixels *size)
{
    *size = t->family->pixels(t->model);
    if (size->height && size->width)
        return AT_OK;
    const at_idx *idx = &t->train_split.set->idx;
    if (!idx->bytes)
        return at_fail(AT_EARG, "a %s takes pictures of any size, but all of one: give IDX files",
                       t->family->name);
    size->height = idx->height;
    size->width = idx->width;
    return AT_OK;
}

at_status at_training_load_pictures(at_training *t, const at_log *log)
{
    const at_picture_options *o = &t->pictures;
    at_pixels size;
    at_status st = find_size(t, &size);
    if (st == AT_OK && o->cache_mb > 0)
        st = at_image_cache_new(t->train_split.set->count, (size_t)o->cache_mb << 20, &t->cache);
    if (st != AT_OK)
        return st;
    t->prepare = at_picture_prepare(o, &size);
    st = at_prepare_check(t->train_split.set, &t->prepare);
    if (st != AT_OK)
        return st;
    at_picture_loader_spec spec = {.split = &t->train_split,
                                   .prepare = t->prepare,
                                   .augment = &t->augment,
                                   .cache = t->cache,
                                   .batch = (size_t)o->batch,
                                   .ahead = (size_t)o->ahead,
                                   .classes = t->train_set.classes.count,
                                   .shuffle = t->data.shuffle,
                                   .strict = o->strict,
                                   .seed = (uint64_t)t->train.seed,
                                   .threads = o->threads ? (int)o->threads : t->exec->threads,
                                   .log = log};
    st = at_picture_loader_new(&spec, &t->train_loader);
    if (st != AT_OK || !has_valid(t))
        return st;
    spec.split = &t->valid_split;
    spec.augment = NULL;
    spec.shuffle = false;
    if (t->valid_split.set != t->train_split.set)
        spec.cache = NULL; /* its numbers are of another set */
    return at_picture_loader_new(&spec, &t->valid_loader);
}

#include "image/prepare.h"
#include <math.h>
#include <string.h>

/* The shorter side a picture is kept at. */
static size_t kept_side(const at_prepare *how)
{
    size_t side = how->width > how->height ? how->width : how->height;
    return (size_t)ceil((double)side * (how->spare > 1.0 ? how->spare : 1.0));
}

static at_status load_idx(const at_idx *idx, size_t index, at_image *image)
{
    at_status st = at_image_new(idx->width, idx->height, 1, image);
    size_t bytes = idx->width * idx->height;
    if (st == AT_OK)
        memcpy(image->pixels, idx->bytes + index * bytes, bytes);
    return st;
}

at_status at_prepare_load(const at_picture_set *set, size_t index, const at_prepare *how, at_image *image)
{
    AT_ASSERT(index < set->count);
    *image = (at_image){0};
    at_image_options options = {
        .channels = how->channels, .max_pixels = how->max_pixels, .at_least = kept_side(how)};
    at_status st =
        set->path ? at_image_read(set->path[index], &options, image) : load_idx(&set->idx, index, image);
    if (st == AT_OK)
        st = at_image_to_channels(image, how->channels);
    if (st == AT_OK)
        st = at_image_shrink(image, kept_side(how), how->resample);
    if (st != AT_OK)
        at_image_free(image);
    return st;
}

at_box at_prepare_seen(const at_prepare *how, const at_image *image)
{
    if (how->fit == AT_FIT_STRETCH)
        return (at_box){.width = (double)image->width, .height = (double)image->height};
    return at_image_middle(image, how->width, how->height, how->middle);
}

at_status at_prepare_image(const at_image *image, const at_prepare *how, float *pixels)
{
    at_box box = at_prepare_seen(how, image);
    at_image part;
    AT_ASSERT(image->channels == how->channels);
    at_status st = at_image_resize(image, &box, how->width, how->height, how->resample, &part);
    if (st == AT_OK)
        at_image_floats(&part, how->mean, how->deviation, pixels);
    at_image_free(&part);
    return st;
}

static bool is_placed(const at_placing *p)
{
    return p->canvas || p->clutter || p->shift || p->turn > 0 || p->grow > 0;
}

/* As training sees it, or what stays the same of that. */
static at_canvas canvas_of(const at_picture_set *set, const at_prepare *how, bool training)
{
    const at_placing *p = &how->placing;
    return (at_canvas){.pictures = set->idx.bytes,
                       .count = set->idx.count,
                       .height = set->idx.height,
                       .width = set->idx.width,
                       .channels = 1,
                       .size = p->canvas ? how->width : 0,
                       .shift = training ? p->shift : 0,
                       .turn = training ? p->turn : 0,
                       .grow = training ? p->grow : 0,
                       .clutter = p->clutter,
                       .piece = p->piece};
}

at_status at_prepare_check(const at_picture_set *set, const at_prepare *how)
{
    if (!is_placed(&how->placing))
        return AT_OK;
    if (!set->idx.bytes)
        return at_fail(AT_EARG, "pictures.canvas, clutter, shift, turn and grow are for IDX files only");
    if (how->placing.canvas && how->height != how->width)
        return at_fail(AT_EARG, "pictures.canvas: the model's pictures, %zu x %zu, are no square", how->width,
                       how->height);
    at_canvas canvas = canvas_of(set, how, true);
    return at_canvas_check(&canvas);
}

static at_status place(const at_picture_set *set, size_t index, const at_prepare *how, bool training,
                       at_augment_key key, float *pixels)
{
    at_canvas canvas = canvas_of(set, how, training);
    uint32_t draws[2] = {(uint32_t)key.seed, training ? (uint32_t)key.epoch + 1 : 0};
    at_image image = {0};
    if (!training)
        draws[0] = 0;
    at_status st = at_image_new(at_canvas_width(&canvas), at_canvas_height(&canvas), 1, &image);
    if (st == AT_OK) {
        at_canvas_draw(&canvas, index, draws, image.pixels);
        st = at_image_to_channels(&image, how->channels);
    }
    if (st == AT_OK)
        st = at_prepare_image(&image, how, pixels);
    at_image_free(&image);
    return st;
}

at_status at_prepare_picture(const at_picture_set *set, size_t index, const at_prepare *how,
                             const at_augment_options *augment, at_augment_key key, at_image_cache *cache,
                             float *pixels)
{
    if (!set->path && is_placed(&how->placing))
        return place(set, index, how, augment != NULL, key, pixels);
    const at_image *image = cache ? at_image_cache_get(cache, index) : NULL;
    at_image own = {0};
    at_status st = AT_OK;
    if (!image) {
        st = at_prepare_load(set, index, how, &own);
        image = st == AT_OK && cache ? at_image_cache_put(cache, index, &own) : NULL;
        image = image ? image : &own;
    }
    if (st == AT_OK && augment)
        st = at_augment(image, augment, key, how->width, how->height, how->resample, how->mean,
                        how->deviation, pixels);
    else if (st == AT_OK)
        st = at_prepare_image(image, how, pixels);
    at_image_free(&own);
    return st;
}

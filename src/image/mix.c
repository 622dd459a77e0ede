/* Two pictures of a batch into one: mixup and cutmix of augment.h. */
#include <math.h>
#include <string.h>
#include "image/augment.h"

/* Marsaglia & Tsang 2000, "A Simple Method for Generating Gamma Variables"; their note for shapes below 1. */
static double gamma_of(at_rng *rng, double shape)
{
    double lift = 1.0;
    if (shape < 1.0) {
        lift = pow(1.0 - (double)at_rng_uniform(rng), 1.0 / shape);
        shape += 1.0;
    }
    double d = shape - 1.0 / 3.0, c = 1.0 / sqrt(9.0 * d);
    for (;;) {
        double x = (double)at_rng_normal(rng), v = 1.0 + c * x, u = 1.0 - (double)at_rng_uniform(rng);
        v = v * v * v;
        if (v > 0.0 && log(u) < 0.5 * x * x + d - d * v + d * log(v))
            return d * v * lift;
    }
}

/* The larger of Beta(alpha, alpha) and what it leaves: i takes it from itself, its partner from itself too,
 * so that over the pair nothing is lost, and a picture's label keeps the larger share. */
static double larger_share(at_rng *rng, double alpha)
{
    double a = gamma_of(rng, alpha), b = gamma_of(rng, alpha);
    double share = a + b > 0.0 ? a / (a + b) : 1.0;
    return share < 0.5 ? 1.0 - share : share;
}

static void blend(float *a, float *b, size_t n, float share)
{
    for (size_t i = 0; i < n; i++) {
        float x = a[i], y = b[i];
        a[i] = share * x + (1.0f - share) * y;
        b[i] = share * y + (1.0f - share) * x;
    }
}

typedef struct part {
    size_t left, top, width, height;
} part;

/* A part of the picture's own shape around a random point, cut at the edges. */
static part random_part(const at_mix_batch *batch, at_rng *rng, double area)
{
    double side = sqrt(area), w = floor(side * (double)batch->width), h = floor(side * (double)batch->height);
    double x = at_rng_below(rng, (uint32_t)batch->width), y = at_rng_below(rng, (uint32_t)batch->height);
    double left = x - floor(w / 2), top = y - floor(h / 2);
    double right = fmin(left + w, (double)batch->width), bottom = fmin(top + h, (double)batch->height);
    left = fmax(left, 0.0);
    top = fmax(top, 0.0);
    return (part){.left = (size_t)left,
                  .top = (size_t)top,
                  .width = (size_t)fmax(right - left, 0.0),
                  .height = (size_t)fmax(bottom - top, 0.0)};
}

static void exchange(const at_mix_batch *batch, float *a, float *b, part p)
{
    for (size_t y = p.top; y < p.top + p.height; y++) {
        size_t at = (y * batch->width + p.left) * batch->channels;
        for (size_t i = 0; i < p.width * batch->channels; i++) {
            float x = a[at + i];
            a[at + i] = b[at + i];
            b[at + i] = x;
        }
    }
}

static void set_shares(const at_mix_batch *batch, float own)
{
    memset(batch->shares, 0, batch->count * batch->classes * sizeof *batch->shares);
    for (size_t i = 0; i < batch->count; i++) {
        float *row = batch->shares + i * batch->classes;
        row[batch->labels[i]] += own;
        row[batch->labels[batch->count - 1 - i]] += 1.0f - own;
    }
}

bool at_mix(const at_mix_batch *batch, const at_augment_options *options, at_augment_key key)
{
    const at_augment_options *o = options;
    at_rng rng = at_augment_rng((at_augment_key){~key.seed, key.epoch, key.example});
    size_t floats = batch->height * batch->width * batch->channels;
    bool mixed = (o->mixup > 0.0 || o->cutmix > 0.0) && (double)at_rng_uniform(&rng) < o->mix;
    bool cut = o->cutmix > 0.0 && (o->mixup <= 0.0 || at_rng_below(&rng, 2) == 1);
    if (!mixed || batch->count < 2) {
        set_shares(batch, 1.0f);
        return false;
    }
    double own = larger_share(&rng, cut ? o->cutmix : o->mixup);
    part p = {0};
    if (cut) {
        p = random_part(batch, &rng, 1.0 - own);
        own = 1.0 - (double)(p.width * p.height) / (double)(batch->width * batch->height);
    }
    for (size_t i = 0; i < batch->count / 2; i++) {
        float *a = batch->pixels + i * floats, *b = batch->pixels + (batch->count - 1 - i) * floats;
        if (cut)
            exchange(batch, a, b, p);
        else
            blend(a, b, floats, (float)own);
    }
    set_shares(batch, (float)own);
    return true;
}

#include "kernel/simd/attend_panel.h"

enum { LANES = (QUERY_BLOCK + AT_VEC - 1) / AT_VEC * AT_VEC };

/* What the queries of a block know so far (Milakov and Gimelshein 2018, "Online normalizer calculation for
 * softmax", arXiv:1805.02867): the largest score, the sum of exp(score - largest), and by what the last tile
 * made the outputs of those before it too large. */
typedef struct progress {
    size_t t0, rows;
    bool begun; /* a tile was there */
    float best[LANES], sum[LANES], correction[LANES];
} progress;

/* Keys [s0, s0+columns). */
typedef struct tile {
    size_t s0, columns;
    bool ready; /* laid out */
    bool whole; /* the queries at hand see all of it */
} tile;

/* scores = queries · keys */
static void score_tile(const at_attend *a, const at_tiles *tiles, const tile *in, const progress *p,
                       const float *queries)
{
    at_part parts[STRIPS];
    bool diagonal = attend_diagonal(a, p->t0, in->s0, in->columns);
    at_cut c = cut_rows(0, p->rows);
    for (size_t i = 0; diagonal && i < c.strips; i++) {
        size_t last = p->t0 + strip_begin(&c, i) + strip_rows(&c, i) - 1;
        parts[i] = (at_part){0, a->d_key, attend_reach(a, last, in->s0, in->columns)};
    }
    at_tile product = {.a = queries,
                       .a_row = a->d_key,
                       .a_col = 1,
                       .b = tiles->keys,
                       .b_panel = a->d_key * PANEL,
                       .c = tiles->scores,
                       .c_row = tiles->stride,
                       .rows = p->rows,
                       .columns = in->columns,
                       .k = a->d_key,
                       .parts = diagonal ? parts : NULL};
    AT_SIMD_NAME(tile_multiply)(&product);
}

/* out = [correction out +] weights · values */
static void add_tile(const at_attend *a, const at_tiles *tiles, const tile *in, const progress *p, float *out)
{
    at_part parts[STRIPS];
    bool diagonal = attend_diagonal(a, p->t0, in->s0, in->columns);
    at_cut c = cut_rows(0, p->rows);
    for (size_t i = 0; diagonal && i < c.strips; i++) {
        size_t last = p->t0 + strip_begin(&c, i) + strip_rows(&c, i) - 1;
        parts[i] = (at_part){0, attend_reach(a, last, in->s0, in->columns), a->d_value};
    }
    at_tile product = {.a = tiles->scores,
                       .a_row = tiles->stride,
                       .a_col = 1,
                       .b = tiles->values,
                       .b_panel = in->columns * PANEL,
                       .c = out,
                       .c_row = tiles->out_width,
                       .rows = p->rows,
                       .columns = a->d_value,
                       .k = in->columns,
                       .accumulate = p->begun,
                       .factor = p->correction,
                       .parts = diagonal ? parts : NULL};
    AT_SIMD_NAME(tile_multiply)(&product);
}

/* The largest scores of queries r …, a vector of them. */
static void mask_rows(const at_attend *a, const at_tiles *tiles, const tile *in, progress *p, size_t r,
                      size_t *ends)
{
    at_vec top[AT_VEC];
    size_t rows = vec_lanes(p->rows - r);
    for (size_t i = 0; i < rows; i++) {
        size_t t = p->t0 + r + i;
        at_span seen = {0, in->columns};
        if (!in->whole)
            seen = attend_span(a, t, in->s0, in->columns);
        top[i] = attend_mask(a, tiles->scores + (r + i) * tiles->stride, at_bias_at(a, t, in->s0), &seen);
        ends[r + i] = seen.hi;
    }
    for (size_t i = rows; i < AT_VEC; i++)
        top[i] = vec_set(-INFINITY);
    at_vec last = vec_load(p->best + r), best = vec_max(vec_highests(top), last);
    vec_store(p->best + r, best);
    vec_store(p->correction + r, attend_correction(last, best));
}

/* Their weights. */
static void weigh_rows(const at_attend *a, const at_tiles *tiles, const tile *in, progress *p, size_t r,
                       const size_t *ends)
{
    at_vec sum[AT_VEC];
    size_t rows = vec_lanes(p->rows - r), blocks = (in->columns + 3) / 4;
    for (size_t i = 0; i < rows; i++)
        sum[i] = attend_weigh(tiles->scores + (r + i) * tiles->stride,
                              a->drop_rate > 0 ? tiles->factors + (r + i) * 4 * blocks : NULL, ends[r + i],
                              in->columns, p->best[r + i]);
    for (size_t i = rows; i < AT_VEC; i++)
        sum[i] = vec_zero();
    at_vec before = vec_mul(vec_load(p->sum + r), vec_load(p->correction + r));
    vec_store(p->sum + r, vec_add(before, vec_sums(sum)));
}

/* Two loops over the rows, because maxima, exponentials and sums wait for each other longer than the CPU
 * looks ahead. */
static void weigh_tile(const at_attend *a, const at_tiles *tiles, tile *in, progress *p)
{
    size_t ends[QUERY_BLOCK];
    in->whole = attend_whole(a, p->t0, p->rows, in->s0, in->columns);
    for (size_t r = 0; r < p->rows; r += AT_VEC)
        mask_rows(a, tiles, in, p, r, ends);
    for (size_t r = 0; r < p->rows; r += AT_VEC)
        weigh_rows(a, tiles, in, p, r, ends);
}

static void forward_tile(const at_attend *a, const at_tiles *tiles, tile *in, progress *p, size_t in_group)
{
    if (attend_hidden(a, p->t0, p->rows, in->s0, in->columns))
        return;
    if (!in->ready) {
        AT_SIMD_NAME(attend_turn)(tiles->keys, a->k, a->k_stride, a->rows, in->s0, in->columns, a->d_key, 1);
        AT_SIMD_NAME(attend_pack)
        (tiles->values, a->v, a->v_stride, a->rows, in->s0, in->columns, a->d_value, 1);
        in->ready = true;
    }
    score_tile(a, tiles, in, p, tiles->queries + in_group * a->d_key);
    if (a->drop_rate > 0)
        AT_SIMD_NAME(attend_factors)(a, tiles->factors, p->t0, p->rows, in->s0, in->columns);
    weigh_tile(a, tiles, in, p);
    add_tile(a, tiles, in, p, tiles->out + in_group * tiles->out_width);
    p->begun = true;
}

static void finish_block(const at_attend *a, const at_tiles *tiles, progress *p, size_t in_group)
{
    float *lse = p->correction;
    for (size_t r = 0; r < p->rows; r += AT_VEC) {
        at_vec sum = vec_load(p->sum + r), none = vec_zero();
        at_lanes nothing = vec_equal(sum, none);
        at_vec log = vec_add(vec_load(p->best + r), vec_log(sum));
        vec_store(lse + r, vec_select(nothing, vec_set(-INFINITY), log));
        vec_store(p->sum + r, vec_select(nothing, none, vec_div(vec_set(1.0f), sum)));
    }
    for (size_t r = 0; r < p->rows; r++) {
        float *o = a->o + (p->t0 + r) * a->o_stride;
        if (lse[r] == -INFINITY)
            memset(o, 0, a->d_value * sizeof *o);
        else
            attend_copy(o, tiles->out + (in_group + r) * tiles->out_width, p->sum[r], a->d_value);
        if (a->lse)
            a->lse[(p->t0 + r) * a->lse_stride] = lse[r];
    }
}

/* Queries [t0, t0+rows), as many as share the layout of a tile of keys. */
static void forward_group(const at_attend *a, const at_tiles *tiles, size_t t0, size_t rows)
{
    progress blocks[GROUP];
    attend_copy_rows(tiles->queries, a->q + t0 * a->q_stride, a->q_stride, a->scale, rows, a->d_key);
    size_t count = 0;
    for (size_t r = 0; r < rows; r += QUERY_BLOCK) {
        progress *p = &blocks[count++];
        p->t0 = t0 + r;
        p->rows = attend_least(rows - r, QUERY_BLOCK);
        p->begun = false;
        for (size_t i = 0; i < LANES; i++) {
            p->best[i] = -INFINITY;
            p->sum[i] = 0;
        }
    }
    at_visible range = attend_range(a, t0, t0 + rows);
    for (size_t s0 = range.first / KEY_TILE * KEY_TILE; s0 < range.end; s0 += KEY_TILE) {
        tile in = {.s0 = s0, .columns = attend_least(range.end - s0, KEY_TILE)};
        for (size_t i = 0; i < count; i++) {
            at_visible own = attend_range(a, blocks[i].t0, blocks[i].t0 + blocks[i].rows);
            if (own.first < s0 + in.columns && own.end > s0)
                forward_tile(a, tiles, &in, &blocks[i], i * QUERY_BLOCK);
        }
    }
    for (size_t i = 0; i < count; i++)
        finish_block(a, tiles, &blocks[i], i * QUERY_BLOCK);
}

static void attend(const at_attend *a, float *scratch)
{
    if (a->queries == 1) {
        AT_SIMD_NAME(attend_alone)(a, scratch);
        return;
    }
    if (attend_is_short(a)) {
        AT_SIMD_NAME(attend_short)(a, scratch);
        return;
    }
    at_tiles tiles;
    attend_lay_out(&tiles, scratch, a, false);
    for (size_t t = 0; t < a->queries; t += GROUP * QUERY_BLOCK)
        forward_group(a, &tiles, t, attend_least(a->queries - t, GROUP * QUERY_BLOCK));
}

static size_t attend_scratch(size_t queries, size_t keys, size_t d_key, size_t d_value)
{
    at_attend a = {.queries = queries, .keys = keys, .d_key = d_key, .d_value = d_value};
    at_tiles tiles;
    size_t forward = attend_lay_out(&tiles, NULL, &a, false);
    size_t backward = attend_lay_out(&tiles, NULL, &a, true), alone = 2 * KEY_TILE + d_key + 16 + 4 * AT_VEC;
    size_t most = forward > backward ? forward : backward;
    size_t few = AT_SIMD_NAME(attend_short_scratch)(queries, keys, d_key, d_value);
    most = most > few ? most : few;
    return most > alone ? most : alone;
}

void AT_SIMD_NAME(fill_attend)(at_kernels *table)
{
    table->attend = attend;
    table->attend_backward = AT_SIMD_NAME(attend_backward);
    table->attend_weights = AT_SIMD_NAME(attend_weights);
    table->attend_scratch = attend_scratch;
}

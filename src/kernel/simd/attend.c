#include "kernel/simd/attend.h"

/* Scores of one query against keys [s0, s0+columns), not yet scaled: the same chain over d_key as a tile's
 * product, so a query alone (decoding) gets the bits that it gets among others. out has room for whole
 * vectors. */
static void score_row(const at_attend *a, const float *q, size_t s0, size_t columns, float *out)
{
    at_vec v[AT_VEC];
    const float *at[AT_VEC];
    for (size_t c = 0; c < columns; c += AT_VEC) {
        at_vec sum = vec_zero();
        size_t l = 0;
        attend_rows(at, a->k, a->k_stride, a->rows, s0 + c, s0 + columns);
        for (; l + AT_VEC <= a->d_key; l += AT_VEC) {
            attend_turned(v, at, l, AT_VEC);
#pragma GCC unroll 16
            for (size_t j = 0; j < AT_VEC; j++)
                sum = vec_fma(vec_set(q[l + j]), v[j], sum);
        }
        if (l < a->d_key) {
            attend_turned(v, at, l, a->d_key - l);
            for (size_t j = 0; l + j < a->d_key; j++)
                sum = vec_fma(vec_set(q[l + j]), v[j], sum);
        }
        vec_store(out + c, sum);
    }
}

/* Queries [t0, t0+rows) against keys [s0, s0+columns); the first that they meet? */
typedef struct tile {
    size_t t0, rows, s0, columns;
    bool first;
} tile;

/* o[j…] = [o +] sum_s w_s v_s over `vecs` vectors of columns; vecs is a constant where this is inlined. */
AT_INLINE void add_values_strip(const at_attend *a, const float *w, const tile *in, float *o, size_t j,
                                const size_t vecs, size_t lanes)
{
    at_vec sum[4];
#pragma GCC unroll 4
    for (size_t v = 0; v < vecs; v++)
        sum[v] = in->first ? vec_zero() : vec_load_n(o + j + v * AT_VEC, lanes);
    for (size_t c = 0; c < in->columns; c++) {
        const float *value = a->v + (a->rows ? (size_t)a->rows[in->s0 + c] : in->s0 + c) * a->v_stride + j;
        at_vec weight = vec_set(w[c]);
#pragma GCC unroll 4
        for (size_t v = 0; v < vecs; v++)
            sum[v] = vec_fma(weight, vec_load_n(value + v * AT_VEC, lanes), sum[v]);
    }
#pragma GCC unroll 4
    for (size_t v = 0; v < vecs; v++)
        vec_store_n(o + j + v * AT_VEC, sum[v], lanes);
}

static void add_values(const at_attend *a, const float *w, const tile *in, float *o)
{
    size_t j = 0, d = a->d_value;
    for (; j + 4 * AT_VEC <= d; j += 4 * AT_VEC)
        add_values_strip(a, w, in, o, j, 4, AT_VEC);
    for (; j + 2 * AT_VEC <= d; j += 2 * AT_VEC)
        add_values_strip(a, w, in, o, j, 2, AT_VEC);
    for (; j < d; j += AT_VEC)
        add_values_strip(a, w, in, o, j, 1, vec_lanes(d - j));
}

static void scale_row(float *x, float s, size_t n)
{
    for (size_t j = 0; j < n; j += AT_VEC) {
        size_t lanes = vec_lanes(n - j);
        vec_store_n(x + j, vec_mul(vec_load_n(x + j, lanes), vec_set(s)), lanes);
    }
}

/* What a query knows so far (Milakov and Gimelshein 2018, "Online normalizer calculation for softmax",
 * arXiv:1805.02867): its largest score, the sum of exp(score - largest), and by what the last tile made the
 * outputs of those before it too large. */
typedef struct progress {
    float best, sum, correction;
    size_t end; /* of the columns that it sees in this tile */
} progress;

/* Products become scores, -INFINITY where nothing is visible; returns the largest. [lo,hi): what is
 * visible. */
static float mask_row(const at_attend *a, float *x, const float *bias, size_t lo, size_t hi)
{
    at_vec top = vec_set(-INFINITY), factor = vec_set(a->scale);
    if (!bias && a->softcap == 0) {
        for (size_t c = 0; c < hi; c += AT_VEC) {
            at_vec score = attend_masked(vec_mul(factor, vec_load(x + c)), c, lo, hi);
            top = vec_max(score, top);
            vec_store(x + c, score);
        }
        return vec_highest(top);
    }
    for (size_t c = 0; c < hi; c += AT_VEC) {
        at_vec score = attend_score(a, vec_mul(factor, vec_load(x + c)), bias, c, lo, hi);
        top = vec_max(score, top);
        vec_store(x + c, score);
    }
    return vec_highest(top);
}

/* Scores become weights exp(score - best), zeros from hi on; returns their sum. */
static float weigh_row(float *x, size_t hi, size_t columns, float best)
{
    at_vec sum = vec_zero(),
           shift = vec_set(best == -INFINITY ? 0 : best); /* exp(-inf - -inf) would be NaN */
    size_t c = 0;
    for (; c < hi; c += AT_VEC) {
        at_vec e = vec_exp(vec_sub(vec_load(x + c), shift));
        sum = vec_add(sum, e);
        vec_store(x + c, e);
    }
    for (; c < columns; c += AT_VEC)
        vec_store(x + c, vec_zero());
    return vec_sum(sum);
}

static void drop_weights(float *x, const float *factors, size_t columns)
{
    for (size_t c = 0; c < columns; c += AT_VEC)
        vec_store(x + c, vec_mul(vec_load(x + c), vec_load(factors + c)));
}

static void score_tile(const at_attend *a, const at_tiles *tiles, const tile *in)
{
    const float *q = a->q + in->t0 * a->q_stride;
    if (in->rows == 1) {
        score_row(a, q, in->s0, in->columns, tiles->scores);
        return;
    }
    AT_SIMD_NAME(attend_pack)
    (tiles->keys, a->k, a->k_stride, a->rows, in->s0, in->columns, a->d_key, tiles->panel);
    size_t strip = attend_strip(a, tiles, in->t0, in->rows, in->s0, in->columns);
    for (size_t r = 0; r < in->rows; r += strip) {
        size_t rows = in->rows - r < strip ? in->rows - r : strip;
        at_gemm g = {.a = q + r * a->q_stride,
                     .a_row = a->q_stride,
                     .a_col = 1,
                     .b = tiles->keys,
                     .b_row = tiles->panel,
                     .b_panel = a->d_key * tiles->panel,
                     .c = tiles->scores + r * tiles->stride,
                     .c_row = tiles->stride,
                     .m = rows,
                     .n = attend_reach(a, in->t0 + r + rows - 1, in->s0, in->columns),
                     .k = a->d_key};
        if (g.n > 0)
            tiles->table->gemm(&g, 0, g.m, 0, g.n);
    }
}

/* o = [o +] weights · values */
static void add_tile(const at_attend *a, const at_tiles *tiles, const tile *in)
{
    float *o = a->o + in->t0 * a->o_stride;
    if (in->rows == 1) {
        add_values(a, tiles->scores, in, o);
        return;
    }
    const float *values = a->v + in->s0 * a->v_stride;
    size_t stride = a->v_stride, strip = attend_strip(a, tiles, in->t0, in->rows, in->s0, in->columns);
    if (a->rows) {
        for (size_t c = 0; c < in->columns; c++)
            memcpy(tiles->values + c * a->d_value, a->v + (size_t)a->rows[in->s0 + c] * a->v_stride,
                   a->d_value * sizeof(float));
        values = tiles->values;
        stride = a->d_value;
    }
    for (size_t r = 0; r < in->rows; r += strip) {
        size_t rows = in->rows - r < strip ? in->rows - r : strip;
        at_gemm g = {.a = tiles->scores + r * tiles->stride,
                     .a_row = tiles->stride,
                     .a_col = 1,
                     .b = values,
                     .b_row = stride,
                     .b_panel = tiles->panel,
                     .c = o + r * a->o_stride,
                     .c_row = a->o_stride,
                     .m = rows,
                     .n = a->d_value,
                     .k = attend_reach(a, in->t0 + r + rows - 1, in->s0, in->columns),
                     .accumulate = !in->first};
        if (g.k > 0) /* else these see nothing at all when it is their first tile: zeros in the end */
            tiles->table->gemm(&g, 0, g.m, 0, g.n);
    }
}

/* Two loops over the rows, because one row's maximum, exponentials and sum wait for each other longer than
 * the CPU looks ahead. */
static void weigh_tile(const at_attend *a, const at_tiles *tiles, const tile *in, progress *p)
{
    for (size_t r = 0; r < in->rows; r++) {
        at_visible keys = at_visible_keys(a, in->t0 + r);
        size_t lo = keys.first > in->s0 ? keys.first - in->s0 : 0,
               hi = keys.end > in->s0 ? keys.end - in->s0 : 0;
        p[r].end = hi < in->columns ? hi : in->columns;
        float highest = mask_row(a, tiles->scores + r * tiles->stride, at_bias_at(a, in->t0 + r, in->s0), lo,
                                 p[r].end),
              last = p[r].best;
        p[r].best = highest > last ? highest : last;
        p[r].correction =
            p[r].best == last || last == -INFINITY ? 1 : expf(last - p[r].best); /* nothing yet: all is 0 */
    }
    for (size_t r = 0; r < in->rows; r++) {
        float *x = tiles->scores + r * tiles->stride;
        p[r].sum = p[r].sum * p[r].correction + weigh_row(x, p[r].end, in->columns, p[r].best);
        if (a->drop_rate > 0)
            drop_weights(x, tiles->factors + r * ((in->columns + 3) / 4 * 4), in->columns);
    }
}

static void forward_tile(const at_attend *a, const at_tiles *tiles, const tile *in, progress *p)
{
    score_tile(a, tiles, in);
    if (a->drop_rate > 0)
        AT_SIMD_NAME(attend_factors)(a, tiles->factors, in->t0, in->rows, in->s0, in->columns);
    weigh_tile(a, tiles, in, p);
    for (size_t r = 0; r < in->rows && !in->first; r++)
        if (p[r].correction != 1)
            scale_row(a->o + (in->t0 + r) * a->o_stride, p[r].correction, a->d_value);
    add_tile(a, tiles, in);
}

static void forward_block(const at_attend *a, const at_tiles *tiles, size_t t0, size_t rows)
{
    progress p[QUERY_BLOCK];
    at_visible range = attend_range(a, t0, t0 + rows);
    for (size_t r = 0; r < rows; r++)
        p[r] = (progress){-INFINITY, 0, 1, 0};
    tile in = {.t0 = t0, .rows = rows, .first = true};
    for (in.s0 = range.first / KEY_TILE * KEY_TILE; in.s0 < range.end; in.s0 += KEY_TILE) {
        in.columns = range.end - in.s0 < KEY_TILE ? range.end - in.s0 : KEY_TILE;
        if (attend_hidden(a, t0, rows, in.s0, in.columns))
            continue;
        forward_tile(a, tiles, &in, p);
        in.first = false;
    }
    for (size_t r = 0; r < rows; r++) {
        float *o = a->o + (t0 + r) * a->o_stride;
        bool nothing = p[r].sum == 0;
        if (nothing)
            memset(o, 0, a->d_value * sizeof *o);
        else
            scale_row(o, 1 / p[r].sum, a->d_value);
        if (a->lse)
            a->lse[(t0 + r) * a->lse_stride] = nothing ? -INFINITY : p[r].best + logf(p[r].sum);
    }
}

static void attend(const at_attend *a, float *scratch)
{
    at_tiles tiles = attend_tiles(a, scratch);
    for (size_t t = 0; t < a->queries; t += QUERY_BLOCK)
        forward_block(a, &tiles, t, a->queries - t < QUERY_BLOCK ? a->queries - t : QUERY_BLOCK);
}

static void stage_row(const at_attend *a, size_t t, at_stage stage, float *out)
{
    _Alignas(64) float scores[KEY_TILE];
    float lse = a->lse[t * a->lse_stride];
    at_visible keys = at_visible_keys(a, t);
    for (size_t s0 = 0; s0 < a->keys; s0 += KEY_TILE) {
        size_t columns = a->keys - s0 < KEY_TILE ? a->keys - s0 : KEY_TILE;
        size_t lo = keys.first > s0 ? keys.first - s0 : 0, hi = keys.end > s0 ? keys.end - s0 : 0;
        bool masked = stage == AT_STAGE_SCORES || stage == AT_STAGE_WEIGHTS;
        hi = hi < columns ? hi : columns;
        if (masked && lo >= hi)
            hi = 0;
        else
            score_row(a, a->q + t * a->q_stride, s0, columns, scores);
        for (size_t c = 0; c < columns; c += AT_VEC) {
            at_vec x = vec_set(-INFINITY);
            if (c < hi || !masked)
                x = vec_mul(vec_set(a->scale), vec_load(scores + c));
            if (stage == AT_STAGE_CAPPED && a->softcap > 0)
                x = attend_capped(x, a->softcap);
            if (c < hi && masked)
                x = attend_score(a, x, at_bias_at(a, t, s0), c, lo, hi);
            if (stage == AT_STAGE_WEIGHTS)
                x = lse == -INFINITY ? vec_zero() : vec_exp(vec_sub(x, vec_set(lse)));
            vec_store_n(out + s0 + c, x, vec_lanes(columns - c));
        }
    }
}

static void attend_weights(const at_attend *a, size_t t0, size_t t1, at_stage stage, float *out)
{
    for (size_t t = t0; t < t1; t++, out += a->keys)
        stage_row(a, t, stage, out);
}

/* attend_tiles lays it out; factors are written in whole vectors of four. */
static size_t attend_scratch(size_t queries, size_t keys, size_t d_key, size_t d_value)
{
    size_t rows = queries < QUERY_BLOCK ? queries : QUERY_BLOCK, columns = attend_columns(keys);
    return columns * (d_key + d_value + 3 * rows) + 4 * AT_VEC;
}

void AT_SIMD_NAME(fill_attend)(at_kernels *table)
{
    table->attend = attend;
    table->attend_backward = AT_SIMD_NAME(attend_backward);
    table->attend_weights = attend_weights;
    table->attend_scratch = attend_scratch;
}

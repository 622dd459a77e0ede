#include "task/by_hand.h"
#include <math.h>
#include <stdio.h>
#include <string.h>
#include "base/file.h"
#include "base/memory.h"
#include "cli/cli.h"
#include "cli/options.h"
#include "cli/output.h"
#include "draw/tables.h"
#include "task/scale_study.h"

typedef struct options {
    char *score, *normalise, *local, *reach, *mask, *svg; /* NULL: as the file says */
    int64_t digits;
    bool scale, steps, study;
} options;

static const at_field fields[] = {
    {"score", AT_FIELD_TEXT, offsetof(options, score), NULL, 0, 0, NULL,
     "instead of the file's: " AT_SCORE_CHOICES},
    {"normalise", AT_FIELD_TEXT, offsetof(options, normalise), NULL, 0, 0, NULL,
     "instead of the file's: " AT_NORMALISER_CHOICES},
    {"scale", AT_FIELD_BOOL, offsetof(options, scale), "true", 0, 0, NULL,
     "--no-scale: scaled-dot without its 1 / sqrt(d_k)"},
    {"mask", AT_FIELD_TEXT, offsetof(options, mask), NULL, 0, 0, NULL,
     "none, causal, or 0 (hidden) and 1 for each key, a query's row behind the other's: 110/111"},
    {"local", AT_FIELD_TEXT, offsetof(options, local), NULL, 0, 0, NULL,
     "local attention: " AT_LOCAL_CHOICES},
    {"reach", AT_FIELD_TEXT, offsetof(options, reach), NULL, 0, 0, NULL,
     "of local attention: keys on each side of its centre"},
    {"steps", AT_FIELD_BOOL, offsetof(options, steps), "false", 0, 0, NULL,
     "every stage, not only weights and sums"},
    {"digits", AT_FIELD_INT, offsetof(options, digits), "3", 0, 9, NULL, "behind the point"},
    {"svg", AT_FIELD_TEXT, offsetof(options, svg), NULL, 0, 0, NULL, "draw every stage to this file"},
    {"scale_study", AT_FIELD_BOOL, offsetof(options, study), "false", 0, 0, NULL,
     "no file: what softmax makes of random numbers as d_k grows, with the scale and without"},
    {0}};

static const at_cli_spec spec = {
    .name = "attention",
    .usage = "[options] FILE.json",
    .summary =
        "Attention on numbers of your own, step by step: score, scale and mask, weights, each weight times\n"
        "its value, the sum.\n\n"
        "FILE.json holds an object:\n"
        "  \"queries\"  {\"name\": [numbers], ...}; where a name comes twice, a list of\n"
        "             {\"name\": \"the\", \"vector\": [numbers]}\n"
        "  \"keys\"     the same\n"
        "  \"values\"   the same, by the names of the keys; without it keys are the values\n"
        "  \"columns\"  names of the values' numbers; \"title\": text\n"
        "  \"score\", \"normalise\", \"scale\", \"local\", \"reach\": as the flags below\n"
        "  \"mask\"     \"none\", \"causal\", or [[1, 0, 1], ...] with a row for each query\n"
        "  \"weights\"  what the score has learned: general {\"weight\": [[...], ...]}; additive\n"
        "             {\"query.weight\", \"key.weight\", \"v\"}; concat {\"weight\", \"v\"};\n"
        "             cosine-learned {\"gain\": [g]}; location {\"weight\"}; local-p\n"
        "             {\"centre.hidden.weight\", \"centre.out.weight\"}. --seed N draws those not given",
    .fields = fields,
    .examples = "  attend attention --steps examples/attention/two-words.json\n"
                "  attend attention examples/attention/tom.json --score cosine --normalise sparsemax\n"
                "  attend attention examples/attention/sentence.json --svg sentence.svg\n"
                "  attend attention --scale-study\n"};

/* ---------------------------------------------------------------- one file */

typedef struct picture { /* tables with what they borrow */
    at_table *tables;
    at_buf *titles;
    float *numbers; /* parts, each with its weight before */
    const char **columns;
    size_t count;
} picture;

static const char *const *names_of(char *const *names)
{
    return (const char *const *)names;
}

static void name_masked(const at_by_hand *in, const at_by_hand_result *r, at_buf *title)
{
    const at_by_hand_options *o = &in->options;
    bool masked = in->causal || in->mask || o->local != AT_LOCAL_NONE;
    if (r->factor != 1)
        at_buf_printf(title, "2. Scaled by 1 / sqrt(%zu)%s", in->keys.width, masked ? " and masked" : "");
    else
        at_buf_text(title, masked ? "2. Masked, not scaled" : "2. Neither scaled nor masked");
    if (in->causal)
        at_buf_text(title, ", causal");
    if (o->local != AT_LOCAL_NONE)
        at_buf_printf(title, ", %s with reach %lld", o->local == AT_LOCAL_MONOTONIC ? "local-m" : "local-p",
                      (long long)o->reach);
}

static void name_weights(const at_by_hand *in, const at_by_hand_result *r, at_buf *title)
{
    static const char *const how[] = {"softmax", "sparsemax", "the scores themselves"};
    at_buf_printf(title, "3. Weights: %s", how[in->options.normalise]);
    for (size_t i = 0; r->centres && i < in->queries.count; i++)
        at_buf_printf(title, "%s %.2f", i ? "," : ", under a bell around key", (double)r->centres[i]);
}

/* Its scale is the next stage. */
static void name_score(const at_by_hand *in, at_buf *title)
{
    at_score score = (at_score)in->options.score;
    if (score == AT_SCORE_SCALED_DOT)
        at_buf_printf(title, "1. Score: %s", at_score_table[AT_SCORE_DOT].formula);
    else
        at_buf_printf(title, "1. Score: %s, %s", at_score_table[score].name, at_score_table[score].formula);
}

static at_status make_room(const at_by_hand *in, picture *p)
{
    size_t queries = in->queries.count, keys = in->keys.count, width = in->values.width;
    p->tables = at_alloc_zero(queries + 4, sizeof *p->tables);
    p->titles = at_alloc_zero(queries + 4, sizeof *p->titles);
    p->numbers = at_alloc_array(queries * keys * (width + 1), sizeof *p->numbers);
    p->columns = at_alloc_array(width + 1, sizeof *p->columns);
    return p->tables && p->titles && p->numbers && p->columns ? AT_OK : AT_ENOMEM;
}

static void free_picture(picture *p)
{
    for (size_t i = 0; p->titles && i < p->count; i++)
        at_buf_free(&p->titles[i]);
    at_free(p->titles);
    at_free(p->tables);
    at_free(p->numbers);
    at_free(p->columns);
}

/* A weight, and what it makes of its value: a table for each query. */
static void put_parts(const at_by_hand *in, const at_by_hand_result *r, picture *p)
{
    size_t keys = in->keys.count, width = in->values.width;
    p->columns[0] = "weight";
    for (size_t j = 0; j < width; j++)
        p->columns[j + 1] = in->columns[j];
    for (size_t t = 0; t < in->queries.count; t++) {
        float *numbers = p->numbers + t * keys * (width + 1);
        for (size_t s = 0; s < keys; s++) {
            numbers[s * (width + 1)] = r->weights[t * keys + s];
            memcpy(numbers + s * (width + 1) + 1, r->parts + (t * keys + s) * width, width * sizeof *numbers);
        }
        at_buf_printf(&p->titles[p->count], "4. Each weight times its value, for %s", in->queries.names[t]);
        p->tables[p->count++] = (at_table){.rows = names_of(in->keys.names),
                                           .columns = p->columns,
                                           .row_count = keys,
                                           .column_count = width + 1,
                                           .numbers = numbers,
                                           .shares = 1};
    }
}

static at_status lay_out(const at_by_hand *in, const at_by_hand_result *r, bool steps, picture *p)
{
    at_status st = make_room(in, p);
    if (st != AT_OK)
        return st;
    at_table pairs = {.rows = names_of(in->queries.names),
                      .columns = names_of(in->keys.names),
                      .row_count = in->queries.count,
                      .column_count = in->keys.count};
    if (steps) {
        name_score(in, &p->titles[p->count]);
        pairs.numbers = r->scores;
        p->tables[p->count++] = pairs;
        name_masked(in, r, &p->titles[p->count]);
        pairs.numbers = r->masked;
        p->tables[p->count++] = pairs;
    }
    name_weights(in, r, &p->titles[p->count]);
    pairs.numbers = r->weights;
    pairs.shares = in->keys.count;
    p->tables[p->count++] = pairs;
    if (steps)
        put_parts(in, r, p);
    at_buf_text(&p->titles[p->count], "5. The sum");
    p->tables[p->count++] = (at_table){.rows = names_of(in->queries.names),
                                       .columns = names_of(in->columns),
                                       .row_count = in->queries.count,
                                       .column_count = in->values.width,
                                       .numbers = r->sums};
    for (size_t i = 0; i < p->count; i++) {
        /* Without the steps between them the two that are left need no numbers. */
        p->tables[i].title = p->titles[i].data ? p->titles[i].data + (steps ? 0 : 3) : "";
        st = st == AT_OK ? at_buf_status(&p->titles[i]) : st;
    }
    return st;
}

static json_t *json_names(char *const *names, size_t count)
{
    json_t *list = json_array();
    for (size_t i = 0; i < count; i++)
        json_array_append_new(list, json_string(names[i]));
    return list;
}

/* (rows, columns); a hidden pair is null. */
static json_t *json_matrix(const float *numbers, size_t rows, size_t columns)
{
    json_t *all = json_array();
    for (size_t i = 0; i < rows; i++) {
        json_t *row = json_array();
        for (size_t j = 0; j < columns; j++)
            json_array_append_new(row, isinf(numbers[i * columns + j])
                                           ? json_null()
                                           : json_real((double)numbers[i * columns + j]));
        json_array_append_new(all, row);
    }
    return all;
}

static at_status print_json(const at_by_hand *in, const at_by_hand_result *r)
{
    const at_by_hand_options *o = &in->options;
    size_t queries = in->queries.count, keys = in->keys.count, width = in->values.width;
    json_t *parts = json_array();
    for (size_t t = 0; t < queries; t++)
        json_array_append_new(parts, json_matrix(r->parts + t * keys * width, keys, width));
    json_t *used = at_fields_write(at_by_hand_fields, o);
    json_t *all = json_pack(
        "{s:s?,s:o,s:o,s:o,s:o,s:f,s:o,s:o,s:o,s:o,s:o}", "title", in->title, "options", used, "queries",
        json_names(in->queries.names, queries), "keys", json_names(in->keys.names, keys), "columns",
        json_names(in->columns, width), "factor", (double)r->factor, "scores",
        json_matrix(r->scores, queries, keys), "masked", json_matrix(r->masked, queries, keys), "weights",
        json_matrix(r->weights, queries, keys), "parts", parts, "sums", json_matrix(r->sums, queries, width));
    return at_cli_print_json(all, JSON_COMPACT | JSON_REAL_PRECISION(7));
}

static at_status print_tables(const options *o, const at_by_hand *in, const at_by_hand_result *r)
{
    picture p = {0};
    at_buf out = {0};
    at_status st = lay_out(in, r, o->steps, &p);
    if (st == AT_OK && in->title)
        at_buf_printf(&out, "%s\n\n", in->title);
    if (st == AT_OK)
        st = at_tables_text(p.tables, p.count, (int)o->digits, &out);
    if (st == AT_OK)
        st = at_cli_print(&out);
    at_buf_free(&out);
    free_picture(&p);
    return st;
}

static at_status draw(const options *o, const at_by_hand *in, const at_by_hand_result *r)
{
    picture p = {0};
    at_buf out = {0};
    at_status st = lay_out(in, r, true, &p);
    if (st == AT_OK)
        st = at_cli_save(at_tables_svg(in->title, p.tables, p.count, (int)o->digits, &out), &out, o->svg);
    free_picture(&p);
    return st;
}

/* What the flags say instead of the file. */
static at_status override(const options *o, const at_cli_common *common, at_by_hand *in)
{
    const struct {
        const char *key, *value;
    } flags[] = {{"score", o->score}, {"normalise", o->normalise}, {"local", o->local}, {"reach", o->reach}};
    for (size_t i = 0; i < sizeof flags / sizeof *flags; i++) {
        at_status st = flags[i].value
                           ? at_fields_set(at_by_hand_fields, &in->options, flags[i].key, flags[i].value)
                           : AT_OK;
        if (st != AT_OK)
            return st;
    }
    if (!o->scale && in->options.score != AT_SCORE_SCALED_DOT)
        return at_fail(AT_EARG, "--no-scale: only 'scaled-dot' has a scale; the score is '%s'",
                       at_score_table[in->options.score].name);
    in->options.scale = in->options.scale && o->scale;
    in->draw = common->seed_given;
    in->seed = (uint64_t)common->seed;
    return o->mask ? at_by_hand_mask(in, o->mask) : AT_OK;
}

static at_status by_hand(const options *o, const at_cli_common *common, at_exec *exec, const char *path)
{
    at_by_hand in;
    at_by_hand_result r = {0};
    at_status st = at_by_hand_load(path, &in);
    if (st != AT_OK)
        return st;
    st = override(o, common, &in);
    if (st == AT_OK) {
        st = at_by_hand_run(exec, &in, &r);
        if (st != AT_OK && st != AT_ENOMEM)
            st = at_fail_within(st, "%s", path);
    }
    if (st == AT_OK && o->svg)
        st = draw(o, &in, &r);
    if (st == AT_OK && common->json)
        st = print_json(&in, &r);
    else if (st == AT_OK && (!o->svg || o->steps))
        st = print_tables(o, &in, &r);
    at_by_hand_result_free(&r);
    at_by_hand_free(&in);
    return st;
}

/* ---------------------------------------------------------------- --scale-study */

static at_status print_study_json(const at_scale_row *rows, uint64_t seed)
{
    static const char *const names[] = {"unscaled", "scaled"};
    json_t *list = json_array();
    for (int i = 0; i < AT_SCALE_ROWS; i++) {
        json_t *row = json_pack("{s:i}", "d_k", rows[i].width);
        for (int s = 0; s < 2; s++)
            json_object_set_new(row, names[s],
                                json_pack("{s:f,s:f,s:f}", "largest", rows[i].largest[s], "entropy_bits",
                                          rows[i].entropy[s], "gradient", rows[i].slope[s]));
        json_array_append_new(list, row);
    }
    json_t *all = json_pack("{s:i,s:i,s:I,s:o}", "queries", AT_SCALE_QUERIES, "keys", AT_SCALE_KEYS, "seed",
                            (json_int_t)seed, "rows", list);
    return at_cli_print_json(all, JSON_COMPACT | JSON_REAL_PRECISION(6));
}

static at_status study(const options *o, const at_cli_common *common, at_exec *exec)
{
    enum { COLUMNS = 6 };
    static const char *const columns[COLUMNS] = {"largest", "scaled",   "entropy",
                                                 "scaled",  "gradient", "scaled"};
    at_scale_row rows[AT_SCALE_ROWS];
    float numbers[AT_SCALE_ROWS * COLUMNS];
    char names[AT_SCALE_ROWS][24];
    const char *list[AT_SCALE_ROWS];
    at_status st = at_scale_study(exec, (uint64_t)common->seed, rows);
    if (st != AT_OK || common->json)
        return st == AT_OK ? print_study_json(rows, (uint64_t)common->seed) : st;
    for (int i = 0; i < AT_SCALE_ROWS; i++) {
        snprintf(names[i], sizeof names[i], "d_k = %d", rows[i].width);
        list[i] = names[i];
        for (int s = 0; s < 2; s++) {
            numbers[i * COLUMNS + s] = (float)rows[i].largest[s];
            numbers[i * COLUMNS + 2 + s] = (float)rows[i].entropy[s];
            numbers[i * COLUMNS + 4 + s] = (float)rows[i].slope[s];
        }
    }
    at_buf title = {0}, out = {0};
    at_buf_printf(&title,
                  "Softmax of q . k, and scaled by 1 / sqrt(d_k): means over %d random queries, %d keys",
                  AT_SCALE_QUERIES, AT_SCALE_KEYS);
    st = at_buf_status(&title);
    at_table table = {title.data, list, columns, AT_SCALE_ROWS, COLUMNS, numbers, 2};
    if (st == AT_OK && o->svg) {
        st = at_cli_save(at_tables_svg(NULL, &table, 1, (int)o->digits, &out), &out, o->svg);
    } else if (st == AT_OK) {
        st = at_tables_text(&table, 1, (int)o->digits, &out);
        at_buf_text(
            &out,
            "\n  largest: the largest weight of a query; entropy: of its weights, in bits; gradient: how\n"
            "  long one of length 1 is behind softmax\n");
        st = st == AT_OK ? at_cli_print(&out) : st;
    }
    at_buf_free(&title);
    at_buf_free(&out);
    return st;
}

int at_cli_attention(int argc, char **argv)
{
    options o;
    at_cli_common common;
    at_cli_words words;
    int code = at_cli_parse(&spec, argc, argv, &o, &common, &words);
    if (code != AT_CLI_GO)
        return code;
    if (words.count != (o.study ? 0 : 1)) {
        code = at_cli_wrong(&spec, o.study ? "--scale-study reads no file" : "want one file of numbers");
        at_cli_free(&spec, &o, &common);
        return code;
    }
    at_exec *exec;
    at_status st = at_exec_new(common.kernels, (int)common.threads, &exec);
    if (st == AT_OK) {
        st = o.study ? study(&o, &common, exec) : by_hand(&o, &common, exec, words.list[0]);
        at_exec_free(exec);
    }
    code = st == AT_OK ? AT_CLI_DONE : at_cli_failed(&spec, st);
    at_cli_free(&spec, &o, &common);
    return code;
}

/* tests/store/causal.h - logits of a decoder folder against those of transformers in its golden.json.
 *
 *     causal c;
 *     causal_open(&c, AT_TEST_DATA "/llama");
 *     causal_check(&c, folder);
 *     causal_close(&c);
 */
#ifndef AT_TESTS_STORE_CAUSAL_H
#define AT_TESTS_STORE_CAUSAL_H
#include "base/file.h"
#include "base/memory.h"
#include "model/state.h"
#include "store/folder.h"
#include "tests/check.h"

enum { CAUSAL_VOCABULARY = 20, CAUSAL_ROWS = 64 };

typedef struct causal {
    json_t *golden;
    at_exec *exec;
    at_tape *tape;
} causal;

static inline void causal_open(causal *c, const char *folder)
{
    check_ok(at_exec_new(NULL, 2, &c->exec));
    check_ok(at_tape_new(c->exec, &c->tape));
    char path[1024];
    snprintf(path, sizeof path, "%s/golden.json", folder);
    check_ok(at_json_load(path, 1 << 20, &c->golden));
}

static inline void causal_close(causal *c)
{
    json_decref(c->golden);
    at_tape_free(c->tape);
    at_exec_free(c->exec);
}

static inline void causal_numbers(const json_t *list, float *out)
{
    size_t i;
    json_t *x;
    json_array_foreach(list, i, x) out[i] = (float)json_number_value(x);
}

/* A text through a state in two steps. */
static inline void causal_check_steps(const causal *c, const at_model *m, const int32_t *ids, int32_t length,
                                      const float *want)
{
    at_state *state;
    int slot;
    check_ok(at_state_new(m, &state));
    check_ok(at_state_open(state, AT_NO_SOURCE, &slot));
    int32_t half = length / 2;
    for (int part = 0; part < 2; part++) {
        int32_t at = part ? half : 0, some[] = {0, part ? length - half : half};
        if (!some[1])
            continue;
        at_rows step = {1, some, NULL};
        at_tape_begin(c->tape, AT_TAPE_RUN, 0, 0);
        const at_var *got = at_state_step(m, c->tape, state, &slot, &step, ids + at);
        check_ok(at_tape_status(c->tape));
        check_near(got->data, want + at * CAUSAL_VOCABULARY, (size_t)some[1] * CAUSAL_VOCABULARY, 1e-4);
    }
    at_state_free(state);
}

/* All texts in one batch, and each through a state in two steps. */
static inline void causal_check(const causal *c, const at_folder *folder)
{
    int32_t ids[CAUSAL_ROWS], offsets[8] = {0};
    float want[CAUSAL_ROWS * CAUSAL_VOCABULARY];
    const json_t *texts = json_object_get(c->golden, "texts"), *logits = json_object_get(c->golden, "logits");
    size_t count = json_array_size(texts), b, k;
    json_t *text, *id;
    int32_t rows = 0;
    json_array_foreach(texts, b, text)
    {
        causal_numbers(json_array_get(logits, b), want + rows * CAUSAL_VOCABULARY);
        json_array_foreach(text, k, id) ids[rows++] = (int32_t)json_integer_value(id);
        offsets[b + 1] = rows;
    }
    at_batch batch = {.target = {count, offsets, NULL}, .target_in = ids};
    at_tape_begin(c->tape, AT_TAPE_RUN, 0, 0);
    const at_model *m = folder->model;
    const at_var *all = at_model_logits(m, c->tape, m->family->decode(m, c->tape, &batch, NULL));
    check_ok(at_tape_status(c->tape));
    check_near(all->data, want, (size_t)rows * CAUSAL_VOCABULARY, 1e-4);
    for (size_t i = 0; i < count; i++)
        causal_check_steps(c, m, ids + offsets[i], offsets[i + 1] - offsets[i],
                           want + offsets[i] * CAUSAL_VOCABULARY);
}

static inline void causal_copy(const char *folder, const char *name, const char *to)
{
    char *bytes, *from = at_path_join(folder, name), *path = at_path_join(to, name);
    size_t length;
    check_ok(at_file_read(from, 1 << 20, &bytes, &length));
    check_ok(at_file_write(path, bytes, length));
    at_free(from);
    at_free(path);
    at_free(bytes);
}

/* The folder with one key of its config.json changed does not open. */
static inline void causal_refuses(const char *from, const char *key, const char *value, at_status status,
                                  const char *message)
{
    const char *folder = check_path("bad");
    char *path = at_path_join(from, "config.json");
    json_t *config, *changed = json_loads(value, JSON_DECODE_ANY, NULL);
    at_folder *f;
    check_ok(at_make_folder(folder));
    causal_copy(from, "model.safetensors", folder);
    causal_copy(from, "tokenizer.json", folder);
    check_ok(at_json_load(path, 1 << 20, &config));
    at_free(path);
    assert_int_equal(json_object_set_new(config, key, changed), 0);
    path = at_path_join(folder, "config.json");
    check_ok(at_json_save(path, config));
    check_fails(at_folder_load(folder, NULL, &f), status, message);
    at_free(path);
    json_decref(config);
}
#endif

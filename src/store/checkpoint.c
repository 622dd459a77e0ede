#include "store/checkpoint.h"
#include <dirent.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "base/buf.h"
#include "base/file.h"
#include "base/memory.h"
#include "store/internal.h"

enum { STATE_VERSION = 1, STATE_MAX_BYTES = 64 << 20, LATEST_MAX_BYTES = 256 };

static const char state_name[] = "state.json", blocks_name[] = "optimizer.safetensors",
                  latest_name[] = "latest", tokenizer_name[] = "tokenizer.json";
static const char *const summed[] = {"config.json", "model.safetensors", tokenizer_name, blocks_name};
enum { SUMMED = sizeof summed / sizeof summed[0] };

static char *step_path(const char *folder, const char *before, int64_t step)
{
    at_buf name = {0};
    at_buf_printf(&name, "%s/%sstep-%" PRId64, folder, before, step);
    return at_buf_take(&name);
}

/* "step-12" -> 12; -1 for any other name. */
static int64_t step_of(const char *name)
{
    if (strncmp(name, "step-", 5) != 0 || name[5] < '0' || name[5] > '9')
        return -1;
    size_t digits = strspn(name + 5, "0123456789");
    return name[5 + digits] || digits > 18 ? -1 : strtoll(name + 5, NULL, 10);
}

static int falling(const void *a, const void *b)
{
    int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;
    return x > y ? -1 : x < y;
}

/* The steps of all checkpoints in `folder`, newest first; none when the folder is not there. */
static at_status list_steps(const char *folder, int64_t **steps, size_t *count)
{
    *steps = NULL;
    *count = 0;
    size_t capacity = 0;
    DIR *dir = opendir(folder);
    if (!dir)
        return AT_OK;
    at_status st = AT_OK;
    for (struct dirent *entry; st == AT_OK && (entry = readdir(dir)) != NULL;) {
        int64_t step = step_of(entry->d_name);
        if (step < 0)
            continue;
        st = at_grow(steps, &capacity, *count + 1, sizeof **steps);
        if (st == AT_OK)
            (*steps)[(*count)++] = step;
    }
    closedir(dir);
    if (st != AT_OK) {
        at_free(*steps);
        *steps = NULL;
        *count = 0;
    } else if (*count) {
        qsort(*steps, *count, sizeof **steps, falling);
    }
    return st;
}

/* "1a2b3c4d" of a whole file, and its size. */
static at_status sum_file(const char *folder, const char *name, char sum[16], size_t *size)
{
    char *path = at_path_join(folder, name);
    if (!path)
        return AT_ENOMEM;
    at_mapping mapping;
    at_status st = at_map(path, &mapping);
    if (st == AT_OK) {
        snprintf(sum, 16, "%08" PRIx32, at_crc32(0, mapping.data, mapping.size));
        *size = mapping.size;
        at_unmap(&mapping);
    }
    at_free(path);
    return st;
}

/* Of the state as text with sorted keys, so that it survives being read and written. */
static at_status sum_state(const json_t *state, char sum[16])
{
    char *text = json_dumps(state, JSON_COMPACT | JSON_SORT_KEYS);
    if (!text)
        return at_fail(AT_ENOMEM, "%s: out of memory", state_name);
    snprintf(sum, 16, "%08" PRIx32, at_crc32(0, text, strlen(text)));
    at_free(text); /* jansson's hooks are at_alloc and at_free */
    return AT_OK;
}

/* Models of pictures have no tokenizer. */
static bool is_absent(const char *folder, const char *name)
{
    char *path = strcmp(name, tokenizer_name) == 0 ? at_path_join(folder, name) : NULL;
    bool absent = path && !at_file_exists(path);
    at_free(path);
    return absent;
}

static at_status write_state(const char *path, const at_checkpoint *checkpoint)
{
    json_t *files = json_object();
    char sum[16];
    at_status st = AT_OK;
    bool ok = files != NULL;
    for (size_t i = 0; ok && st == AT_OK && i < SUMMED; i++) {
        size_t size = 0;
        if (is_absent(path, summed[i]))
            continue;
        st = sum_file(path, summed[i], sum, &size);
        if (st == AT_OK)
            ok = json_object_set_new(files, summed[i],
                                     json_pack("{s:I, s:s}", "bytes", (json_int_t)size, "crc32", sum)) == 0;
    }
    if (st == AT_OK)
        st = sum_state(checkpoint->state, sum);
    json_t *root = NULL;
    if (st == AT_OK && ok)
        root =
            json_pack("{s:i, s:I, s:O, s:s, s:O}", "version", STATE_VERSION, "step",
                      (json_int_t)checkpoint->step, "files", files, "crc32", sum, "state", checkpoint->state);
    if (st == AT_OK && !root)
        st = at_fail(AT_ENOMEM, "%s: out of memory", state_name);
    char *file = st == AT_OK ? at_path_join(path, state_name) : NULL;
    if (st == AT_OK)
        st = file ? at_json_save(file, root) : AT_ENOMEM;
    at_free(file);
    json_decref(root);
    json_decref(files);
    return st;
}

static at_status write_blocks(const char *path, const at_checkpoint *checkpoint)
{
    at_save_tensor *list = at_alloc_zero(checkpoint->block_count + 1, sizeof *list);
    char *file = at_path_join(path, blocks_name);
    at_status st = list && file ? AT_OK : AT_ENOMEM;
    for (size_t i = 0; st == AT_OK && i < checkpoint->block_count; i++) {
        const at_block *b = &checkpoint->blocks[i];
        list[i] = (at_save_tensor){b->name, at_shape1((int64_t)b->count), AT_F32, b->data};
    }
    if (st == AT_OK)
        st = at_safetensors_save(file, list, checkpoint->block_count, NULL);
    at_free(file);
    at_free(list);
    return st;
}

static at_status write_latest(const char *folder, int64_t step)
{
    char line[64];
    snprintf(line, sizeof line, "step-%" PRId64 "\n", step);
    char *path = at_path_join(folder, latest_name);
    at_status st = path ? at_file_write(path, line, strlen(line)) : AT_ENOMEM;
    at_free(path);
    return st;
}

/* Renamed first: a kill while files go leaves a hidden rest, not half a checkpoint. */
static at_status remove_step(const char *folder, int64_t step)
{
    char *path = step_path(folder, "", step), *hidden = step_path(folder, ".removed-", step);
    at_status st = path && hidden ? at_remove_tree(hidden) : AT_ENOMEM;
    if (st == AT_OK && rename(path, hidden) != 0)
        st = at_fail(AT_EIO, "%s: cannot be removed", path);
    if (st == AT_OK)
        st = at_remove_tree(hidden);
    at_free(hidden);
    at_free(path);
    return st;
}

/* What a kill left of saving or removing. */
static at_status remove_hidden(const char *folder)
{
    DIR *dir = opendir(folder);
    at_status st = AT_OK;
    if (!dir)
        return AT_OK;
    for (struct dirent *entry; st == AT_OK && (entry = readdir(dir)) != NULL;) {
        const char *name = entry->d_name;
        if (strncmp(name, ".removed-step-", 14) != 0 && strncmp(name, ".new-step-", 10) != 0 &&
            strncmp(name, ".step-", 6) != 0)
            continue;
        char *path = at_path_join(folder, name);
        st = path ? at_remove_tree(path) : AT_ENOMEM;
        at_free(path);
    }
    closedir(dir);
    return st;
}

static at_status prune(const char *folder, int64_t step, int64_t keep)
{
    int64_t *steps, kept = 0;
    size_t count;
    at_status st = list_steps(folder, &steps, &count);
    for (size_t i = 0; st == AT_OK && i < count; i++) {
        if (steps[i] > step || (keep > 0 && kept >= keep))
            st = remove_step(folder, steps[i]);
        else
            kept++;
    }
    at_free(steps);
    return st;
}

at_status at_checkpoint_save(const char *folder, const at_checkpoint *checkpoint, int64_t keep)
{
    AT_ASSERT(checkpoint->step >= 0 && json_is_object(checkpoint->state));
    char *path = step_path(folder, "", checkpoint->step),
         *fresh = step_path(folder, ".new-", checkpoint->step);
    at_status st = path && fresh ? at_make_folder(folder) : AT_ENOMEM;
    if (st == AT_OK)
        st = remove_hidden(folder);
    if (st == AT_OK)
        st = at_make_folder(fresh);
    if (st == AT_OK)
        st = at_folder_write_files(fresh, &checkpoint->content);
    if (st == AT_OK)
        st = write_blocks(fresh, checkpoint);
    if (st == AT_OK)
        st = write_state(fresh, checkpoint);
    if (st == AT_OK)
        st = at_rename_folder(fresh, path);
    else if (fresh)
        (void)at_remove_tree(fresh); /* the first failure is the one to report */
    if (st == AT_OK)
        st = write_latest(folder, checkpoint->step);
    if (st == AT_OK)
        st = prune(folder, checkpoint->step, keep);
    at_free(fresh);
    at_free(path);
    return st;
}

static at_status load_state(const char *path, json_t **root)
{
    *root = NULL;
    char *file = at_path_join(path, state_name);
    if (!file)
        return AT_ENOMEM;
    at_status st = at_json_load(file, STATE_MAX_BYTES, root);
    int64_t version;
    json_t *state;
    if (st == AT_OK) {
        st = at_json_int(*root, "version", STATE_VERSION, STATE_VERSION, &version);
        if (st == AT_OK)
            st = at_json_object(*root, "state", &state);
        if (st != AT_OK) {
            st = at_fail_within(st, "%s", file);
            json_decref(*root);
            *root = NULL;
        }
    }
    at_free(file);
    return st;
}

static at_status verify_file(const char *path, const json_t *files, const char *name)
{
    json_t *entry;
    const char *want;
    char sum[16];
    int64_t bytes;
    size_t size = 0;
    at_status st = at_json_object(files, name, &entry);
    if (st == AT_OK)
        st = at_json_int(entry, "bytes", 0, INT64_MAX, &bytes);
    if (st == AT_OK)
        st = at_json_text(entry, "crc32", &want);
    if (st != AT_OK)
        return at_fail_within(st, "%s/%s", path, state_name);
    st = sum_file(path, name, sum, &size);
    if (st != AT_OK)
        return st;
    if (size != (uint64_t)bytes)
        return at_fail(AT_EFORMAT, "%s/%s: %zu bytes; %s says %" PRId64, path, name, size, state_name, bytes);
    if (strcmp(sum, want) != 0)
        return at_fail(AT_EFORMAT, "%s/%s: checksum %s; %s says %.20s", path, name, sum, state_name, want);
    return AT_OK;
}

static at_status verify(const char *path)
{
    json_t *root, *files = NULL;
    at_status st = load_state(path, &root);
    if (st != AT_OK)
        return st;
    const char *want;
    char sum[16];
    st = at_json_object(root, "files", &files);
    if (st == AT_OK)
        st = at_json_text(root, "crc32", &want);
    if (st != AT_OK)
        st = at_fail_within(st, "%s/%s", path, state_name);
    if (st == AT_OK)
        st = sum_state(json_object_get(root, "state"), sum);
    if (st == AT_OK && strcmp(sum, want) != 0)
        st = at_fail(AT_EFORMAT, "%s/%s: state has checksum %s, not %.20s", path, state_name, sum, want);
    for (size_t i = 0; st == AT_OK && i < SUMMED; i++)
        if (json_object_get(files, summed[i]) || !is_absent(path, summed[i]))
            st = verify_file(path, files, summed[i]);
    json_decref(root);
    return st;
}

/* What `latest` names, or -1: then the highest step is taken. */
static int64_t read_latest(const char *folder)
{
    char *text, *path = at_path_join(folder, latest_name);
    size_t length;
    int64_t step = -1;
    if (path && at_file_exists(path) && at_file_read(path, LATEST_MAX_BYTES, &text, &length) == AT_OK) {
        text[strcspn(text, "\r\n")] = '\0';
        step = step_of(text);
        at_free(text);
    }
    at_free(path);
    return step;
}

/* The step `latest` names goes to the front; the others stay in falling order. */
static void put_first(int64_t *steps, size_t count, int64_t first)
{
    for (size_t i = 0; i < count; i++) {
        if (steps[i] == first) {
            memmove(steps + 1, steps, i * sizeof *steps);
            steps[0] = first;
            return;
        }
    }
}

at_status at_checkpoint_find(const char *folder, const at_log *log, char **path)
{
    *path = NULL;
    int64_t *steps;
    size_t count;
    at_status st = list_steps(folder, &steps, &count);
    if (st != AT_OK || !count)
        return st;
    put_first(steps, count, read_latest(folder));
    st = AT_EFORMAT;
    for (size_t i = 0; i < count && st != AT_OK && st != AT_ENOMEM; i++) {
        char *candidate = step_path(folder, "", steps[i]);
        st = candidate ? verify(candidate) : AT_ENOMEM;
        if (st == AT_OK) {
            *path = candidate;
        } else {
            if (st != AT_ENOMEM)
                at_log_line(log, "passed over a damaged checkpoint: %s", at_error_message());
            at_free(candidate);
        }
    }
    at_free(steps);
    if (st == AT_OK || st == AT_ENOMEM)
        return st;
    return at_fail_within(
        AT_EFORMAT, "%s: every checkpoint is damaged; remove the folder to begin anew; the last", folder);
}

at_status at_checkpoint_state(const char *path, json_t **state)
{
    json_t *root;
    *state = NULL;
    at_status st = load_state(path, &root);
    if (st == AT_OK)
        *state = json_incref(json_object_get(root, "state"));
    json_decref(root);
    return st;
}

static at_status read_blocks(const char *path, const at_block *blocks, size_t count)
{
    at_safetensors file;
    char *name = at_path_join(path, blocks_name);
    at_status st = name ? at_safetensors_open(name, &file) : AT_ENOMEM;
    at_free(name);
    if (st != AT_OK)
        return st;
    if (file.count != count)
        st = at_fail(AT_ESHAPE, "%s: %zu blocks, want %zu; resume with the recipe it was begun with",
                     file.path, file.count, count);
    for (size_t i = 0; st == AT_OK && i < count; i++) {
        const at_stored *t = at_safetensors_find(&file, blocks[i].name);
        at_shape want = at_shape1((int64_t)blocks[i].count);
        if (!t || !at_shape_same(t->shape, want))
            st = at_fail(
                AT_ESHAPE, "%s: block '%s': file has %s, want %s; resume with the recipe it was begun with",
                file.path, blocks[i].name, t ? at_shape_text(t->shape).s : "none", at_shape_text(want).s);
        else
            st = at_stored_floats(&file, t, blocks[i].data);
    }
    at_safetensors_close(&file);
    return st;
}

at_status at_checkpoint_read(const char *path, at_model *model, const at_block *blocks, size_t block_count,
                             json_t **state)
{
    AT_ASSERT(model->params.block);
    at_status st = at_folder_numbers(path, &model->params, model->params.block);
    if (st == AT_OK)
        st = read_blocks(path, blocks, block_count);
    if (st == AT_OK && state)
        st = at_checkpoint_state(path, state);
    return st;
}

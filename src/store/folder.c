#include "store/folder.h"
#include <dirent.h>
#include <math.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>
#include "base/buf.h"
#include "base/file.h"
#include "base/memory.h"
#include "store/internal.h"

static const char config_name[] = "config.json", weights_name[] = "model.safetensors";
static const char tokenizer_name[] = "tokenizer.json", card_name[] = "README.md";

/* Without memory of its own, so that "not there" never means "no memory". Longer paths no system opens. */
static bool has_file(const char *folder, const char *name)
{
    char path[4096];
    int length = snprintf(path, sizeof path, "%s/%s", folder, name);
    return length > 0 && (size_t)length < sizeof path && at_file_exists(path);
}

/* --- Reading ------------------------------------------------------------------------------------- */

/* Why a folder without model.safetensors is none of ours. */
static at_status explain_missing_weights(const char *folder)
{
    static const char *const pickles[] = {"pytorch_model.bin", "model.bin", "model.pt", "model.pth"};
    for (size_t i = 0; i < sizeof pickles / sizeof pickles[0]; i++) {
        if (has_file(folder, pickles[i]))
            return at_fail(AT_ENOSUP,
                           "%s: holds %s, a pickle, which can run any code when opened; convert it where "
                           "you trust it, with safetensors.torch.save_file, to %s",
                           folder, pickles[i], weights_name);
    }
    if (has_file(folder, "model.safetensors.index.json"))
        return at_fail(AT_ENOSUP, "%s: the model lies in several files; save it as one %s", folder,
                       weights_name);
    return at_fail(AT_EIO, "%s: holds no %s; name the folder of a model", folder, weights_name);
}

static at_status open_weights(const char *folder, at_safetensors *file)
{
    *file = (at_safetensors){0};
    if (!at_is_folder(folder))
        return at_fail(AT_EIO, "%s: %s; name the folder of a model", folder,
                       at_file_exists(folder) ? "not a folder" : "no such folder");
    if (!has_file(folder, weights_name))
        return explain_missing_weights(folder);
    char *path = at_path_join(folder, weights_name);
    at_status st = path ? at_safetensors_open(path, file) : AT_ENOMEM;
    at_free(path);
    return st;
}

/* The tensor of a parameter, of its shape. A tied one need not be there: *tensor NULL. */
static at_status find_tensor(const at_safetensors *file, const at_param *p, const at_stored **tensor)
{
    *tensor = at_safetensors_find(file, p->name);
    if (!*tensor && p->tied_to)
        return AT_OK;
    if (!*tensor)
        return at_fail(AT_ESHAPE,
                       "%s: tensor '%s' %s is missing; config.json and this file are not of one model",
                       file->path, p->name, at_shape_text(p->shape).s);
    if (at_shape_same((*tensor)->shape, p->shape))
        return AT_OK;
    return at_fail(AT_ESHAPE, "%s: tensor '%s': file has %s, config.json wants %s; they are not of one model",
                   file->path, p->name, at_shape_text((*tensor)->shape).s, at_shape_text(p->shape).s);
}

/* A second name of shared numbers may be in the file; then it must say the same. */
static at_status check_tied(const at_safetensors *file, const at_param *p, const at_stored *tensor)
{
    const at_stored *owner = at_safetensors_find(file, p->tied_to->name);
    if (owner && owner->bytes == tensor->bytes && memcmp(owner->data, tensor->data, owner->bytes) == 0)
        return AT_OK;
    return at_fail(AT_EFORMAT, "%s: tensor '%s' differs from '%s', with which config.json ties it",
                   file->path, p->name, p->tied_to->name);
}

/* Every parameter is there. */
static at_status check_params(const at_safetensors *file, const at_params *params, size_t *matched)
{
    *matched = 0;
    for (size_t i = 0; i < params->count; i++) {
        const at_param *p = params->list[i];
        const at_stored *tensor;
        at_status st = find_tensor(file, p, &tensor);
        if (st == AT_OK && tensor && p->tied_to)
            st = check_tied(file, p, tensor);
        if (st != AT_OK)
            return st;
        *matched += tensor != NULL;
    }
    return AT_OK;
}

static at_status check_unexpected(const at_safetensors *file, const at_model *model)
{
    for (size_t i = 0; i < file->count; i++) {
        const at_stored *t = &file->list[i];
        if (at_params_find(&model->params, t->name))
            continue;
        bool known;
        at_status st = at_extras_check(model, file, t, &known);
        if (st != AT_OK)
            return st;
        if (!known)
            return at_fail(AT_ESHAPE,
                           "%s: tensor '%.80s' %s has no place in the %s of config.json; they are not of one "
                           "model",
                           file->path, t->name, at_shape_text(t->shape).s, model->family->name);
    }
    return AT_OK;
}

static at_status copy_numbers(const at_safetensors *file, const at_params *params, float *out)
{
    for (size_t i = 0; i < params->count; i++) {
        const at_param *p = params->list[i];
        if (p->tied_to)
            continue;
        at_status st = at_stored_floats(file, at_safetensors_find(file, p->name), out + p->offset);
        if (st != AT_OK)
            return st;
    }
    return AT_OK;
}

/* Where the numbers of a row are from now on: in the file, if they can be read there, else in memory of its
 * own. */
static at_status bind_row(const at_safetensors *file, at_param *p, bool keep_bf16)
{
    const at_stored *tensor = at_safetensors_find(file, p->name);
    if (keep_bf16 && p->compact)
        p->data16 = at_stored_view_bf16(tensor);
    if (!p->data16)
        p->data = at_stored_view(tensor);
    if (p->data || p->data16)
        return AT_OK;
    size_t count = at_shape_count(p->shape);
    float *own = at_alloc_aligned(count ? count : 1, sizeof *own);
    if (!own)
        return AT_ENOMEM;
    p->own = own;
    p->data = own;
    return at_stored_floats(file, tensor, own);
}

static at_status bind_numbers(const at_safetensors *file, at_model *model, bool keep_bf16)
{
    size_t matched;
    at_params *params = &model->params;
    at_status st = check_params(file, params, &matched);
    if (st == AT_OK && matched != file->count)
        st = check_unexpected(file, model);
    for (size_t i = 0; i < params->count && st == AT_OK; i++) {
        at_param *p = params->list[i];
        if (!p->tied_to)
            st = bind_row(file, p, keep_bf16);
    }
    for (size_t i = 0; i < params->count && st == AT_OK; i++) {
        at_param *p = params->list[i];
        if (p->tied_to) {
            p->data = p->tied_to->data;
            p->data16 = p->tied_to->data16;
        }
    }
    return st;
}

static at_status optional_section(const json_t *attend, const char *key, const json_t **section)
{
    const json_t *found = json_object_get(attend, key);
    if (found && !json_is_object(found))
        return at_fail(AT_EFORMAT, "field 'attend.%s': want an object", key);
    *section = found;
    return AT_OK;
}

static at_status read_config(const char *path, at_folder *folder)
{
    char *name = at_path_join(path, config_name);
    at_status st = name ? at_json_load(name, AT_CONFIG_MAX_BYTES, &folder->config) : AT_ENOMEM;
    if (st == AT_OK) {
        st = at_config_read(folder->config, &folder->model);
        const json_t *attend = json_object_get(folder->config, "attend");
        if (st == AT_OK)
            st = optional_section(attend, "preprocess", &folder->preprocess);
        if (st == AT_OK)
            st = optional_section(attend, "decode", &folder->decode);
        if (st == AT_OK)
            st = optional_section(attend, "align", &folder->align);
        if (st == AT_OK)
            st = optional_section(attend, "data", &folder->data);
        if (st != AT_OK)
            st = at_fail_within(st, "%s", name);
    }
    at_free(name);
    return st;
}

static at_status read_tokenizer(const char *path, at_folder *folder)
{
    const at_vocabulary *v = &folder->model->vocabulary;
    if (folder->model->family->pixels)
        return AT_OK; /* pictures have none */
    char *name = at_path_join(path, tokenizer_name);
    at_status st = name ? at_tokenizer_load(name, &folder->tokenizer) : AT_ENOMEM;
    /* A model of others may have its table padded to a round number. */
    bool padded = st == AT_OK && !json_object_get(folder->config, "attend") &&
                  at_tokenizer_size(folder->tokenizer) < v->source;
    if (st == AT_OK && !padded && at_tokenizer_size(folder->tokenizer) != v->source)
        st = at_fail(AT_ESHAPE, "%s: %d pieces, config.json wants %lld; the two files are not of one model",
                     name, at_tokenizer_size(folder->tokenizer), (long long)v->source);
    at_free(name);
    return st;
}

static at_status load(const char *path, at_exec *exec, at_weights weights, at_folder **folder)
{
    *folder = NULL;
    at_folder *f = at_alloc_zero(1, sizeof *f);
    if (!f)
        return AT_ENOMEM;
    at_status st = open_weights(path, &f->weights);
    if (st == AT_OK)
        st = read_config(path, f);
    if (st == AT_OK)
        st = at_gpt2_is(f->config) ? at_gpt2_bind(&f->weights, f->model)
                                   : bind_numbers(&f->weights, f->model, exec && weights != AT_WEIGHTS_FP32);
    if (st == AT_OK)
        st = read_tokenizer(path, f);
    if (st == AT_OK && weights == AT_WEIGHTS_BF16)
        st = at_params_compact(&f->model->params, exec);
    if (st == AT_OK && exec)
        st = at_model_pack(f->model, exec);
    if (st == AT_OK)
        *folder = f;
    else
        at_folder_free(f);
    return st;
}

at_status at_folder_load(const char *path, at_exec *exec, at_folder **folder)
{
    return load(path, exec, AT_WEIGHTS_STORED, folder);
}

at_status at_folder_load_as(const char *path, at_exec *exec, at_weights weights, at_folder **folder)
{
    AT_ASSERT(exec);
    return load(path, exec, weights, folder);
}

void at_folder_free(at_folder *folder)
{
    if (!folder)
        return;
    at_model_free(folder->model);
    at_tokenizer_free(folder->tokenizer);
    json_decref(folder->config);
    at_safetensors_close(&folder->weights);
    at_free(folder);
}

at_status at_folder_check_finite(const at_folder *folder)
{
    const at_params *params = &folder->model->params;
    for (size_t i = 0; i < params->count; i++) {
        const at_param *p = params->list[i];
        size_t count = at_shape_count(p->shape);
        for (size_t k = 0; k < count; k++) {
            float x = p->data ? p->data[k] : at_bf16_to_f32(p->data16[k]);
            if (!isfinite(x))
                return at_fail(
                    AT_ENUMBER,
                    "%s: tensor '%s': number %zu is %g; train it again or take a copy that is whole",
                    folder->weights.path, p->name, k, (double)x);
        }
    }
    return AT_OK;
}

at_status at_folder_numbers(const char *path, const at_params *params, float *out)
{
    at_safetensors file;
    size_t matched;
    at_status st = open_weights(path, &file);
    if (st == AT_OK)
        st = check_params(&file, params, &matched);
    if (st == AT_OK)
        st = copy_numbers(&file, params, out);
    at_safetensors_close(&file);
    return st;
}

/* --- Writing ------------------------------------------------------------------------------------- */

static at_status write_weights(const char *path, const at_folder_content *content)
{
    const at_params *params = &content->model->params;
    at_extras extras;
    at_status st = at_extras_make(content->model, &extras);
    if (st != AT_OK)
        return st;
    size_t count = 0;
    at_save_tensor *list = at_alloc_zero(params->count + extras.count + 1, sizeof *list);
    json_t *metadata = json_pack("{s:s}", "format", "pt"); /* transformers asks for this key */
    if (!list || !metadata)
        st = at_fail(AT_ENOMEM, "%s: out of memory", path);
    for (size_t i = 0; st == AT_OK && i < params->count; i++) {
        const at_param *p = params->list[i];
        if (p->tied_to)
            continue;
        AT_ASSERT(content->numbers || p->data); /* what runs in bf16 is not what is saved */
        list[count++] = (at_save_tensor){p->name, p->shape, content->type,
                                         content->numbers ? content->numbers + p->offset : p->data};
    }
    for (size_t i = 0; st == AT_OK && i < extras.count; i++)
        list[count++] = extras.list[i];
    if (st == AT_OK)
        st = at_safetensors_save(path, list, count, metadata);
    json_decref(metadata);
    at_free(list);
    at_free(extras.numbers);
    return st;
}

static at_status write_config(const char *path, const at_folder_content *content)
{
    json_t *config = at_config_write(content);
    if (!config)
        return at_fail(AT_ENOMEM, "%s: out of memory", path);
    at_status st = at_json_save(path, config);
    json_decref(config);
    return st;
}

static at_status write_tokenizer(const char *path, const at_folder_content *content)
{
    return content->tokenizer ? at_tokenizer_save(content->tokenizer, path) : AT_OK;
}

at_folder_content at_folder_contents(const at_folder *folder)
{
    return (at_folder_content){.model = folder->model,
                               .tokenizer = folder->tokenizer,
                               .preprocess = folder->preprocess,
                               .decode = folder->decode,
                               .data = folder->data,
                               .align = folder->align,
                               .labels = json_object_get(folder->config, "id2label")};
}

static at_status write_card(const char *path, const at_folder_content *content)
{
    if (content->card)
        return at_file_write(path, content->card, strlen(content->card));
    const at_model *m = content->model;
    const char *source = json_string_value(json_object_get(content->data, "source"));
    const char *target = json_string_value(json_object_get(content->data, "target"));
    at_buf text = {0};
    at_buf_printf(&text, "# A model of attend\n\n- family: %s\n", m->family->name);
    if (source && target)
        at_buf_printf(&text, "- languages: %s to %s\n", source, target);
    static const char *const uses[] = {[AT_ENCODER_DECODER] = "attend translate",
                                       [AT_DECODER_ONLY] = "attend generate",
                                       [AT_ENCODER_ONLY] = "attend classify` or `attend embed"};
    at_buf_printf(&text, "- parameters: %zu\n", at_params_numbers(&m->params));
    if (!m->family->pixels)
        at_buf_printf(&text, "- pieces: %lld\n", (long long)m->vocabulary.source);
    if (content->origin)
        at_buf_printf(&text, "- %s\n", content->origin);
    at_buf_printf(&text, "\nUse it with `%s`, `--model FOLDER`.\n",
                  m->family->pixels ? "attend classify" : uses[m->family->kind]);
    at_status st = at_buf_status(&text);
    if (st == AT_OK)
        st = at_file_write(path, text.data, text.length);
    at_buf_free(&text);
    return st;
}

/* config.json last: it is what tells a model folder from another. */
at_status at_folder_write_files(const char *path, const at_folder_content *content)
{
    static const struct part {
        const char *name;
        at_status (*write)(const char *path, const at_folder_content *content);
    } parts[] = {{tokenizer_name, write_tokenizer},
                 {card_name, write_card},
                 {weights_name, write_weights},
                 {config_name, write_config}};
    at_status st = AT_OK;
    for (size_t i = 0; st == AT_OK && i < sizeof parts / sizeof parts[0]; i++) {
        char *name = at_path_join(path, parts[i].name);
        st = name ? parts[i].write(name, content) : AT_ENOMEM;
        at_free(name);
    }
    return st;
}

static bool is_empty(const char *path)
{
    DIR *dir = opendir(path);
    bool empty = dir != NULL;
    for (struct dirent *entry; empty && (entry = readdir(dir)) != NULL;)
        empty = strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0;
    if (dir)
        closedir(dir);
    return empty;
}

static bool is_ours(const char *path)
{
    return has_file(path, config_name) || has_file(path, "log.jsonl") || has_file(path, "checkpoints") ||
           is_empty(path);
}

/* "a/b/" -> "a/.b.new.PID", so that it lies in the same file system. */
static char *beside(const char *path)
{
    size_t end = strlen(path);
    while (end > 1 && path[end - 1] == '/')
        end--;
    size_t start = end;
    while (start > 0 && path[start - 1] != '/')
        start--;
    at_buf name = {0};
    at_buf_bytes(&name, path, start);
    at_buf_char(&name, '.');
    at_buf_bytes(&name, path + start, end - start);
    at_buf_printf(&name, ".new.%ld", (long)getpid());
    return at_buf_take(&name);
}

at_status at_folder_save(const char *path, const at_folder_content *content)
{
    if (at_file_exists(path)) {
        if (!at_is_folder(path))
            return at_fail(AT_EARG, "%s: is a file; name a folder for the model", path);
        if (!is_ours(path))
            return at_fail(AT_EARG,
                           "%s: holds other things and no model; name another folder or an empty one", path);
        return at_folder_write_files(path, content);
    }
    char *fresh = beside(path);
    if (!fresh)
        return AT_ENOMEM;
    at_status st = at_remove_tree(fresh);
    if (st == AT_OK)
        st = at_make_folder(fresh);
    if (st == AT_OK)
        st = at_folder_write_files(fresh, content);
    if (st == AT_OK)
        st = at_rename_folder(fresh, path);
    if (st != AT_OK)
        (void)at_remove_tree(fresh); /* the first failure is the one to report */
    at_free(fresh);
    return st;
}

at_status at_folder_set_align(const char *path, int layer, int head)
{
    char *name = at_path_join(path, config_name);
    json_t *config = NULL, *align = json_object();
    at_status st = name && align ? at_json_load(name, AT_CONFIG_MAX_BYTES, &config) : AT_ENOMEM;
    json_t *attend = json_object_get(config, "attend");
    if (st == AT_OK && !json_is_object(attend))
        st = at_fail(AT_ENOSUP, "%s: no section 'attend' to name the layer and head in", name);
    bool ok = st == AT_OK;
    if (ok && layer >= 0)
        ok = json_object_set_new(align, "layer", json_integer(layer)) == 0;
    if (ok && head >= 0)
        ok = json_object_set_new(align, "head", json_integer(head)) == 0;
    ok = ok && json_object_set(attend, "align", align) == 0;
    if (st == AT_OK)
        st = ok ? at_json_save(name, config) : at_fail(AT_ENOMEM, "%s: no memory to change it", name);
    json_decref(align);
    json_decref(config);
    at_free(name);
    return st;
}

#include "task/photo.h"
#include <math.h>
#include <string.h>
#include "attention/rollout.h"
#include "base/file.h"
#include "base/memory.h"
#include "data/pictures.h"
#include "layer/layer.h"

enum { CONFIG_BYTES = 1 << 24, SEEN_SIDE = 768 };

/* ---------------------------------------------------------------- opening */

bool at_photo_model(const char *folder)
{
    json_t *config = NULL;
    char *path = at_path_join(folder, "config.json");
    bool pictures = false;
    if (path && at_file_exists(path) && at_json_load(path, CONFIG_BYTES, &config) == AT_OK) {
        const json_t *section = json_object_get(json_object_get(config, "attend"), "model");
        const char *name = json_string_value(json_object_get(section, "family"));
        const char *type = json_string_value(json_object_get(config, "model_type"));
        const at_family *family = name ? at_family_find(name) : NULL;
        pictures = family ? family->pixels != NULL : !section && type && strcmp(type, "vit") == 0;
    }
    json_decref(config);
    at_free(path);
    return pictures;
}

/* A folder without a section of ours is Hugging Face's: its pictures are stretched, its numbers -1 … 1. */
static at_status read_prepare(at_photo_reader *r, const at_pixels *size)
{
    if (r->folder->data)
        return at_picture_section_read(r->folder->data, size, &r->prepare);
    r->prepare = (at_prepare)AT_PREPARE_DEFAULTS;
    r->prepare.width = size->width;
    r->prepare.height = size->height;
    r->prepare.channels = size->channels;
    r->prepare.resample = AT_RESAMPLE_BILINEAR;
    r->prepare.fit = AT_FIT_STRETCH;
    return AT_OK;
}

static at_status open_parts(at_photo_reader *r, const char *path, const at_open_options *o)
{
    at_status st = at_exec_new(o->kernels, o->threads, &r->exec);
    if (st == AT_OK)
        st = at_folder_load_as(path, r->exec, o->weights, &r->folder);
    if (st != AT_OK)
        return st;
    const at_model *model = r->folder->model;
    if (!model->family->pixels)
        return at_fail(AT_ENOSUP, "%s: a %s reads texts, not pictures", path, model->family->name);
    at_pixels size = model->family->pixels(model);
    st = read_prepare(r, &size);
    const json_t *labels = json_object_get(r->folder->config, "id2label");
    if (st == AT_OK && labels)
        st = at_classes_read(labels, &r->classes);
    return st == AT_OK ? at_tape_new(r->exec, &r->tape) : at_fail_within(st, "%s", path);
}

at_status at_photo_reader_open(const char *folder, const at_open_options *options, size_t max_pixels,
                               at_photo_reader **reader)
{
    at_open_options o = AT_OPEN_DEFAULTS;
    if (options)
        o = *options;
    *reader = NULL;
    at_photo_reader *r = at_alloc_zero(1, sizeof *r);
    at_status st = r ? open_parts(r, folder, &o) : AT_ENOMEM;
    if (st != AT_OK) {
        at_photo_reader_close(r);
        return st;
    }
    r->prepare.max_pixels = max_pixels;
    *reader = r;
    return AT_OK;
}

void at_photo_reader_close(at_photo_reader *reader)
{
    if (!reader)
        return;
    at_tape_free(reader->tape);
    at_classes_free(&reader->classes);
    at_folder_free(reader->folder);
    at_exec_free(reader->exec);
    at_free(reader);
}

/* ---------------------------------------------------------------- looking */

/* The part that the model sees, from the file once more so that people see it sharper than the model does. */
static at_status load_seen(const at_photo_reader *r, const char *path, at_image *seen)
{
    at_image_options options = {.channels = 3, .max_pixels = r->prepare.max_pixels, .at_least = SEEN_SIDE};
    at_image photo;
    at_status st = at_image_read(path, &options, &photo);
    if (st != AT_OK)
        return st;
    at_box box = at_prepare_seen(&r->prepare, &photo);
    double longer = fmax(box.width, box.height), by = longer > SEEN_SIDE ? SEEN_SIDE / longer : 1.0;
    st = at_image_resize(&photo, &box, (size_t)fmax(round(box.width * by), 1.0),
                         (size_t)fmax(round(box.height * by), 1.0), AT_RESAMPLE_BICUBIC, seen);
    at_image_free(&photo);
    return st;
}

static at_status load_pixels(const at_photo_reader *r, const char *path, float **pixels)
{
    const at_prepare *how = &r->prepare;
    char *only = (char *)(uintptr_t)path; /* read, never freed through the set */
    at_picture_set set = {.count = 1, .path = &only};
    size_t count = how->width * how->height * how->channels;
    *pixels = at_alloc_array(count, sizeof **pixels);
    if (!*pixels)
        return AT_ENOMEM;
    return at_prepare_picture(&set, 0, how, NULL, (at_augment_key){0}, NULL, *pixels);
}

static at_status copy_row(const float *from, size_t count, float **to)
{
    *to = at_alloc_array(count, sizeof **to);
    if (*to)
        memcpy(*to, from, count * sizeof **to);
    return *to ? AT_OK : AT_ENOMEM;
}

/* (T, D) less the mean of all T: what they have in common would make everything alike. */
static double *centred(const at_var *x, size_t n, size_t d)
{
    double *from_mean = at_alloc_zero((n + 1) * d, sizeof *from_mean), *mean = from_mean + n * d;
    if (!from_mean)
        return NULL;
    for (size_t i = 0; i < n * d; i++)
        mean[i % d] += (double)x->data[i] / (double)n;
    for (size_t i = 0; i < n * d; i++)
        from_mean[i] = (double)x->data[i] - mean[i % d];
    return from_mean;
}

static double dot(const double *a, const double *b, size_t d)
{
    double sum = 0.0;
    for (size_t k = 0; k < d; k++)
        sum += a[k] * b[k];
    return sum;
}

/* Cosines of what the last layer made of the tokens, less their mean; where they point apart there is no
 * likeness. */
static at_status compare(const at_var *x, at_photo_look *look)
{
    size_t n = look->tokens, d = (size_t)x->shape.dim[1];
    double *rows = centred(x, n, d);
    look->alike = at_alloc_array(n * n, sizeof *look->alike);
    at_status st = rows && look->alike ? AT_OK : AT_ENOMEM;
    for (size_t i = 0; st == AT_OK && i < n; i++) {
        const double *a = rows + i * d;
        for (size_t j = 0; j <= i; j++) {
            const double *b = rows + j * d;
            double most = sqrt(dot(a, a, d) * dot(b, b, d));
            double cosine = most > 0.0 ? fmin(fmax(dot(a, b, d) / most, 0.0), 1.0) : 0.0;
            look->alike[i * n + j] = look->alike[j * n + i] = (float)cosine;
        }
    }
    at_free(rows);
    return st;
}

/* The model once over, with `trace` on the tape. */
static at_status run(at_photo_reader *r, const float *pixels, at_trace *trace, at_photo_look *look)
{
    const at_model *model = r->folder->model;
    const at_family *f = model->family;
    int32_t offsets[2] = {0, 1};
    at_batch batch = {.source = {.count = 1, .offsets = offsets},
                      .pixels = {.height = r->prepare.height,
                                 .width = r->prepare.width,
                                 .channels = r->prepare.channels,
                                 .data = pixels}};
    const float *pooling = NULL;
    at_tape_begin(r->tape, AT_TAPE_RUN, 0, 0);
    r->tape->trace = trace;
    at_var *x = f->encode(model, r->tape, &batch);
    r->tape->trace = NULL;
    at_var *pooled = x ? f->pool(model, r->tape, x, &batch.source, &pooling) : NULL;
    at_var *p = pooled && r->classes.count ? at_softmax(r->tape, f->classify(model, r->tape, pooled)) : NULL;
    at_status st = at_tape_status(r->tape);
    if (st == AT_OK && x) {
        look->tokens = (size_t)x->shape.dim[0];
        if (look->tokens <= AT_ROLLOUT_MOST)
            st = compare(x, look);
    }
    if (st == AT_OK && p)
        st = copy_row(p->data, r->classes.count, &look->probabilities);
    if (st == AT_OK && pooling)
        st = copy_row(pooling, look->tokens, &look->pooling);
    at_tape_reset(r->tape);
    return st;
}

static at_status check_grid(const at_photo_reader *r, at_photo_look *look)
{
    const at_model *model = r->folder->model;
    if (!model->family->patches)
        return at_fail(AT_ENOSUP, "a %s has no patches whose attention could be shown", model->family->name);
    at_patch_grid grid = model->family->patches(model);
    look->down = grid.down;
    look->across = grid.across;
    look->class_token = grid.class_token;
    AT_ASSERT(look->tokens == grid.down * grid.across + grid.class_token);
    return AT_OK;
}

static at_status take_maps(const at_trace *trace, int layer, int head, at_photo_look *look)
{
    size_t n = look->tokens, numbers, count = at_trace_count(trace);
    look->shared_out = at_trace_shared_out(trace);
    at_status st = at_trace_expect(trace, AT_ENCODER_SELF);
    if (st != AT_OK)
        return st;
    int layers = at_trace_layers(trace, AT_ENCODER_SELF), heads = at_trace_heads(trace, AT_ENCODER_SELF);
    if (layer >= layers || head >= heads)
        return at_fail(AT_EARG, "layer %d, head %d: this model has layers 0 to %d, heads 0 to %d", layer,
                       head, layers - 1, heads - 1);
    look->first_layer = layer < 0 ? 0 : layer;
    look->first_head = head < 0 ? 0 : head;
    look->layers = layer < 0 ? layers : 1;
    look->heads = head < 0 ? heads : 1;
    size_t maps = (size_t)look->layers * (size_t)look->heads;
    if (!at_mul_ok(n * n, maps, &numbers) || !(look->weights = at_alloc_zero(numbers, sizeof(float))))
        return at_fail(AT_ENOMEM, "no memory for %zu maps of %zu x %zu; name --layer and --head", maps, n, n);
    for (size_t i = 0; i < count; i++) {
        const at_trace_map *m = at_trace_at(trace, i);
        AT_ASSERT(m->queries == n && m->keys == n);
        size_t place = (size_t)(m->layer - look->first_layer) * (size_t)look->heads +
                       (size_t)(m->head - look->first_head);
        memcpy(look->weights + place * n * n, m->weights, n * n * sizeof(float));
    }
    if (layer >= 0 || head >= 0 || n > AT_ROLLOUT_MOST)
        return AT_OK;
    look->rollout = at_alloc_array(n * n, sizeof *look->rollout);
    return look->rollout ? at_trace_rollout(trace, AT_ENCODER_SELF, 0, look->rollout, n) : AT_ENOMEM;
}

static at_status look_at(at_photo_reader *r, const float *pixels, int layer, int head, at_photo_look *look)
{
    at_trace *trace = at_trace_new();
    if (!trace)
        return AT_ENOMEM;
    at_trace_want(trace, AT_ENCODER_SELF, layer < 0 ? -1 : layer, head < 0 ? -1 : head);
    at_status st = run(r, pixels, trace, look);
    if (st == AT_OK)
        st = check_grid(r, look);
    if (st == AT_OK)
        st = take_maps(trace, layer, head, look);
    at_trace_free(trace);
    return st;
}

at_status at_photo_look_new(at_photo_reader *reader, const char *path, int layer, int head,
                            at_photo_look *look)
{
    float *pixels = NULL;
    *look = (at_photo_look){.classes = reader->classes.count,
                            .names = (const char *const *)reader->classes.names};
    at_status st = load_pixels(reader, path, &pixels);
    if (st == AT_OK)
        st = load_seen(reader, path, &look->seen);
    if (st == AT_OK)
        st = look_at(reader, pixels, layer, head, look);
    at_free(pixels);
    if (st != AT_OK)
        at_photo_look_free(look);
    return st;
}

void at_photo_look_free(at_photo_look *look)
{
    at_image_free(&look->seen);
    at_free(look->weights);
    at_free(look->rollout);
    at_free(look->alike);
    at_free(look->pooling);
    at_free(look->probabilities);
    *look = (at_photo_look){0};
}

/* ---------------------------------------------------------------- one row */

/* Adds `part` of what the asker gives to each patch in one map. */
static void add_row(const at_photo_look *look, const float *map, long asker, float part, float *out)
{
    size_t n = look->tokens, first = look->class_token, patches = n - first;
    size_t begin = asker >= 0 ? first + (size_t)asker : 0, end = begin + 1;
    if (asker < 0 && !look->class_token)
        end = n; /* all of them, as pooling weighs them */
    for (size_t t = begin; t < end; t++) {
        float share = asker >= 0 || look->class_token ? 1.0f
                      : look->pooling                 ? look->pooling[t]
                                                      : 1.0f / (float)n;
        for (size_t i = 0; i < patches; i++)
            out[i] += part * share * map[t * n + first + i];
    }
}

static at_status check_asker(const at_photo_look *look, long asker)
{
    size_t patches = look->down * look->across;
    if (asker != AT_PHOTO_MODEL && (asker < 0 || (size_t)asker >= patches))
        return at_fail(AT_EARG, "patch %ld: there are %zu", asker, patches);
    return AT_OK;
}

at_status at_photo_row(const at_photo_look *look, int layer, int head, long asker, float *out)
{
    size_t n = look->tokens, patches = look->down * look->across;
    at_status st = check_asker(look, asker);
    if (st != AT_OK)
        return st;
    memset(out, 0, patches * sizeof *out);
    if (layer == AT_PHOTO_ROLLOUT) {
        if (!look->rollout)
            return at_fail(AT_ENOSUP, "rollout wants all layers and heads, and at most %d tokens",
                           AT_ROLLOUT_MOST);
        add_row(look, look->rollout, asker, 1.0f, out);
        return AT_OK;
    }
    size_t taken = 0, maps = (size_t)look->layers * (size_t)look->heads;
    for (int pass = 0; pass < 2; pass++) { /* counts, then adds */
        for (size_t i = 0; i < maps; i++) {
            int l = look->first_layer + (int)i / look->heads, h = look->first_head + (int)i % look->heads;
            if ((layer >= 0 && l != layer) || (head >= 0 && h != head))
                continue;
            if (pass == 0)
                taken++;
            else
                add_row(look, look->weights + i * n * n, asker, 1.0f / (float)taken, out);
        }
    }
    return taken ? AT_OK : at_fail(AT_EARG, "layer %d, head %d: not looked at", layer, head);
}

at_status at_photo_alike(const at_photo_look *look, long patch, float *out)
{
    size_t first = look->class_token;
    at_status st = check_asker(look, patch);
    if (st != AT_OK)
        return st;
    if (!look->alike || patch < 0)
        return at_fail(AT_ENOSUP, "likeness wants one patch, and at most %d tokens", AT_ROLLOUT_MOST);
    memcpy(out, look->alike + (first + (size_t)patch) * look->tokens + first,
           look->down * look->across * sizeof *out);
    return AT_OK;
}

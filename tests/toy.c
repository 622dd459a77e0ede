#include "tests/toy.h"
#include <string.h>
#include "base/rng.h"

static json_t *tiny(const char *family, const char *options)
{
    json_t *all;
    if (!strcmp(family, "recurrent")) {
        all = json_pack("{s:i, s:i, s:i, s:f}", "embedding", 6, "encoder_hidden", 5, "decoder_hidden", 7,
                        "dropout", 0.0);
    } else if (!strcmp(family, "glimpse")) {
        all = json_pack("{s:i, s:i, s:i, s:i, s:i, s:i, s:i}", "glimpses", 3, "glimpse_size", 3, "what", 5,
                        "where", 5, "glimpse_width", 6, "width", 7, "locator", 5);
    } else {
        all = json_pack("{s:i, s:i, s:i, s:i, s:f}", "d_model", 12, "ffn", 20, "heads", 3, "max_length", 40,
                        "dropout", 0.0);
        json_t *layers = strcmp(family, "transformer") != 0
                             ? json_pack("{s:i}", "layers", 2)
                             : json_pack("{s:i, s:i}", "encoder_layers", 2, "decoder_layers", 2);
        assert_int_equal(json_object_update(all, layers), 0);
        json_decref(layers);
    }
    assert_non_null(all);
    if (options) {
        json_t *more = json_loads(options, 0, NULL);
        assert_non_null(more);
        assert_int_equal(json_object_update(all, more), 0);
        json_decref(more);
    }
    return all;
}

void toy_open(toy *t, const toy_spec *spec)
{
    int64_t pieces = spec->vocabulary > 0 ? spec->vocabulary : TOY_VOCABULARY;
    const at_vocabulary vocabulary = {pieces, pieces, 0, 1, 2, 3, spec->labels};
    const char *family = spec->family ? spec->family : "transformer";
    json_t *section = tiny(family, spec->options);
    *t = (toy){0};
    check_ok(at_exec_new(spec->kernels, spec->threads > 0 ? spec->threads : 1, &t->exec));
    check_ok(at_tape_new(t->exec, &t->tape));
    check_ok(at_model_new(family, section, &vocabulary, &t->model));
    json_decref(section);
    check_ok(at_params_allocate(&t->model->params));
    at_params_init(&t->model->params, spec->seed);
    t->grads = calloc(t->model->params.total, sizeof *t->grads);
    assert_non_null(t->grads);
}

void toy_close(toy *t)
{
    free(t->grads);
    at_model_free(t->model);
    at_tape_free(t->tape);
    at_exec_free(t->exec);
}

static void point(toy_batch *b, size_t count)
{
    b->batch = (at_batch){.source = {count, b->source_offsets, b->examples},
                          .target = {count, b->target_offsets, b->examples},
                          .source_ids = b->source,
                          .target_in = b->in,
                          .target_out = b->out};
}

void toy_fill(toy_batch *b, const toy *t, size_t count, const int *sources, const int *targets,
              uint32_t stream)
{
    assert_true(count <= TOY_SEQUENCES);
    const at_vocabulary *v = &t->model->vocabulary;
    at_rng rng = at_rng_make(check_rng_seed() * 31 + stream, AT_RNG_TEST);
    memset(b, 0, sizeof *b);
    for (size_t i = 0; i < count; i++) {
        int32_t s = b->source_offsets[i], y = b->target_offsets[i];
        int length = sources ? sources[i] : 0;
        assert_true(s + length <= TOY_ROWS && y + targets[i] <= TOY_ROWS);
        for (int j = 0; j < length; j++)
            b->source[s + j] =
                j + 1 < length ? (int32_t)(3 + at_rng_below(&rng, (uint32_t)v->source - 3)) : v->eos;
        for (int j = 0; j < targets[i]; j++) {
            b->in[y + j] = j ? b->out[y + j - 1] : v->bos;
            b->out[y + j] =
                j + 1 < targets[i] ? (int32_t)(3 + at_rng_below(&rng, (uint32_t)v->target - 3)) : v->eos;
        }
        b->source_offsets[i + 1] = s + length;
        b->target_offsets[i + 1] = y + targets[i];
        b->examples[i] = 100 + (uint32_t)i;
    }
    point(b, count);
    if (!sources)
        b->batch.source.count = 0;
}

void toy_single(toy_batch *b, const toy_batch *from, size_t index)
{
    memset(b, 0, sizeof *b);
    int32_t s = from->source_offsets[index], y = from->target_offsets[index];
    b->source_offsets[1] = from->source_offsets[index + 1] - s;
    b->target_offsets[1] = from->target_offsets[index + 1] - y;
    memcpy(b->source, from->source + s, (size_t)b->source_offsets[1] * sizeof *b->source);
    memcpy(b->in, from->in + y, (size_t)b->target_offsets[1] * sizeof *b->in);
    memcpy(b->out, from->out + y, (size_t)b->target_offsets[1] * sizeof *b->out);
    b->examples[0] = from->examples[index];
    point(b, 1);
}

double toy_loss(toy *t, const at_batch *batch, float smoothing, uint64_t step)
{
    memset(t->grads, 0, t->model->params.total * sizeof *t->grads);
    at_tape_begin(t->tape, AT_TAPE_TRAIN, 9, step);
    t->tape->grads = t->grads;
    at_loss_report report;
    size_t tokens = at_rows_total(&batch->target);
    at_loss_options options = {.smoothing = smoothing, .scale = 1.0f / (float)tokens};
    at_var *loss = at_model_loss(t->model, t->tape, batch, &options, &report);
    check_ok(at_tape_status(t->tape));
    check_ok(at_tape_backward(t->tape, loss));
    assert_int_equal(report.tokens, tokens);
    return report.loss / (double)tokens;
}

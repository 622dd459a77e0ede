#include "tests/training.h"
#include <stdio.h>
#include <string.h>
#include "base/file.h"
#include "base/memory.h"
#include "base/rng.h"
#include "tests/check.h"
#include "text/train.h"

enum { SYMBOLS = 10, PAIRS = 64 };

static void write_pairs(const char *path, uint64_t seed)
{
    at_rng rng = at_rng_make(seed, AT_RNG_TEST);
    at_buf text = {0};
    for (int i = 0; i < PAIRS; i++) {
        at_buf line = {0};
        uint32_t length = 2 + at_rng_below(&rng, 5);
        for (uint32_t j = 0; j < length; j++)
            at_buf_printf(&line, "%s%c", j ? " " : "", (char)('a' + at_rng_below(&rng, SYMBOLS)));
        at_buf_printf(&text, "%s\t%s\n", line.data, line.data);
        at_buf_free(&line);
    }
    check_ok(at_file_write(path, text.data, text.length));
    at_buf_free(&text);
}

static void make_tokenizer(check_training *t)
{
    at_tokenizer_options pieces = {.type = AT_TYPE_WORD, .vocab_size = 4 + SYMBOLS};
    at_learner *learner;
    check_ok(at_learner_new(&pieces, &learner));
    for (int i = 0; i < SYMBOLS; i++)
        check_ok(at_learner_line(learner, (char[]){(char)('a' + i), '\0'}, 1));
    check_ok(at_learner_finish(learner, &t->tokenizer));
    at_learner_free(learner);
}

static void make_model(check_training *t, double dropout)
{
    json_t *options = json_pack("{s:i, s:i, s:i, s:i, s:i, s:i, s:f, s:f}", "encoder_layers", 1,
                                "decoder_layers", 1, "d_model", 16, "ffn", 32, "heads", 2, "max_length", 32,
                                "dropout", dropout, "attention_dropout", dropout);
    at_vocabulary v = {at_tokenizer_size(t->tokenizer), at_tokenizer_size(t->tokenizer), 0, 1, 2, 3, 0};
    check_ok(at_model_new("transformer", options, &v, &t->model));
    json_decref(options);
    check_ok(at_params_allocate(&t->model->params));
    at_params_init(&t->model->params, 1);
}

static void load(check_training *t, const char *path, bool shuffle, at_dataset *set, at_loader **loader)
{
    at_dataset_spec spec = {.options = &t->data, .tokenizer = t->tokenizer};
    check_ok(at_dataset_load_files(path, NULL, &spec, NULL, set));
    at_loader_options options = at_loader_options_from(&t->data, 1, 1);
    options.shuffle = shuffle;
    check_ok(at_loader_new(set, &options, loader));
}

void check_training_make(check_training *t, const check_training_spec *spec)
{
    *t = (check_training){0};
    check_ok(at_fields_default(at_train_fields, &t->options));
    check_ok(at_fields_default(at_data_fields, &t->data));
    t->options.lr = 0.01;
    t->options.warmup = 5;
    t->options.clip = 1;
    t->options.report_every = 3;
    t->data.batch_pairs = spec->batch_pairs ? spec->batch_pairs : 8;
    t->data.bucket = !spec->in_order;
    check_ok(at_exec_new(NULL, spec->threads, &t->exec));
    make_tokenizer(t);
    write_pairs(check_path("train.tsv"), 1 + spec->data_seed);
    write_pairs(check_path("valid.tsv"), 77);
    load(t, check_path("train.tsv"), !spec->in_order, &t->train, &t->train_loader);
    load(t, check_path("valid.tsv"), false, &t->valid, &t->valid_loader);
    make_model(t, spec->dropout);
    t->out = at_strdup(check_path(spec->out));
    snprintf(t->mark, sizeof t->mark, "%zu pairs, %08x", t->train.count, (unsigned)t->train.mark);
}

at_status check_training_run(check_training *t, bool resume, at_train_result *result)
{
    at_train_task task = {.exec = t->exec,
                          .model = t->model,
                          .train = t->train_loader,
                          .valid = t->valid_loader,
                          .options = &t->options,
                          .content = {.tokenizer = t->tokenizer},
                          .out = t->out,
                          .resume = resume,
                          .data_mark = t->mark,
                          .hooks = t->hooks};
    return at_train(&task, result);
}

void check_training_free(check_training *t)
{
    at_fields_free(at_train_fields, &t->options);
    at_fields_free(at_data_fields, &t->data);
    at_loader_free(t->train_loader);
    at_loader_free(t->valid_loader);
    at_dataset_free(&t->train);
    at_dataset_free(&t->valid);
    at_model_free(t->model);
    at_tokenizer_free(t->tokenizer);
    at_exec_free(t->exec);
    at_free(t->out);
    *t = (check_training){0};
}

char *check_training_log(const check_training *t)
{
    char *path = at_path_join(t->out, "log.jsonl"), *text;
    size_t length;
    at_buf out = {0};
    check_ok(at_file_read(path, 1 << 20, &text, &length));
    for (char *line = strtok(text, "\n"); line; line = strtok(NULL, "\n")) {
        char *clock = strstr(line, ",\"seconds\""); /* and tokens_per_s behind it */
        if (clock)
            *clock = '\0';
        at_buf_printf(&out, "%s\n", line);
    }
    at_free(text);
    at_free(path);
    return at_buf_take(&out);
}

/* tests/task/small.h - a model folder with random weights and byte-level pieces, for tests of this folder.
 *
 * Such a model says random bytes: half characters, line ends, NULs. What the tasks promise must hold all
 * the same.
 */
#ifndef AT_TESTS_TASK_SMALL_H
#define AT_TESTS_TASK_SMALL_H
#include <string.h>
#include "store/folder.h"
#include "tests/check.h"
#include "text/train.h"

static inline at_tokenizer *small_tokenizer(void)
{
    at_learner *learner;
    at_tokenizer *tokenizer;
    at_tokenizer_options options = {.type = AT_TYPE_BPE, .vocab_size = 275};
    const char line[] = "the cat sees the dog and the dog sees the cat";
    check_ok(at_learner_new(&options, &learner));
    for (int i = 0; i < 4; i++)
        check_ok(at_learner_line(learner, line, strlen(line)));
    check_ok(at_learner_finish(learner, &tokenizer));
    at_learner_free(learner);
    return tokenizer;
}

typedef struct small_spec {
    const char *family, *options; /* options: the section "model" as JSON */
    const char *preprocess;       /* its section as JSON; NULL: none */
    const char *labels;           /* id2label as JSON; NULL: no classifier */
} small_spec;

/* Saves the folder `name` under check_folder(). Gives its path. */
static inline const char *small_model(const char *name, const small_spec *spec)
{
    at_tokenizer *tokenizer = small_tokenizer();
    int64_t pieces = at_tokenizer_size(tokenizer);
    json_t *options = json_loads(spec->options, 0, NULL);
    json_t *section = spec->preprocess ? json_loads(spec->preprocess, 0, NULL) : NULL;
    json_t *labels = spec->labels ? json_loads(spec->labels, 0, NULL) : NULL;
    at_vocabulary vocabulary = {pieces, pieces, 0, 1, 2, 3, (int64_t)json_object_size(labels)};
    at_model *model;
    check_ok(at_model_new(spec->family, options, &vocabulary, &model));
    check_ok(at_params_allocate(&model->params));
    at_params_init(&model->params, 5);
    at_folder_content content = {
        .model = model, .tokenizer = tokenizer, .preprocess = section, .labels = labels};
    const char *path = check_path(name);
    check_ok(at_folder_save(path, &content));
    at_model_free(model);
    at_tokenizer_free(tokenizer);
    json_decref(options);
    json_decref(section);
    json_decref(labels);
    return path;
}

/* A translator; preprocess: its section as JSON, or NULL. */
static inline const char *small_folder(const char *name, const char *preprocess)
{
    return small_model(name, &(small_spec){.family = "transformer",
                                           .options = "{\"encoder_layers\": 1, \"decoder_layers\": 2, "
                                                      "\"d_model\": 16, \"ffn\": 16, \"heads\": 2, "
                                                      "\"max_length\": 24}",
                                           .preprocess = preprocess});
}
#endif

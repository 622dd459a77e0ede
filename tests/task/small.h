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

/* Saves the folder `name` under check_folder(); preprocess: its section as JSON, or NULL. Gives its path. */
static inline const char *small_folder(const char *name, const char *preprocess)
{
    at_tokenizer *tokenizer = small_tokenizer();
    int64_t pieces = at_tokenizer_size(tokenizer);
    at_vocabulary vocabulary = {pieces, pieces, 0, 1, 2, 3, 0};
    json_t *options = json_pack("{s:i,s:i,s:i,s:i,s:i,s:i}", "encoder_layers", 1, "decoder_layers", 2,
                                "d_model", 16, "ffn", 16, "heads", 2, "max_length", 24);
    json_t *section = preprocess ? json_loads(preprocess, 0, NULL) : NULL;
    at_model *model;
    check_ok(at_model_new("transformer", options, &vocabulary, &model));
    check_ok(at_params_allocate(&model->params));
    at_params_init(&model->params, 5);
    at_folder_content content = {.model = model, .tokenizer = tokenizer, .preprocess = section};
    const char *path = check_path(name);
    check_ok(at_folder_save(path, &content));
    at_model_free(model);
    at_tokenizer_free(tokenizer);
    json_decref(options);
    json_decref(section);
    return path;
}
#endif

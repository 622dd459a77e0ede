/* tests/store/small.h - a model and a tokenizer of twelve pieces, for the tests of this folder. */
#ifndef AT_TESTS_STORE_SMALL_H
#define AT_TESTS_STORE_SMALL_H
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "model/model.h"
#include "tests/check.h"
#include "text/tokenizer.h"

static const char small_pieces[] =
    "{\"version\":\"1.0\",\"pre_tokenizer\":{\"type\":\"WhitespaceSplit\"},\"added_tokens\":["
    "{\"id\":0,\"content\":\"<pad>\",\"special\":true},{\"id\":1,\"content\":\"<s>\",\"special\":true},"
    "{\"id\":2,\"content\":\"</s>\",\"special\":true},{\"id\":3,\"content\":\"<unk>\",\"special\":true}],"
    "\"post_processor\":{\"type\":\"TemplateProcessing\","
    "\"single\":[{\"Sequence\":{\"id\":\"A\",\"type_id\":0}},{\"SpecialToken\":{\"id\":\"</"
    "s>\",\"type_id\":0}}],"
    "\"special_tokens\":{\"</s>\":{\"id\":\"</s>\",\"ids\":[2],\"tokens\":[\"</s>\"]}}},"
    "\"model\":{\"type\":\"WordLevel\",\"unk_token\":\"<unk>\",\"vocab\":{\"<pad>\":0,\"<s>\":1,\"</s>\":2,"
    "\"<unk>\":3,\"a\":4,\"b\":5,\"c\":6,\"d\":7,\"e\":8,\"f\":9,\"g\":10,\"h\":11}}}";

static inline at_tokenizer *small_tokenizer(void)
{
    at_tokenizer *t;
    check_ok(at_tokenizer_parse(small_pieces, strlen(small_pieces), "small", &t));
    return t;
}

/* options: the section "model", single quotes for double ones. */
static inline at_model *small_model(const char *options, uint64_t seed)
{
    static const at_vocabulary vocabulary = {12, 12, 0, 1, 2, 3, 0};
    char text[512];
    snprintf(text, sizeof text, "%s", options);
    for (char *p = text; *p; p++)
        *p = *p == '\'' ? '"' : *p;
    json_t *section;
    check_ok(at_json_parse(text, strlen(text), "options", &section));
    at_model *model;
    check_ok(at_model_new("transformer", section, &vocabulary, &model));
    json_decref(section);
    check_ok(at_params_allocate(&model->params));
    at_params_init(&model->params, seed);
    return model;
}

/* First in main: hundreds of atomic writes wait for a disk, and none of these tests is about the disk. */
static inline void small_use_memory(void)
{
    if (!getenv("TMPDIR") && access("/dev/shm", W_OK) == 0)
        setenv("TMPDIR", "/dev/shm", 1);
}

#define SMALL \
    "{'d_model': 8, 'heads': 2, 'ffn': 16, 'encoder_layers': 1, 'decoder_layers': 2, 'max_length': 16}"
#endif

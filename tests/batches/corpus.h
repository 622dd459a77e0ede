/* tests/batches/corpus.h - a byte-level BPE of a few pieces and a corpus of random words over them. */
#ifndef AT_TESTS_BATCHES_CORPUS_H
#define AT_TESTS_BATCHES_CORPUS_H
#include <stdio.h>
#include <string.h>
#include "base/buf.h"
#include "base/file.h"
#include "data/dataset.h"
#include "tests/check.h"

static const char corpus_pieces[] =
    "{\"pre_tokenizer\":{\"type\":\"ByteLevel\",\"add_prefix_space\":false,\"use_regex\":true},"
    "\"decoder\":{\"type\":\"ByteLevel\"},\"added_tokens\":["
    "{\"id\":0,\"content\":\"<pad>\",\"special\":true},{\"id\":1,\"content\":\"<s>\",\"special\":true},"
    "{\"id\":2,\"content\":\"</s>\",\"special\":true},{\"id\":3,\"content\":\"<unk>\",\"special\":true}],"
    "\"post_processor\":{\"type\":\"TemplateProcessing\","
    "\"single\":[{\"Sequence\":{\"id\":\"A\",\"type_id\":0}},{\"SpecialToken\":{\"id\":\"</"
    "s>\",\"type_id\":0}}],"
    "\"special_tokens\":{\"</s>\":{\"id\":\"</s>\",\"ids\":[2],\"tokens\":[\"</s>\"]}}},"
    "\"model\":{\"type\":\"BPE\",\"vocab\":{\"<pad>\":0,\"<s>\":1,\"</"
    "s>\":2,\"<unk>\":3,\"a\":4,\"b\":5,\"c\":6,"
    "\"\xc4\xa0\":7,\"ab\":8,\"abc\":9,\"\xc4\xa0"
    "abc\":10},"
    "\"merges\":[\"a b\",\"ab c\",\"\xc4\xa0 abc\"]}}";

static inline at_tokenizer *corpus_tokenizer(void)
{
    at_tokenizer *t;
    check_ok(at_tokenizer_parse(corpus_pieces, strlen(corpus_pieces), "corpus", &t));
    return t;
}

/* check_folder()/name with `lines` lines; line i is "abc" so many times: 1 + (i * step) % most. */
static inline void corpus_file(const char *name, size_t lines, size_t step, size_t most)
{
    at_buf text = {0};
    for (size_t i = 0; i < lines; i++) {
        at_buf_text(&text, "abc");
        for (size_t k = (i * step) % most; k > 0; k--)
            at_buf_text(&text, " abc");
        at_buf_char(&text, '\n');
    }
    check_ok(at_file_write(check_path(name), text.data, text.length));
    at_buf_free(&text);
}

static inline at_data_options corpus_options(void)
{
    at_data_options o = {0};
    check_ok(at_fields_default(at_data_fields, &o));
    return o;
}
#endif

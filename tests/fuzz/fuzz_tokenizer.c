#include <string.h>
#include "tests/fuzz/fuzz.h"
#include "text/tokenizer.h"

/* A tokenizer that loads must encode and decode anything, and load again as it was saved. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const char text[] = "Tom's 汤姆 \xFF</s> <pad>aab 12 \n  x";
    at_tokenizer *t, *again;
    if (at_tokenizer_parse((const char *)data, size, "input", &t) != AT_OK)
        return 0;
    at_ids ids = {0};
    at_buf back = {0};
    for (int special = 0; special < 2; special++) {
        at_ids_clear(&ids);
        if (at_tokenizer_encode(t, text, sizeof text, &(at_encoding){.close = true, .special = special},
                                &ids) == AT_OK &&
            at_tokenizer_decode(t, ids.id, ids.count, special, &back) != AT_OK)
            abort();
    }
    const char *path = fuzz_file("saved.json", data, 0);
    if (at_tokenizer_save(t, path) == AT_OK && at_tokenizer_load(path, &again) == AT_OK) {
        if (at_tokenizer_size(again) != at_tokenizer_size(t))
            abort();
        at_tokenizer_free(again);
    }
    at_ids_free(&ids);
    at_buf_free(&back);
    at_tokenizer_free(t);
    return 0;
}

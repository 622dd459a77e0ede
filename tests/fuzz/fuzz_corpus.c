#include "tests/fuzz/fuzz.h"
#include "text/corpus.h"
#include "text/moses.h"
#include "text/utf8.h"

/* Whatever a file holds: lines of valid UTF-8 or an error. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const char *path = fuzz_file("corpus", data, size);
    at_lines *lines;
    at_pairs *pairs;
    at_text a, b;
    if (at_lines_open(path, &lines) == AT_OK) {
        while (at_lines_next(lines, &a) == AT_OK && a.data) {
            at_buf tokens = {0}, back = {0};
            if (at_utf8_valid(a.data, a.length) != a.length)
                abort();
            if (at_moses_tokenize(size % 2 ? "de" : "en", a.data, &tokens) != AT_OK ||
                at_moses_detokenize("en", tokens.data ? tokens.data : "", &back) != AT_OK)
                abort();
            at_buf_free(&tokens);
            at_buf_free(&back);
        }
        at_lines_close(lines);
    }
    if (at_pairs_open(path, NULL, &pairs) == AT_OK) {
        while (at_pairs_next(pairs, &a, &b) == AT_OK && a.data && b.data)
            continue;
        at_pairs_close(pairs);
    }
    return 0;
}

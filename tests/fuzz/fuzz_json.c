#include "base/json.h"
#include "tests/fuzz/fuzz.h"

/* What is read must be writable, and read back the same. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    json_t *root;
    if (at_json_parse((const char *)data, size, "input", &root) != AT_OK)
        return 0;
    int64_t n;
    at_json_int(root, "n", 1, 100, &n);
    char *text = json_dumps(root, JSON_ENCODE_ANY);
    json_t *again = text ? json_loads(text, JSON_DECODE_ANY, NULL) : NULL;
    if (!again || !json_equal(root, again))
        abort();
    json_decref(again);
    json_decref(root);
    free(text);
    return 0;
}

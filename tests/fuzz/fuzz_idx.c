#include "image/idx.h"
#include "tests/fuzz/fuzz.h"

/* All that is claimed to be there can be read. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const char *path = fuzz_file("data-idx", data, size);
    static volatile uint8_t sum;
    static const at_idx_kind kinds[] = {AT_IDX_IMAGES, AT_IDX_LABELS};
    for (int kind = 0; kind < 2; kind++) {
        at_idx idx;
        if (at_idx_read(path, kinds[kind], 1 << 22, &idx) != AT_OK)
            continue;
        for (size_t i = 0; i < idx.count * idx.height * idx.width; i++)
            sum = (uint8_t)(sum + idx.bytes[i]);
        at_idx_free(&idx);
    }
    return 0;
}

#include <string.h>
#include "base/file.h"
#include "image/image.h"
#include "tests/fuzz/fuzz.h"

/* Checksums made right, so that what lies behind them is tried, too. */
static void mend(uint8_t *bytes, size_t size)
{
    for (size_t at = 8; at + 12 <= size;) {
        size_t length = (size_t)bytes[at] << 24 | (size_t)bytes[at + 1] << 16 | (size_t)bytes[at + 2] << 8 |
                        bytes[at + 3];
        if (length > size - at - 12)
            return;
        uint32_t crc = at_crc32(0, bytes + at + 4, length + 4);
        for (int i = 0; i < 4; i++)
            bytes[at + 8 + length + (size_t)i] = (uint8_t)(crc >> (24 - 8 * i));
        at += length + 12;
    }
}

/* What is read has the size that a look at the head gave, and can be written and read again. */
static void try_png(const uint8_t *data, size_t size)
{
    at_image_options options = {.max_pixels = 1 << 20};
    at_image_info info;
    at_image image, again;
    if (at_image_read_memory(data, size, "input", &options, &image) != AT_OK)
        return;
    if (at_image_probe_memory(data, size, "input", &info) != AT_OK || info.width != image.width ||
        info.height != image.height || info.channels != image.channels)
        abort();
    at_buf file = {0};
    if (info.kind == AT_IMAGE_PNG &&
        (at_image_encode_png(&image, &file) != AT_OK ||
         at_image_read_memory(file.data, file.length, "again", NULL, &again) != AT_OK ||
         memcmp(image.pixels, again.pixels, at_image_bytes(&image)) != 0))
        abort();
    if (info.kind == AT_IMAGE_PNG)
        at_image_free(&again);
    at_buf_free(&file);
    at_image_free(&image);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    try_png(data, size);
    uint8_t *copy = malloc(size ? size : 1);
    if (!copy)
        abort();
    if (size)
        memcpy(copy, data, size);
    mend(copy, size);
    try_png(copy, size);
    free(copy);
    return 0;
}

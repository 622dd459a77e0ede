#include "image/image.h"
#include "tests/fuzz/fuzz.h"

/* What is read has the size that a look at the head gave, and can be read at a reduced scale too. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    at_image_options options = {.max_pixels = 1 << 20};
    at_image_info info;
    at_image image, again;
    if (at_image_read_memory(data, size, "input", &options, &image) != AT_OK)
        return 0;
    if (at_image_probe_memory(data, size, "input", &info) != AT_OK || info.width != image.width ||
        info.height != image.height || info.channels != image.channels)
        abort();
    options.at_least = 8;
    options.channels = 3;
    if (at_image_read_memory(data, size, "input", &options, &again) == AT_OK && again.channels != 3)
        abort();
    at_image_free(&again);
    at_image_free(&image);
    return 0;
}

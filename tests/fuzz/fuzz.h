/* tests/fuzz/fuzz.h - what a fuzz target fuzz_NAME.c defines, and a file for targets that read paths.
 *
 *     int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
 *     {
 *         const char *path = fuzz_file("config.json", data, size);
 *         ... load path; any status will do, a crash, a leak or a sanitizer's report will not ...
 *         return 0;
 *     }
 *
 * Seeds, small valid files, stand in tests/fuzz/seeds/NAME/.
 */
#ifndef AT_TESTS_FUZZ_H
#define AT_TESTS_FUZZ_H
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* A folder of this process with nothing else in it; removed by tools/fuzz.sh with its TMPDIR. */
static inline const char *fuzz_folder(void)
{
    static char folder[256];
    if (folder[0])
        return folder;
    const char *base = getenv("TMPDIR");
    snprintf(folder, sizeof folder, "%s/attend-fuzz-XXXXXX", base && *base ? base : "/tmp");
    if (!mkdtemp(folder))
        abort();
    return folder;
}

/* Writes the bytes to fuzz_folder()/name; the path is valid until the next call. */
static inline const char *fuzz_file(const char *name, const uint8_t *data, size_t size)
{
    static char path[512];
    snprintf(path, sizeof path, "%s/%s", fuzz_folder(), name);
    FILE *file = fopen(path, "wb");
    if (!file || fwrite(data, 1, size, file) != size || fclose(file) != 0)
        abort();
    return path;
}
#endif

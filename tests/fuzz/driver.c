/* tests/fuzz/driver.c - feeds a fuzz target without libFuzzer: each seed as it is, then mutated
 * seeds for some seconds. The input that is being tried stands in a file, so that a crash leaves it.
 *
 * usage: fuzz_NAME SECONDS [SEED] FOLDER_OF_SEEDS      or: fuzz_NAME 0 FILE   (one input again)
 */
#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "base/buf.h"
#include "base/clock.h"
#include "base/file.h"
#include "base/memory.h"
#include "base/rng.h"
#include "tests/fuzz/fuzz.h"

enum { MAX_SEEDS = 256, LARGEST_INPUT = 1 << 20 };

typedef struct seed {
    char *bytes;
    size_t length;
} seed;

static seed seeds[MAX_SEEDS];
static size_t seed_count;
static char crash_path[512];

static int give_up(const char *what)
{
    fprintf(stderr, "%s: %s\n", what, at_error_message());
    return 2;
}

static at_status load_seeds(const char *folder)
{
    if (!at_is_folder(folder)) {
        seed_count = 1;
        return at_file_read(folder, LARGEST_INPUT, &seeds[0].bytes, &seeds[0].length);
    }
    DIR *list = opendir(folder);
    if (!list)
        return at_fail(AT_EIO, "cannot open %s", folder);
    at_status st = AT_OK;
    for (struct dirent *entry; st == AT_OK && seed_count < MAX_SEEDS && (entry = readdir(list));) {
        if (entry->d_name[0] == '.')
            continue;
        char *path = at_path_join(folder, entry->d_name);
        st = path ? at_file_read(path, LARGEST_INPUT, &seeds[seed_count].bytes, &seeds[seed_count].length)
                  : AT_ENOMEM;
        seed_count += st == AT_OK;
        at_free(path);
    }
    closedir(list);
    return st == AT_OK && !seed_count ? at_fail(AT_EARG, "no seeds in %s", folder) : st;
}

/* One change: a bit, a byte of the edge kind, a cut, a doubled part, a number, a part of another seed. */
static void mutate(at_rng *rng, at_buf *input)
{
    static const char *const numbers[] = {"0",          "-1",   "1e999", "18446744073709551615",
                                          "4294967296", "null", "[]"};
    if (!input->length)
        at_buf_char(input, (char)at_rng_word(rng));
    size_t at = at_rng_below(rng, (uint32_t)input->length);
    size_t rest = input->length - at, part = at_rng_below(rng, (uint32_t)(rest < 64 ? rest : 64)) + 1;
    switch (at_rng_below(rng, 7)) {
    case 0:
        input->data[at] = (char)(input->data[at] ^ (1 << at_rng_below(rng, 8)));
        break;
    case 1:
        input->data[at] = (char)(at_rng_below(rng, 2) ? 0xFF : at_rng_word(rng));
        break;
    case 2:
        memmove(input->data + at, input->data + at + part, rest - part);
        input->length -= part;
        break;
    case 3:
        input->length = at; /* truncated file */
        break;
    case 4: {
        char copy[64];
        memcpy(copy, input->data + at, part);
        at_buf_bytes(input, copy, part);
        break;
    }
    case 5: {
        const char *number = numbers[at_rng_below(rng, 7)];
        size_t length = strlen(number);
        memcpy(input->data + at, number, length < rest ? length : rest);
        break;
    }
    default: {
        const seed *other = &seeds[at_rng_below(rng, (uint32_t)seed_count)];
        size_t length = part < other->length ? part : other->length;
        if (length)
            memcpy(input->data + at, other->bytes + at_rng_below(rng, (uint32_t)(other->length - length + 1)),
                   length < rest ? length : rest);
    }
    }
}

/* Plainly written: at_file_write's fsync would take longer than the target. */
static bool keep_input(const char *bytes, size_t length)
{
    FILE *file = fopen(crash_path, "wb");
    return file && fwrite(bytes, 1, length, file) == length && fclose(file) == 0;
}

static int try_input(const char *bytes, size_t length)
{
    /* In a block of exactly this length, so that reading past it is seen. */
    uint8_t *copy = malloc(length ? length : 1);
    if (!copy || !keep_input(bytes, length)) {
        free(copy);
        fprintf(stderr, "cannot write %s\n", crash_path);
        return 2;
    }
    memcpy(copy, bytes, length);
    LLVMFuzzerTestOneInput(copy, length);
    free(copy);
    return 0;
}

static int fuzz(double seconds, uint64_t number)
{
    at_rng rng = at_rng_make(number, AT_RNG_TEST);
    at_buf input = {0};
    long tried = 0;
    int failed = 0;
    for (size_t i = 0; i < seed_count && !failed; i++, tried++)
        failed = try_input(seeds[i].bytes, seeds[i].length);
    for (double end = at_clock() + seconds; at_clock() < end && !failed; tried++) {
        const seed *from = &seeds[at_rng_below(&rng, (uint32_t)seed_count)];
        at_buf_clear(&input);
        at_buf_bytes(&input, from->bytes, from->length);
        for (uint32_t changes = at_rng_below(&rng, 8) + 1; changes > 0 && !at_buf_status(&input); changes--)
            mutate(&rng, &input);
        failed = at_buf_status(&input) != AT_OK || try_input(input.data, input.length);
    }
    at_buf_free(&input);
    printf("%ld inputs, seed %llu\n", tried, (unsigned long long)number);
    return failed;
}

int main(int argc, char **argv)
{
    if (argc < 3) {
        fprintf(stderr, "usage: %s SECONDS [SEED] FOLDER_OF_SEEDS\n", argv[0]);
        return 2;
    }
    const char *base = getenv("TMPDIR");
    snprintf(crash_path, sizeof crash_path, "%s/attend-fuzz-%ld", base && *base ? base : "/tmp",
             (long)getpid());
    if (load_seeds(argv[argc - 1]) != AT_OK)
        return give_up(argv[argc - 1]);
    fprintf(stderr, "the input tried last stands in %s\n", crash_path);
    int failed = fuzz(strtod(argv[1], NULL), argc > 3 ? strtoull(argv[2], NULL, 10) : 1);
    for (size_t i = 0; i < seed_count; i++)
        at_free(seeds[i].bytes);
    if (!failed)
        unlink(crash_path);
    return failed;
}

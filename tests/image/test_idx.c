#include <string.h>
#include <zlib.h>
#include "base/file.h"
#include "base/memory.h"
#include "image/idx.h"
#include "tests/check.h"

/* Two pictures of 3 x 2. */
static const uint8_t images[] = {0, 0, 8, 3, 0, 0, 0, 2, 0, 0, 0, 2,  0,  0,
                                 0, 3, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12};
static const uint8_t labels[] = {0, 0, 8, 1, 0, 0, 0, 2, 7, 3};

static const char *put(const char *name, const uint8_t *bytes, size_t length)
{
    const char *path = check_path(name);
    check_ok(at_file_write(path, bytes, length));
    return path;
}

static const char *put_gzip(const char *name, const uint8_t *bytes, size_t length)
{
    const char *path = check_path(name);
    gzFile file = gzopen(path, "wb");
    assert_non_null(file);
    assert_int_equal(gzwrite(file, bytes, (unsigned)length), (int)length);
    gzclose(file);
    return path;
}

static void raw_and_gzip(void **state)
{
    (void)state;
    at_idx idx;
    for (int gzip = 0; gzip < 2; gzip++) {
        check_ok(
            at_idx_read((gzip ? put_gzip : put)("images", images, sizeof images), AT_IDX_IMAGES, 0, &idx));
        assert_int_equal(idx.count, 2);
        assert_int_equal(idx.height, 2);
        assert_int_equal(idx.width, 3);
        assert_memory_equal(idx.bytes, images + 16, 12);
        at_idx_free(&idx);
        check_ok(
            at_idx_read((gzip ? put_gzip : put)("labels", labels, sizeof labels), AT_IDX_LABELS, 0, &idx));
        assert_int_equal(idx.count, 2);
        assert_memory_equal(idx.bytes, labels + 8, 2);
        at_idx_free(&idx);
    }
}

/* More than the first part that is asked for, so that memory grows with the stream. */
static void a_large_file(void **state)
{
    (void)state;
    size_t count = 3000, bytes = 16 + count * 900;
    uint8_t *file = calloc(bytes, 1);
    memcpy(file, (uint8_t[]){0, 0, 8, 3, 0, 0, 3000 >> 8, 3000 & 255, 0, 0, 0, 30, 0, 0, 0, 30}, 16);
    for (size_t i = 16; i < bytes; i++)
        file[i] = (uint8_t)(i * 2654435761u >> 24);
    at_idx idx;
    check_ok(at_idx_read(put_gzip("large", file, bytes), AT_IDX_IMAGES, 0, &idx));
    assert_int_equal(idx.count, count);
    assert_memory_equal(idx.bytes, file + 16, bytes - 16);
    at_idx_free(&idx);
    check_fails(at_idx_read(check_path("large"), AT_IDX_IMAGES, 1000, &idx), AT_EFORMAT, "at most 1000");
    free(file);
}

static void expect_refused(const uint8_t *bytes, size_t length, at_idx_kind kind, const char *why)
{
    at_idx idx;
    for (int gzip = 0; gzip < 2; gzip++) {
        const char *path = (gzip ? put_gzip : put)("bad-idx", bytes, length);
        check_fails(at_idx_read(path, kind, 0, &idx), AT_EFORMAT, why);
        check_fails(at_fail_within(AT_EFORMAT, "seen"), AT_EFORMAT, "bad-idx");
        assert_null(idx.bytes);
    }
}

static void what_is_wrong_is_said(void **state)
{
    (void)state;
    uint8_t copy[sizeof images + 1] = {0};
    at_idx idx;
    for (size_t length = 0; length < sizeof images; length++)
        expect_refused(images, length, AT_IDX_IMAGES, NULL);
    memcpy(copy, images, sizeof images);
    expect_refused(copy, sizeof copy, AT_IDX_IMAGES, "goes on behind its 2 x 2 x 3 bytes");
    expect_refused(images, sizeof images, AT_IDX_LABELS, "3 dimensions; labels have 1");
    expect_refused(labels, sizeof labels, AT_IDX_IMAGES, "1 dimensions; pictures have 3");
    copy[2] = 0x0D;
    expect_refused(copy, sizeof images, AT_IDX_IMAGES, "type 0x0D; want unsigned bytes");
    copy[2] = 8;
    copy[0] = 'x';
    expect_refused(copy, sizeof images, AT_IDX_IMAGES, "not an IDX file");
    copy[0] = 0;
    copy[11] = 0;
    expect_refused(copy, sizeof images, AT_IDX_IMAGES, "no pixels");
    check_fails(at_idx_read(check_path("absent"), AT_IDX_IMAGES, 0, &idx), AT_EIO, "absent");
}

/* What is claimed is not asked for: neither 2^96 bytes, nor 2 GB that so small a file cannot hold. */
static void claims_cost_no_memory(void **state)
{
    (void)state;
    uint8_t copy[sizeof images];
    memcpy(copy, images, sizeof images);
    memset(copy + 4, 0xFF, 12);
    expect_refused(copy, sizeof copy, AT_IDX_IMAGES, "claims");
    memcpy(copy + 4, (uint8_t[]){0x7F, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0, 1}, 12);
    expect_refused(copy, sizeof copy, AT_IDX_IMAGES, "but is a file of");
    /* Within what gzip could make of it: read until it ends, with a first part only. */
    memcpy(copy + 4, (uint8_t[]){0, 0, 0x40, 0, 0, 0, 0, 1, 0, 0, 0, 1}, 12);
    at_idx idx;
    check_fails(at_idx_read(put_gzip("bad", copy, sizeof copy), AT_IDX_IMAGES, 0, &idx), AT_EFORMAT,
                "claims 16384 x 1 x 1 bytes, but ends after 12");
}

static void damaged_gzip(void **state)
{
    (void)state;
    const char *path = put_gzip("gz", images, sizeof images);
    char *bytes;
    size_t length;
    at_idx idx;
    check_ok(at_file_read(path, 1000, &bytes, &length));
    bytes[length - 6] ^= 1; /* the CRC */
    check_ok(at_file_write(path, bytes, length));
    check_fails(at_idx_read(path, AT_IDX_IMAGES, 0, &idx), AT_EFORMAT, "gzip");
    check_ok(at_file_write(path, bytes, length - 9));
    check_fails(at_idx_read(path, AT_IDX_IMAGES, 0, &idx), AT_EFORMAT, NULL);
    at_free(bytes);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(raw_and_gzip),          cmocka_unit_test(a_large_file),
        cmocka_unit_test(what_is_wrong_is_said), cmocka_unit_test(claims_cost_no_memory),
        cmocka_unit_test(damaged_gzip),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

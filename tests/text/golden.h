/* tests/text/golden.h - rows of a JSON array in tests/data/text. */
#ifndef AT_TESTS_TEXT_GOLDEN_H
#define AT_TESTS_TEXT_GOLDEN_H
#include "base/json.h"
#include "base/memory.h"
#include "tests/check.h"

static inline json_t *golden_rows(const char *name)
{
    char path[1024];
    json_t *rows;
    snprintf(path, sizeof path, "%s/text/%s", AT_TEST_DATA, name);
    check_ok(at_json_load(path, 1 << 22, &rows));
    assert_true(json_is_array(rows));
    assert_true(json_array_size(rows) > 0);
    return rows;
}

static inline const char *golden_text(const json_t *row, const char *key)
{
    const char *text = json_string_value(json_object_get(row, key));
    assert_non_null(text);
    return text;
}
#endif

#include "eval/points.h"

#include <string.h>
#include <utf8proc.h>

#include "base/memory.h"

enum { CAPITAL_I_WITH_DOT = 0x130, CAPITAL_SIGMA = 0x3A3, FINAL_SIGMA = 0x3C2, DOT_ABOVE = 0x307 };

/* Unicode's property Cased: letters that have case, and modifiers and squared or
 * circled letters that only look so. */
static bool is_cased(uint32_t point)
{
    utf8proc_int32_t p = (utf8proc_int32_t)point;
    switch (utf8proc_category(p)) {
    case UTF8PROC_CATEGORY_LU:
    case UTF8PROC_CATEGORY_LL:
    case UTF8PROC_CATEGORY_LT:
        return true;
    default:
        return utf8proc_tolower(p) != p || utf8proc_toupper(p) != p || point == 0xAA || point == 0xBA ||
               (point >= 0x2B0 && point <= 0x2B8) || (point >= 0x1D2C && point <= 0x1D6A) ||
               (point >= 0x1F130 && point <= 0x1F149) || (point >= 0x1F150 && point <= 0x1F169) ||
               (point >= 0x1F170 && point <= 0x1F189);
    }
}

/* Unicode's property Case_Ignorable: marks, modifiers, and what may stand inside a word. */
static bool is_case_ignorable(uint32_t point)
{
    static const uint32_t inside[] = {'\'',   '.',    ':',    0xB7,   0x387,  0x55F,  0x5F4,  0x2018, 0x2019,
                                      0x2024, 0x2027, 0xFE13, 0xFE52, 0xFE55, 0xFF07, 0xFF0E, 0xFF1A};
    switch (utf8proc_category((utf8proc_int32_t)point)) {
    case UTF8PROC_CATEGORY_MN:
    case UTF8PROC_CATEGORY_ME:
    case UTF8PROC_CATEGORY_CF:
    case UTF8PROC_CATEGORY_LM:
    case UTF8PROC_CATEGORY_SK:
        return true;
    default:
        break;
    }
    for (size_t i = 0; i < sizeof inside / sizeof inside[0]; i++)
        if (inside[i] == point)
            return true;
    return false;
}

/* A capital sigma ends its word if a cased letter precedes and none follows. */
static bool sigma_is_final(const at_points *points, size_t at)
{
    size_t i = at;
    while (i > 0 && is_case_ignorable(points->data[i - 1]))
        i--;
    if (i == 0 || !is_cased(points->data[i - 1]))
        return false;
    i = at + 1;
    while (i < points->length && is_case_ignorable(points->data[i]))
        i++;
    return i == points->length || !is_cased(points->data[i]);
}

void at_points_free(at_points *points)
{
    at_free(points->data);
    *points = (at_points){0};
}

void at_points_clear(at_points *points)
{
    points->length = 0;
    points->failed = false;
}

void at_points_push(at_points *points, uint32_t point)
{
    if (points->failed)
        return;
    if (points->length == points->capacity &&
        at_grow(&points->data, &points->capacity, points->length + 1, sizeof *points->data) != AT_OK) {
        points->failed = true;
        return;
    }
    points->data[points->length++] = point;
}

void at_points_swap(at_points *a, at_points *b)
{
    at_points other = *a;
    *a = *b;
    *b = other;
}

at_status at_points_status(const at_points *points)
{
    return points->failed ? AT_ENOMEM : AT_OK;
}

void at_points_decode(at_points *points, const char *text)
{
    const utf8proc_uint8_t *p = (const utf8proc_uint8_t *)text;
    size_t left = strlen(text);
    at_points_clear(points);
    while (left > 0) {
        utf8proc_int32_t point;
        utf8proc_ssize_t used = utf8proc_iterate(p, (utf8proc_ssize_t)left, &point);
        if (used <= 0) {
            point = 0xFFFD;
            used = 1;
        }
        at_points_push(points, (uint32_t)point);
        p += used;
        left -= (size_t)used;
    }
}

void at_points_lower(at_points *points, at_points *scratch)
{
    at_points_clear(scratch);
    scratch->failed = points->failed;
    for (size_t i = 0; i < points->length; i++) {
        uint32_t point = points->data[i];
        if (point == CAPITAL_I_WITH_DOT) {
            at_points_push(scratch, 'i');
            at_points_push(scratch, DOT_ABOVE);
        } else if (point == CAPITAL_SIGMA && sigma_is_final(points, i)) {
            at_points_push(scratch, FINAL_SIGMA);
        } else {
            at_points_push(scratch, (uint32_t)utf8proc_tolower((utf8proc_int32_t)point));
        }
    }
    at_points_swap(points, scratch);
}

void at_points_strip(at_points *points, bool both)
{
    size_t start = 0;
    while (points->length > 0 && at_point_is_space(points->data[points->length - 1]))
        points->length--;
    while (both && start < points->length && at_point_is_space(points->data[start]))
        start++;
    if (start > 0) {
        points->length -= start;
        memmove(points->data, points->data + start, points->length * sizeof *points->data);
    }
}

bool at_point_is_space(uint32_t point)
{
    if (point <= 0x20)
        return point == 0x20 || (point >= 0x09 && point <= 0x0D) || (point >= 0x1C && point <= 0x1F);
    return point == 0x85 || point == 0xA0 || point == 0x1680 || (point >= 0x2000 && point <= 0x200A) ||
           point == 0x2028 || point == 0x2029 || point == 0x202F || point == 0x205F || point == 0x3000;
}

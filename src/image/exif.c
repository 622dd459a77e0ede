#include "image/internal.h"

enum { ORIENTATION = 0x0112, SHORT = 3, ENTRY = 12 };

typedef struct tiff {
    const unsigned char *bytes;
    size_t length;
    bool big; /* byte order */
} tiff;

static uint32_t number(const tiff *t, size_t at, size_t size)
{
    uint32_t value = 0;
    for (size_t i = 0; i < size; i++)
        value = (value << 8) | t->bytes[at + (t->big ? i : size - 1 - i)];
    return value;
}

/* The first directory of the block; its offset and its number of entries are the file's claims. */
int at_exif_orientation(const unsigned char *bytes, size_t length)
{
    if (length < 8 || bytes[0] != bytes[1] || (bytes[0] != 'I' && bytes[0] != 'M'))
        return 1;
    tiff t = {.bytes = bytes, .length = length, .big = bytes[0] == 'M'};
    size_t directory = number(&t, 4, 4);
    if (number(&t, 2, 2) != 42 || directory > length - 2)
        return 1;
    size_t entries = number(&t, directory, 2), room = (length - directory - 2) / ENTRY;
    for (size_t i = 0; i < entries && i < room; i++) {
        size_t at = directory + 2 + i * ENTRY;
        if (number(&t, at, 2) != ORIENTATION)
            continue;
        uint32_t value = number(&t, at + 8, 2);
        bool sound = number(&t, at + 2, 2) == SHORT && number(&t, at + 4, 4) == 1;
        return sound && value >= 1 && value <= 8 ? (int)value : 1;
    }
    return 1;
}

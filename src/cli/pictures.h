/* cli/pictures.h - words of a command line that name pictures.
 *
 * Role    A file, a folder of files, an IDX file (its name ends with idx3-ubyte, with .gz or without), or
 *         FILE:NUMBER, one picture of an IDX file, from 0.
 * Owns    The set is the caller's: at_picture_set_free, also after an error.
 * Errors  Those of image/folder.h; AT_EARG for a number that the file does not have.
 *
 *     at_picture_set set = {0};
 *     at_cli_pictures these;
 *     at_status st = at_cli_open_pictures("t10k-images-idx3-ubyte.gz:17", &set, &these);
 */
#ifndef AT_CLI_PICTURES_H
#define AT_CLI_PICTURES_H
#include "image/folder.h"

/* Which pictures of the set are meant. */
typedef struct at_cli_pictures {
    size_t first, count;
} at_cli_pictures;

/* The file of such a word, without the number; NULL: no memory. The caller frees it (at_free). */
char *at_cli_pictures_file(const char *word);
at_status at_cli_open_pictures(const char *word, at_picture_set *set, at_cli_pictures *these);
#endif

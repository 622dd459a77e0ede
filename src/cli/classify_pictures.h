/* cli/classify_pictures.h - classify with a model of pictures: files, folders, lists; text, CSV, JSON.
 *
 * Role    Each word is a file or a folder, whose files are found however deep they lie; "-", or no word:
 *         paths from standard input, one a line. A broken file is named on standard error and counted.
 * Owns    Nothing.
 * Errors  AT_EFORMAT with `strict` for the first broken file, or when none could be read.
 *
 *     if (at_classifier_sees(classifier))
 *         st = at_cli_classify_pictures(classifier, &request);
 */
#ifndef AT_CLI_CLASSIFY_PICTURES_H
#define AT_CLI_CLASSIFY_PICTURES_H
#include "attend.h"
#include "cli/options.h"

typedef struct at_classify_request {
    const char *model;
    const at_cli_spec *spec; /* whose notes */
    const at_cli_words *words;
    size_t top;
    int batch;
    size_t max_pixels;
    bool json, csv, strict, quiet;
} at_classify_request;

at_status at_cli_classify_pictures(at_classifier *classifier, const at_classify_request *request);

/* The first `top` labels by probability into `order`, among equals the lower number first; how many. */
size_t at_cli_rank(const float *probabilities, size_t count, size_t top, size_t *order);
#endif

/* cli/show_glimpses.h - show for models that look at a few places of a picture.
 *
 * Role    Follows the model's gaze over one picture and draws it: SVG, PNG, a list of places in the terminal,
 *         JSON.
 * Owns    Nothing.
 * Errors  Those of task/glimpses.h; AT_EARG for a number that an IDX file does not have.
 *
 *     at_cli_gaze gaze = {.model = "models/mnist-glimpses", .picture = "digit.png", .svg = "path.svg"};
 *     at_status st = at_cli_show_glimpses(&gaze, &common);
 */
#ifndef AT_CLI_SHOW_GLIMPSES_H
#define AT_CLI_SHOW_GLIMPSES_H
#include "cli/options.h"

typedef struct at_cli_gaze {
    const char *model;
    const char *picture;   /* a JPEG or PNG; or FILE:NUMBER, a picture of an IDX file, from 0 */
    const char *svg, *png; /* NULL: none */
    bool term;             /* the list even when a file is written */
    size_t samples;        /* 0 and 1: the places that the model thinks best */
} at_cli_gaze;

at_status at_cli_show_glimpses(const at_cli_gaze *gaze, const at_cli_common *common);
#endif

/* cli/show_photo.h - attend show of a picture: where a model of pictures looked. */
#ifndef AT_CLI_SHOW_PHOTO_H
#define AT_CLI_SHOW_PHOTO_H
#include "cli/options.h"

typedef struct at_cli_photo {
    const char *model, *path;
    const char *svg, *png, *html; /* files to write; NULL: not wanted */
    const char *query;            /* "x,y", a patch; NULL: the model itself looks */
    bool weighted, rollout;
    bool alike;      /* not what the patch of `query` looks at, but which patches are like it */
    int layer, head; /* or AT_MEAN, AT_OWN */
    int64_t max_pixels;
} at_cli_photo;

at_status at_cli_show_photo(const at_cli_photo *photo, const at_cli_common *common);
#endif

/* image/idx.h - IDX files, the format of MNIST: pictures or labels as plain bytes, raw or gzip.
 *
 * Role    Reads (N, H, W) pictures and (N) labels. What the head claims is held against what the file can
 *         hold before memory is asked for, and memory grows with what the stream really gives.
 * Owns    Its bytes: at_idx_free. Zero-initialise; a reader that fails leaves it empty.
 * Shapes  pictures: bytes (count, height, width). labels: bytes (count), height and width 1.
 * Errors  All name the file. AT_EIO; AT_EFORMAT: no IDX, other numbers than unsigned bytes, another rank,
 *         more or fewer bytes than the head says, a size above max_bytes; AT_ENOMEM.
 *
 *     at_idx pictures = {0}, labels = {0};
 *     at_status st = at_idx_read("train-images-idx3-ubyte.gz", AT_IDX_IMAGES, 0, &pictures);
 *     if (st == AT_OK)
 *         st = at_idx_read("train-labels-idx1-ubyte.gz", AT_IDX_LABELS, 0, &labels);
 */
#ifndef AT_IMAGE_IDX_H
#define AT_IMAGE_IDX_H
#include "base/status.h"

#define AT_IDX_MAX_BYTES ((size_t)4 << 30)

typedef enum at_idx_kind { AT_IDX_LABELS = 1, AT_IDX_IMAGES = 3 } at_idx_kind; /* their rank */

typedef struct at_idx {
    size_t count, height, width;
    uint8_t *bytes;
} at_idx;

/* max_bytes 0: AT_IDX_MAX_BYTES. */
at_status at_idx_read(const char *path, at_idx_kind kind, size_t max_bytes, at_idx *idx);
void at_idx_free(at_idx *idx);
#endif

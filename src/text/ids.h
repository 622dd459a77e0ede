/* text/ids.h - a growing row of token ids.
 *
 * Role    What tokenizers give and decoders take.
 * Owns    Its memory; at_ids_free. Zero-initialise. Clearing keeps the memory.
 * Errors  AT_ENOMEM; the ids that were there stay.
 *
 *     at_ids ids = {0};
 *     at_status st = at_tokenizer_encode(tokenizer, line, length, NULL, &ids);
 *     at_ids_free(&ids);
 */
#ifndef AT_TEXT_IDS_H
#define AT_TEXT_IDS_H
#include "base/status.h"

typedef struct at_ids {
    int32_t *id;
    size_t count, capacity;
} at_ids;

at_status at_ids_push(at_ids *ids, int32_t id);
at_status at_ids_append(at_ids *ids, const int32_t *id, size_t count);
void at_ids_clear(at_ids *ids);
void at_ids_free(at_ids *ids);
#endif

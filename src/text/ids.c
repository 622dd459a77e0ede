#include "text/ids.h"
#include <string.h>
#include "base/memory.h"

at_status at_ids_push(at_ids *ids, int32_t id)
{
    if (ids->count == ids->capacity) {
        at_status st = at_grow(&ids->id, &ids->capacity, ids->count + 1, sizeof *ids->id);
        if (st != AT_OK)
            return st;
    }
    ids->id[ids->count++] = id;
    return AT_OK;
}

at_status at_ids_append(at_ids *ids, const int32_t *id, size_t count)
{
    size_t need;
    if (!at_add_ok(ids->count, count, &need))
        return at_fail(AT_ENOMEM, "out of memory: too many token ids");
    at_status st = at_grow(&ids->id, &ids->capacity, need, sizeof *ids->id);
    if (st != AT_OK || count == 0)
        return st;
    memcpy(ids->id + ids->count, id, count * sizeof *id);
    ids->count = need;
    return AT_OK;
}

void at_ids_clear(at_ids *ids)
{
    ids->count = 0;
}

void at_ids_free(at_ids *ids)
{
    at_free(ids->id);
    *ids = (at_ids){0};
}

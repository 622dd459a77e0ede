#include "task/begin.h"
#include <string.h>
#include "text/utf8.h"

at_status at_begin_find(const at_folder *folder, at_begin *begin)
{
    const at_tokenizer *t = folder->tokenizer;
    const char *text = json_string_value(json_object_get(folder->data, "begin"));
    int32_t id = text ? at_tokenizer_find(t, text, strlen(text)) : at_tokenizer_bos(t);
    if (id < 0)
        id = at_tokenizer_eos(t);
    *begin = (at_begin){id, id >= 0 && at_tokenizer_is_special(t, id)};
    return id < (int32_t)folder->model->vocabulary.target
               ? AT_OK
               : at_fail(AT_EFORMAT, "config.json: attend.data.begin: no piece of the model");
}

at_status at_begin_encode(const at_folder *folder, const at_begin *begin, const char *text, size_t length,
                          at_ids *ids)
{
    size_t valid = at_utf8_valid(text, length);
    if (valid < length)
        return at_fail(AT_EFORMAT, "invalid UTF-8 at byte %zu", valid + 1);
    at_status st = AT_OK;
    if (begin->always || length == 0) {
        if (begin->id < 0)
            return at_fail(AT_ENOSUP, "this model has no piece to begin with: give it a prompt");
        st = at_ids_push(ids, begin->id);
    }
    return st == AT_OK && length ? at_tokenizer_encode(folder->tokenizer, text, length, NULL, ids) : st;
}

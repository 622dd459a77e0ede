/* task/begin.h - what the texts of a decoder alone begin behind. Private to task/.
 *
 * Role    A text is said after something: <s>, the end of the text before, or its own first piece. Which
 *         it is a model learned from its data ("attend.data.begin" in config.json), or its tokenizer's
 *         kind has it.
 * Owns    Nothing.
 * Errors  AT_EFORMAT for a piece that the model does not have, and for invalid UTF-8; AT_ENOSUP for an empty
 *         text where there is nothing to begin with.
 *
 *     at_begin begin;
 *     at_status st = at_begin_find(folder, &begin);
 *     st = at_begin_encode(folder, &begin, text, strlen(text), &ids);
 */
#ifndef AT_TASK_BEGIN_H
#define AT_TASK_BEGIN_H
#include "store/folder.h"

typedef struct at_begin {
    int32_t id;  /* what an empty text is; -1: there is none */
    bool always; /* a special piece: before every text */
} at_begin;

at_status at_begin_find(const at_folder *folder, at_begin *begin);
/* Appends the ids of a text, what it begins behind included. */
at_status at_begin_encode(const at_folder *folder, const at_begin *begin, const char *text, size_t length,
                          at_ids *ids);
#endif

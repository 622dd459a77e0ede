/* Words that the target vocabulary lacks, copied from the source. Luong et al. 2015, arXiv:1410.8206; by the
 * attention's own weights as in Jean et al. 2015, arXiv:1412.2007, section 3.2. */
#include "base/memory.h"
#include "task/internal.h"

/* The source word that row looks at most; special tokens have no place in the line. */
static size_t most(const float *row, const at_word_span *spans, size_t count)
{
    size_t best = SIZE_MAX;
    for (size_t j = 0; j < count; j++) {
        if (spans[j].begin < spans[j].end && (best == SIZE_MAX || row[j] > row[best]))
            best = j;
    }
    return best;
}

/* Copies for the unknown pieces; the others stay NULL. */
static at_status copy_words(const at_translator *t, const at_looked *looked, const at_pair *pair,
                            const char *raw, char **instead)
{
    const at_words *columns = &looked->column_words;
    at_word_span *spans = at_alloc_zero(columns->count + 1, sizeof *spans);
    at_status st =
        spans ? at_words_origin(t->folder->tokenizer, pair->source.id, columns, raw, spans) : AT_ENOMEM;
    for (size_t i = 0; i < pair->target.count && st == AT_OK; i++) {
        if (pair->target.id[i] != t->folder->model->vocabulary.unk)
            continue;
        const float *row = looked->weights + (size_t)looked->row_words.word[i] * columns->count;
        size_t j = most(row, spans, columns->count);
        if (j == SIZE_MAX)
            continue;
        instead[i] = at_strndup(raw + spans[j].begin, spans[j].end - spans[j].begin);
        st = instead[i] ? AT_OK : AT_ENOMEM;
    }
    at_free(spans);
    return st;
}

at_status at_spell_unknown(at_translator *t, const at_look *look, const at_pair *pair, const char *raw,
                           at_buf *text)
{
    at_look words = *look;
    words.unit = AT_UNIT_WORD;
    at_looked looked;
    at_status st = at_look_at(t, &words, pair, 1, &looked);
    if (st != AT_OK)
        return st;
    size_t count = pair->target.count;
    char **instead = at_alloc_zero(count + 1, sizeof *instead);
    st = instead ? copy_words(t, &looked, pair, raw, instead) : AT_ENOMEM;
    if (st == AT_OK)
        st = at_spell_instead(t, pair->target.id, count, (const char *const *)instead, text);
    for (size_t i = 0; i < count && instead; i++)
        at_free(instead[i]);
    at_free(instead);
    at_looked_free(&looked);
    return st;
}

/* Lines made ready for a model: preprocessed, in pieces, cut where the model's reach ends. */
#include <math.h>
#include <string.h>
#include "base/memory.h"
#include "task/internal.h"
#include "text/utf8.h"

static size_t reach(const at_translator *t)
{
    size_t most = at_model_reach(t->folder->model);
    return most > 0 ? most : SIZE_MAX;
}

static at_status add(at_segments *segments, size_t line, const char *text, size_t length, at_ids *ids)
{
    char *copy = at_strndup(text, length);
    at_status st =
        copy ? at_grow(&segments->list, &segments->capacity, segments->count + 1, sizeof *segments->list)
             : AT_ENOMEM;
    if (st == AT_OK) {
        segments->list[segments->count++] = (at_segment){line, *ids, copy};
    } else {
        at_ids_free(ids);
        at_free(copy);
    }
    return st;
}

enum cut { ANYWHERE, SPACE, CLAUSE_END, SENTENCE_END };

/* "Mr.", "Dr.", "St.": a capital and at most two letters before the full stop end no sentence, as a rule. */
static bool is_abbreviation(const char *text, size_t stop)
{
    size_t begin = stop;
    while (begin > 0 && text[begin - 1] != ' ')
        begin--;
    return stop - begin <= 3 && text[begin] >= 'A' && text[begin] <= 'Z';
}

/* How good a place for a cut lies behind byte i-1. */
static int cut_rank(const char *text, size_t length, size_t i)
{
    static const char *const ends[] = {"。", "！", "？", "…"}, *const clauses[] = {"，", "；", "：", "、"};
    bool space = i < length && text[i] == ' ';
    if (space && strchr(".!?", text[i - 1]))
        return text[i - 1] == '.' && is_abbreviation(text, i - 1) ? SPACE : SENTENCE_END;
    for (size_t j = 0; j < 4; j++) {
        if (i >= 3 && memcmp(text + i - 3, ends[j], 3) == 0)
            return SENTENCE_END;
        if (i >= 3 && memcmp(text + i - 3, clauses[j], 3) == 0)
            return CLAUSE_END;
    }
    if (space && strchr(",;:", text[i - 1]))
        return CLAUSE_END;
    return space ? SPACE : ANYWHERE;
}

/* The best place to cut, and of equals the one nearest to the middle; never inside a character. */
static size_t find_cut(const char *text, size_t length, int *best_rank)
{
    size_t best = 0, middle = length / 2;
    *best_rank = -1;
    for (size_t i = 1; i < length; i++) {
        if (((unsigned char)text[i] & 0xc0) == 0x80)
            continue;
        size_t far = i > middle ? i - middle : middle - i,
               best_far = best > middle ? best - middle : middle - best;
        int rank = cut_rank(text, length, i);
        if (rank > *best_rank || (rank == *best_rank && far < best_far)) {
            best = i;
            *best_rank = rank;
        }
    }
    return best;
}

/* A text that is too long is cut at a sentence's end if it has one, and then its parts at all of theirs: a
 * model has learned from sentences. Otherwise parts are only as short as they must be. */
static at_status add_part(const at_translator *t, size_t line, const char *text, size_t length,
                          bool sentences, at_segments *segments)
{
    while (length > 0 && text[0] == ' ')
        text++, length--;
    at_ids ids = {0};
    at_status st =
        at_tokenizer_encode(t->folder->tokenizer, text, length, &(at_encoding){.close = true}, &ids);
    if (st != AT_OK || length == 0) {
        at_ids_free(&ids);
        return st;
    }
    bool too_long = ids.count > reach(t);
    int rank = -1;
    size_t cut = too_long || sentences ? find_cut(text, length, &rank) : 0;
    sentences = rank == SENTENCE_END;
    if (cut == 0 || !(too_long || sentences)) {
        if (too_long) { /* one character of more pieces than the model reaches: what fits, and the end */
            ids.id[reach(t) - 1] = ids.id[ids.count - 1];
            ids.count = reach(t);
        }
        return add(segments, line, text, length, &ids);
    }
    at_ids_free(&ids);
    st = add_part(t, line, text, cut, sentences, segments);
    return st == AT_OK ? add_part(t, line, text + cut, length - cut, sentences, segments) : st;
}

at_status at_segments_add(const at_translator *t, bool source, size_t line, const char *text,
                          at_segments *segments)
{
    at_buf ready = {0};
    at_status st = at_preprocess_apply(&t->preprocess, source, text, &ready);
    if (st == AT_OK)
        st = at_buf_status(&ready);
    if (st == AT_OK) {
        while (ready.length > 0 && strchr(" \t\r\n", ready.data[ready.length - 1]))
            ready.data[--ready.length] = '\0';
        if (ready.length > 0)
            st = add_part(t, line, ready.data, ready.length, false, segments);
    }
    at_buf_free(&ready);
    return st;
}

void at_segments_free(at_segments *segments)
{
    for (size_t i = 0; i < segments->count; i++) {
        at_ids_free(&segments->list[i].ids);
        at_free(segments->list[i].text);
    }
    at_free(segments->list);
    *segments = (at_segments){0};
}

at_status at_expect_finite(const at_hypotheses *found)
{
    for (size_t i = 0; i < found->count; i++) {
        if (!isfinite((double)found->list[i].log_probability))
            return at_fail(AT_ENUMBER,
                           "the model's probabilities are no finite numbers: it is damaged, or its training "
                           "failed; `attend info --check FOLDER` looks for the tensor");
    }
    return AT_OK;
}

/* Pieces are bytes: a model may say half a character, or the end of a line. One line of valid UTF-8 comes
 * out. */
static void clean(const at_buf *raw, at_buf *line)
{
    for (size_t i = 0, step; i < raw->length; i += step) {
        uint32_t c;
        step = at_utf8_decode(raw->data + i, raw->length - i, &c);
        if (step == 0) {
            at_utf8_put(line, 0xfffd);
            step = 1;
        } else if (c < 0x20 && c != '\t') {
            at_buf_char(line, ' ');
        } else {
            at_buf_bytes(line, raw->data + i, step);
        }
    }
}

at_status at_spell_instead(const at_translator *t, const int32_t *ids, size_t count,
                           const char *const *instead, at_buf *text)
{
    at_buf raw = {0}, line = {0};
    at_status st = AT_OK;
    for (size_t i = 0, end; i < count && st == AT_OK; i = end) {
        end = i + 1;
        if (instead && instead[i]) {
            if (raw.length > 0 && raw.data[raw.length - 1] != ' ')
                at_buf_char(&raw, ' ');
            at_buf_text(&raw, instead[i]);
            continue;
        }
        while (end < count && !(instead && instead[end]))
            end++;
        st = at_tokenizer_decode(t->folder->tokenizer, ids + i, end - i, true, &raw);
    }
    if (st == AT_OK) {
        clean(&raw, &line);
        st = at_buf_status(&line);
    }
    if (st == AT_OK)
        st = at_preprocess_undo(&t->preprocess, line.data ? line.data : "", text);
    at_buf_free(&raw);
    at_buf_free(&line);
    return st == AT_OK ? at_buf_status(text) : st;
}

at_status at_spell(const at_translator *t, const int32_t *ids, size_t count, at_buf *text)
{
    return at_spell_instead(t, ids, count, NULL, text);
}

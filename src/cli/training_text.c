/* A training whose data is one text: learning its pieces, its ids in OUT/data, its loaders. */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include "base/file.h"
#include "base/memory.h"
#include "cli/training.h"

static at_texts_spec texts_of(const at_training *t, bool valid)
{
    bool part = t->data.valid_part > 0;
    return (at_texts_spec){.folder = t->folder,
                           .split = valid && !part ? t->data.valid : t->data.train,
                           .document = t->data.document,
                           .from = valid && part ? 1 - t->data.valid_part : 0,
                           .to = !valid && part ? 1 - t->data.valid_part : 1};
}

static bool has_valid(const at_training *t)
{
    return t->data.valid_part > 0 || (t->data.valid && *t->data.valid);
}

static at_status learn_chunk(void *learner, const char *text, size_t length, bool end)
{
    (void)end;
    return at_learner_line(learner, text, length);
}

at_status at_training_learn_text(at_training *t, at_learner *learner)
{
    if (at_preprocess_any(&t->preprocess))
        return at_fail(AT_EARG, "tokenizer.preprocess is for pairs of lines: a text is learnt as it is");
    at_texts_spec spec = texts_of(t, false);
    return at_texts_each(&spec, learn_chunk, learner);
}

/* OUT/data/NAME.tokens: written unless a training goes on with the one it has. */
static at_status get_tokens(at_training *t, const at_training_place *place, bool valid, at_tokens *tokens)
{
    at_tokens_spec spec = {.texts = texts_of(t, valid),
                           .tokenizer = t->tokenizer,
                           .documents = t->data.layout == AT_LAYOUT_DOCUMENTS};
    char *folder = at_path_join(place->out, "data");
    char *path = folder ? at_path_join(folder, valid ? "valid.tokens" : "train.tokens") : NULL;
    at_status st = path ? at_make_folder(folder) : AT_ENOMEM;
    if (st == AT_OK && !(place->resume && at_file_exists(path)))
        st = at_tokens_write(&spec, path);
    if (st == AT_OK)
        st = at_tokens_open(path, tokens);
    at_free(path);
    at_free(folder);
    return st;
}

static at_status get_loader(at_training *t, bool valid, const at_log *log, at_loader **loader)
{
    const at_tokens *tokens = valid ? &t->valid_tokens : &t->train_tokens;
    at_loader_options options =
        at_loader_options_from(&t->data, at_tokenizer_bos(t->tokenizer), (uint64_t)t->train.seed);
    size_t window = (size_t)t->data.max_length, left_out = 0;
    options.shuffle = options.shuffle && !valid;
    at_status st;
    if (t->data.layout == AT_LAYOUT_STREAM) {
        size_t windows = options.batch_tokens / window;
        if (options.batch_pairs && (options.batch_pairs < windows || !options.batch_tokens))
            windows = options.batch_pairs;
        at_stream_options stream = {window, windows ? windows : 1, options.shuffle, options.seed};
        st = at_stream_loader_new(tokens, &stream, loader);
    } else {
        at_document_options documents = {options, window, t->data.too_long == AT_TOO_LONG_TRUNCATE};
        st = at_document_loader_new(tokens, &documents, loader, &left_out);
    }
    if (st == AT_OK)
        at_log_line(log, "%s: %zu characters, %zu pieces, %zu documents; %zu longer than %zu pieces %s",
                    valid ? "validation" : "training", tokens->characters, tokens->count, tokens->documents,
                    left_out, window, t->data.too_long == AT_TOO_LONG_TRUNCATE ? "cut" : "dropped");
    return st;
}

at_status at_training_load_text(at_training *t, const at_training_place *place, const at_log *log)
{
    at_status st = get_tokens(t, place, false, &t->train_tokens);
    if (st == AT_OK)
        st = get_loader(t, false, log, &t->train_loader);
    snprintf(t->data_mark, sizeof t->data_mark, "%zu pieces, checksum %08" PRIx32, t->train_tokens.count,
             t->train_tokens.mark);
    if (st == AT_OK && has_valid(t))
        st = get_tokens(t, place, true, &t->valid_tokens);
    return st == AT_OK && has_valid(t) ? get_loader(t, true, log, &t->valid_loader) : st;
}

json_t *at_training_text_section(const at_training *t)
{
    bool documents = t->data.layout == AT_LAYOUT_DOCUMENTS;
    const char *begin = documents ? "<s>" : t->train_tokens.documents > 1 ? "</s>" : "\n";
    static const char *const kinds[] = {"file", "paragraph", "line"};
    return json_pack("{s:s, s:s, s:s}", "layout", documents ? "documents" : "stream", "document",
                     kinds[t->data.document], "begin", begin);
}

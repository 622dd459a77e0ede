/* A text's parts and documents, ids in a file, windows and documents as batches. */
#include <string.h>
#include "base/memory.h"
#include "data/tokens.h"
#include "tests/batches/corpus.h"
#include "text/train.h"

static at_tokenizer *tokenizer; /* bytes */
static at_arena *arena;

static int begin(void **state)
{
    (void)state;
    at_learner *learner;
    at_tokenizer_options options = {.type = AT_TYPE_BYTE};
    check_ok(at_learner_new(&options, &learner));
    check_ok(at_learner_finish(learner, &tokenizer));
    at_learner_free(learner);
    assert_int_equal(at_tokenizer_size(tokenizer), 260);
    arena = at_arena_new();
    assert_non_null(arena);
    return 0;
}

static int end(void **state)
{
    (void)state;
    at_arena_free(arena);
    at_tokenizer_free(tokenizer);
    return 0;
}

static void put_text(const char *name, const char *text)
{
    check_ok(at_file_write(check_path(name), text, strlen(text)));
}

/* Chunks joined, "|" where a document ends. */
static at_status join(void *context, const char *text, size_t length, bool document_ends)
{
    at_buf_bytes(context, text, length);
    if (document_ends)
        at_buf_char(context, '|');
    return AT_OK;
}

static void check_texts(const char *split, int64_t document, double from, double to, const char *want)
{
    at_buf got = {0};
    at_texts_spec spec = {check_folder(), split, document, from, to};
    check_ok(at_texts_each(&spec, join, &got));
    at_buf_char(&got, '\0');
    assert_string_equal(got.data, want);
    at_buf_free(&got);
}

static void parts_and_documents(void **state)
{
    (void)state;
    put_text("one.txt", "ab\xc3\xa9\nx\n\n\nlast\n"); /* 13 characters */
    put_text("two.txt", "second\r\nfile");
    check_texts("one", AT_DOCUMENT_FILE, 0, 1, "ab\xc3\xa9\nx\n\n\nlast\n|");
    check_texts("one,two", AT_DOCUMENT_FILE, 0, 1, "ab\xc3\xa9\nx\n\n\nlast\n|second\nfile\n|");
    check_texts("one", AT_DOCUMENT_FILE, 0, 0.25, "ab\xc3\xa9"); /* int(13 * 0.25) = 3 */
    check_texts("one", AT_DOCUMENT_FILE, 0.25, 1, "\nx\n\n\nlast\n|");
    check_texts("one", AT_DOCUMENT_FILE, 0.25, 0.5, "\nx\n");
    check_texts("one,two", AT_DOCUMENT_LINE, 0, 1, "ab\xc3\xa9|x|last|second|file|");
    check_texts("one", AT_DOCUMENT_LINE, 0, 0.3, "ab\xc3\xa9|");
    check_texts("one", AT_DOCUMENT_LINE, 0.3, 1, "x|last|");
    check_texts("one,two", AT_DOCUMENT_PARAGRAPH, 0, 1, "ab\xc3\xa9\nx|last|second\nfile|");
    at_texts_spec missing = {check_folder(), "none", AT_DOCUMENT_FILE, 0, 1};
    check_fails(at_texts_each(&missing, join, NULL), AT_EIO, "neither none.txt nor none.txt.gz");
    put_text("bad.txt", "fine\nb\xff\n");
    at_buf got = {0};
    missing.split = "bad";
    check_fails(at_texts_each(&missing, join, &got), AT_EFORMAT, "bad.txt:2");
    at_buf_free(&got);
}

typedef struct encoding {
    const at_tokenizer *t;
    at_ids ids;
    size_t chunks;
} encoding;

static at_status encode_chunk(void *context, const char *text, size_t length, bool document_ends)
{
    (void)document_ends;
    encoding *e = context;
    e->chunks++;
    return at_tokenizer_encode(e->t, text, length, NULL, &e->ids);
}

/* A text that comes in several chunks has the ids of the whole, spaces and empty lines at every place. */
static void chunks_do_not_change_ids(void **state)
{
    (void)state;
    at_tokenizer *bpe;
    at_learner *learner;
    at_tokenizer_options options = {.type = AT_TYPE_BPE, .vocab_size = 300};
    at_buf text = {0};
    for (int i = 0; i < 30000; i++)
        at_buf_text(&text, i % 7 == 3   ? "word  \n"
                           : i % 5 == 1 ? "\n\n"
                           : i % 3      ? "  some words\n"
                                        : "tail\n");
    check_ok(at_file_write(check_path("long.txt"), text.data, text.length));
    check_ok(at_learner_new(&options, &learner));
    check_ok(at_learner_line(learner, text.data, 2000));
    check_ok(at_learner_finish(learner, &bpe));
    at_learner_free(learner);
    encoding parts = {.t = bpe};
    at_ids whole = {0};
    at_texts_spec spec = {check_folder(), "long", AT_DOCUMENT_FILE, 0, 1};
    check_ok(at_texts_each(&spec, encode_chunk, &parts));
    check_ok(at_tokenizer_encode(bpe, text.data, text.length, NULL, &whole));
    assert_true(parts.chunks > 2);
    assert_int_equal(parts.ids.count, whole.count);
    assert_memory_equal(parts.ids.id, whole.id, whole.count * sizeof *whole.id);
    at_ids_free(&parts.ids);
    at_ids_free(&whole);
    at_buf_free(&text);
    at_tokenizer_free(bpe);
}

static void write_tokens(const char *split, int64_t document, bool documents, at_tokens *tokens)
{
    at_tokens_spec spec = {{check_folder(), split, document, 0, 1}, tokenizer, documents};
    check_ok(at_tokens_write(&spec, check_path("ids.tokens")));
    check_ok(at_tokens_open(check_path("ids.tokens"), tokens));
}

static void files_of_ids(void **state)
{
    (void)state;
    put_text("a.txt", "one\ntwo\n\nthree\n");
    at_tokens tokens, again;
    int32_t ids[64];
    write_tokens("a", AT_DOCUMENT_LINE, false, &tokens); /* one </s> two </s> three */
    assert_int_equal(tokens.count, 3 + 1 + 3 + 1 + 5);
    assert_int_equal(tokens.documents, 3);
    assert_int_equal(tokens.characters, 11);
    assert_int_equal(tokens.width, 2);
    at_tokens_read(&tokens, 0, tokens.count, ids);
    assert_int_equal(ids[3], AT_ID_EOS);
    assert_int_equal(ids[7], AT_ID_EOS);
    assert_int_equal(ids[8], at_tokenizer_find(tokenizer, "t", 1));
    uint32_t mark = tokens.mark;
    at_tokens_close(&tokens);
    write_tokens("a", AT_DOCUMENT_LINE, true, &tokens); /* … three </s> */
    assert_int_equal(tokens.count, 14);
    assert_int_not_equal(tokens.mark, mark);
    size_t size = tokens.map.size;
    at_tokens_close(&tokens);
    char *bytes;
    size_t length;
    check_ok(at_file_read(check_path("ids.tokens"), 1 << 20, &bytes, &length));
    assert_int_equal(length, size);
    for (size_t cut = 0; cut < length; cut += 7) {
        check_ok(at_file_write(check_path("cut.tokens"), bytes + cut, length - cut - (cut == 0)));
        check_fails(at_tokens_open(check_path("cut.tokens"), &again), AT_EFORMAT, "cut.tokens");
    }
    at_free(bytes);
    put_text("tiny.txt", "x");
    at_tokens_spec tiny = {{check_folder(), "tiny", AT_DOCUMENT_LINE, 0, 1}, tokenizer, false};
    check_fails(at_tokens_write(&tiny, check_path("tiny.tokens")), AT_EFORMAT, "two at least");
    assert_false(at_file_exists(check_path("tiny.tokens")));
}

/* Every prediction once; with shuffle all but what the first place and the rest leave. */
static void windows_of_a_stream(void **state)
{
    (void)state;
    char text[102] = {0};
    for (int i = 0; i < 100; i++)
        text[i] = (char)('!' + i % 90);
    put_text("s.txt", text); /* 100 characters, and a line end */
    at_tokens tokens;
    int32_t ids[101];
    write_tokens("s", AT_DOCUMENT_FILE, false, &tokens);
    assert_int_equal(tokens.count, 101);
    at_tokens_read(&tokens, 0, 101, ids);
    for (int shuffle = 0; shuffle < 2; shuffle++) {
        at_stream_options options = {8, 3, shuffle != 0, 5};
        at_loader *loader;
        check_ok(at_stream_loader_new(&tokens, &options, &loader));
        size_t first_of_epoch[2] = {0};
        for (int epoch = 0; epoch < 2; epoch++) {
            size_t seen = 0, least = 101, most = 0;
            at_batch batch;
            for (;;) {
                at_arena_reset(arena);
                check_ok(at_loader_next(loader, arena, &batch));
                if (!at_batch_count(&batch))
                    break;
                assert_int_equal(batch.source.count, 0);
                assert_true(batch.target.count <= 3);
                for (size_t b = 0; b < batch.target.count; b++) {
                    size_t n = (size_t)(batch.target.offsets[b + 1] - batch.target.offsets[b]);
                    const int32_t *in = batch.target_in + batch.target.offsets[b];
                    const int32_t *out = batch.target_out + batch.target.offsets[b];
                    size_t at = 0;
                    while (at + n < 101 && (memcmp(ids + at, in, n * sizeof *in) != 0 ||
                                            memcmp(ids + at + 1, out, n * sizeof *out) != 0))
                        at++;
                    assert_true(at + n < 101);
                    assert_true(shuffle ? n == 8 : n == 8 || at == 96);
                    seen += n;
                    least = at < least ? at : least;
                    most = at + n > most ? at + n : most;
                }
            }
            first_of_epoch[epoch] = least;
            assert_true(shuffle ? least < 8 && most > 92 && seen == most - least : seen == 100);
        }
        if (shuffle)
            assert_int_not_equal(first_of_epoch[0], first_of_epoch[1]);
        at_loader_free(loader);
    }
    at_tokens_close(&tokens);
}

static void a_cursor_restores_the_order(void **state)
{
    (void)state;
    at_tokens tokens;
    put_text("c.txt", "the quick brown fox jumps over the lazy dog, and the dog sleeps on\n");
    write_tokens("c", AT_DOCUMENT_FILE, false, &tokens);
    at_stream_options options = {5, 2, true, 11};
    at_loader *one, *two;
    at_batch a, b;
    check_ok(at_stream_loader_new(&tokens, &options, &one));
    check_ok(at_stream_loader_new(&tokens, &options, &two));
    for (int i = 0; i < 20; i++) {
        at_arena_reset(arena);
        check_ok(at_loader_seek(two, at_loader_cursor(one)));
        check_ok(at_loader_next(one, arena, &a));
        check_ok(at_loader_next(two, arena, &b));
        assert_int_equal(a.target.count, b.target.count);
        size_t rows = at_rows_total(&a.target);
        if (rows)
            assert_memory_equal(a.target_in, b.target_in, rows * sizeof *a.target_in);
    }
    at_loader_free(one);
    at_loader_free(two);
    at_tokens_close(&tokens);
}

static void documents_by_themselves(void **state)
{
    (void)state;
    at_tokens tokens;
    put_text("d.txt", "aa\nbbbb\nc\ndddddddddd\nee\n");
    write_tokens("d", AT_DOCUMENT_LINE, true, &tokens);
    for (int cut = 0; cut < 2; cut++) {
        at_document_options options = {
            .batches = {.batch_tokens = 12, .shuffle = true, .bucket = true, .bos = 1},
            .most = 6,
            .cut = cut != 0};
        at_loader *loader;
        size_t left_out, seen = 0;
        at_batch batch;
        check_ok(at_document_loader_new(&tokens, &options, &loader, &left_out));
        assert_int_equal(left_out, 1);
        for (;;) {
            at_arena_reset(arena);
            check_ok(at_loader_next(loader, arena, &batch));
            if (!at_batch_count(&batch))
                break;
            assert_true(at_rows_total(&batch.target) <= 12);
            for (size_t b = 0; b < batch.target.count; b++, seen++) {
                int32_t from = batch.target.offsets[b], to = batch.target.offsets[b + 1];
                assert_true(to - from <= 6);
                assert_int_equal(batch.target_in[from], 1);
                assert_int_equal(batch.target_out[to - 1], AT_ID_EOS);
                for (int32_t i = from + 1; i < to; i++) /* one letter, again and again */
                    assert_int_equal(batch.target_in[i], batch.target_out[from]);
            }
        }
        assert_int_equal(seen, cut ? 5 : 4);
        at_loader_free(loader);
    }
    at_document_options none = {.batches = {.batch_tokens = 12}, .most = 1};
    at_loader *loader;
    size_t left_out;
    check_fails(at_document_loader_new(&tokens, &none, &loader, &left_out), AT_EFORMAT, "no document");
    at_tokens_close(&tokens);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(parts_and_documents),
        cmocka_unit_test(chunks_do_not_change_ids),
        cmocka_unit_test(files_of_ids),
        cmocka_unit_test(windows_of_a_stream),
        cmocka_unit_test(a_cursor_restores_the_order),
        cmocka_unit_test(documents_by_themselves),
    };
    return cmocka_run_group_tests(tests, begin, end);
}

#include <stdio.h>
#include <string.h>
#include "base/file.h"
#include "tests/text/golden.h"
#include "text/tokenizer.h"
#include "text/utf8.h"

static at_tokenizer *load(const char *name)
{
    char path[1024];
    at_tokenizer *t;
    snprintf(path, sizeof path, "%s/text/%s", AT_TEST_DATA, name);
    check_ok(at_tokenizer_load(path, &t));
    return t;
}

static void expect_ids(const at_ids *got, const json_t *want, const char *text)
{
    bool same = got->count == json_array_size(want);
    for (size_t i = 0; i < got->count && same; i++)
        same = got->id[i] == json_integer_value(json_array_get(want, i));
    if (!same)
        fail_msg("other ids than Hugging Face's for '%s'", text);
}

static void unhex(const char *hex, at_buf *out)
{
    for (; hex[0] && hex[1]; hex += 2) {
        unsigned byte;
        sscanf(hex, "%2x", &byte);
        at_buf_char(out, (char)byte);
    }
}

static void check_golden(const at_tokenizer *t, const char *name)
{
    json_t *rows = golden_rows(name), *row;
    size_t i;
    at_ids ids = {0};
    json_array_foreach(rows, i, row)
    {
        at_buf text = {0};
        const json_t *hex = json_object_get(row, "hex"), *special = json_object_get(row, "special");
        if (hex)
            unhex(json_string_value(hex), &text);
        else
            at_buf_text(&text, golden_text(row, "text"));
        at_ids_clear(&ids);
        check_ok(at_tokenizer_encode(t, text.data, text.length, &(at_encoding){.close = true}, &ids));
        expect_ids(&ids, json_object_get(row, "ids"), text.data);
        at_ids_clear(&ids);
        check_ok(at_tokenizer_encode(t, text.data, text.length,
                                     &(at_encoding){.close = true, .special = true}, &ids));
        expect_ids(&ids, special ? special : json_object_get(row, "ids"), text.data);
        at_buf_free(&text);
    }
    at_ids_free(&ids);
    json_decref(rows);
}

static void same_ids_as_hugging_face(void **state)
{
    (void)state;
    at_tokenizer *t = load("tokenizer.json");
    assert_int_equal(at_tokenizer_size(t), 1000);
    check_golden(t, "encode.json");
    at_tokenizer_free(t);
}

static void same_ids_in_the_form_of_gpt2(void **state)
{
    (void)state;
    at_tokenizer *t = load("gpt2-form.json");
    check_golden(t, "encode-gpt2-form.json");
    at_tokenizer_free(t);
}

static void saving_loses_nothing(void **state)
{
    (void)state;
    static const char *const names[][2] = {{"tokenizer.json", "encode.json"},
                                           {"gpt2-form.json", "encode-gpt2-form.json"}};
    for (size_t i = 0; i < 2; i++) {
        at_tokenizer *t = load(names[i][0]), *again;
        const char *path = check_path("saved.json");
        check_ok(at_tokenizer_save(t, path));
        check_ok(at_tokenizer_load(path, &again));
        assert_int_equal(at_tokenizer_size(t), at_tokenizer_size(again));
        check_golden(again, names[i][1]);
        char *first, *second;
        size_t n, m;
        check_ok(at_file_read(path, 1 << 24, &first, &n));
        check_ok(at_tokenizer_save(again, path));
        check_ok(at_file_read(path, 1 << 24, &second, &m));
        assert_string_equal(first, second);
        at_free(first);
        at_free(second);
        at_tokenizer_free(t);
        at_tokenizer_free(again);
    }
}

/* Random bytes, half of them made of pieces of valid text, with and without dropout. */
static void any_bytes_come_back(void **state)
{
    (void)state;
    static const char seed_text[] =
        "Tom chases 汤姆追杰瑞。 Straße\n\0 </s> e\xCC\x81 👨‍👩‍👧 \xED\xA0\x80 ";
    at_tokenizer *t = load("tokenizer.json");
    at_rng rng = at_rng_make(check_rng_seed(), AT_RNG_TEST);
    at_ids ids = {0};
    at_buf back = {0};
    for (int round = 0; round < 3000; round++) {
        char text[400];
        size_t n = at_rng_below(&rng, round % 50 == 0 ? 400 : 40);
        for (size_t i = 0; i < n; i++)
            text[i] =
                (char)(at_rng_below(&rng, 2) ? at_rng_word(&rng) & 0xFF
                                             : (uint32_t)seed_text[at_rng_below(&rng, sizeof seed_text)]);
        if (round % 3 == 0 && n > 0) { /* a stretch of the real text */
            size_t from = at_rng_below(&rng, sizeof seed_text - 1);
            size_t length = sizeof seed_text - from < n ? sizeof seed_text - from : n;
            memcpy(text, seed_text + from, length);
        }
        at_encoding how = {.dropout = round % 2 ? 0.3 : 0, .rng = &rng};
        at_ids_clear(&ids);
        at_buf_clear(&back);
        check_ok(at_tokenizer_encode(t, text, n, &how, &ids));
        for (size_t i = 0; i < ids.count; i++) /* one at a time: decoding in parts is the same */
            check_ok(at_tokenizer_decode(t, &ids.id[i], 1, true, &back));
        if (back.length != n || (n && memcmp(back.data, text, n) != 0))
            fail_msg("round %d: %zu bytes came back as %zu", round, n, back.length);
    }
    at_ids_free(&ids);
    at_buf_free(&back);
    at_tokenizer_free(t);
}

static void dropout_is_what_it_says(void **state)
{
    (void)state;
    at_tokenizer *t = load("tokenizer.json");
    char text[2000];
    memset(text, 'a', sizeof text); /* long words take another way than short ones */
    memcpy(text, "the weather and the water are very nice today ", 46);
    at_ids plain = {0}, dropped = {0}, again = {0};
    check_ok(at_tokenizer_encode(t, text, sizeof text, NULL, &plain));
    at_rng a = at_rng_make(5, AT_RNG_TOKENIZER), b = a;
    check_ok(at_tokenizer_encode(t, text, sizeof text, &(at_encoding){.dropout = 0.5, .rng = &a}, &dropped));
    check_ok(at_tokenizer_encode(t, text, sizeof text, &(at_encoding){.dropout = 0.5, .rng = &b}, &again));
    assert_true(dropped.count > plain.count);
    assert_int_equal(dropped.count, again.count);
    assert_memory_equal(dropped.id, again.id, again.count * sizeof *again.id);
    at_ids_clear(&again);
    check_ok(at_tokenizer_encode(t, text, sizeof text, &(at_encoding){.dropout = 1, .rng = &a}, &again));
    assert_int_equal(again.count, sizeof text); /* no merge at all: bytes */
    at_ids_free(&plain);
    at_ids_free(&dropped);
    at_ids_free(&again);
    at_tokenizer_free(t);
}

static void looking_things_up(void **state)
{
    (void)state;
    at_tokenizer *t = load("tokenizer.json");
    size_t n;
    assert_int_equal(at_tokenizer_pad(t), AT_ID_PAD);
    assert_int_equal(at_tokenizer_bos(t), AT_ID_BOS);
    assert_int_equal(at_tokenizer_eos(t), AT_ID_EOS);
    assert_int_equal(at_tokenizer_unk(t), AT_ID_UNK);
    assert_true(at_tokenizer_is_special(t, 2) && !at_tokenizer_is_special(t, 4) &&
                !at_tokenizer_is_special(t, -1));
    for (int32_t id = 0; id < at_tokenizer_size(t); id++) {
        const char *piece = at_tokenizer_piece(t, id, &n);
        assert_int_equal(at_tokenizer_find(t, piece, n), id);
    }
    assert_null(at_tokenizer_piece(t, 1000, &n));
    assert_int_equal(at_tokenizer_find(t, "no such piece", 13), -1);
    at_buf out = {0};
    check_fails(at_tokenizer_decode(t, (int32_t[]){1000}, 1, false, &out), AT_EARG, "1000");
    at_buf_clear(&out);
    check_ok(at_tokenizer_decode(t, (int32_t[]){1, 68, 2}, 3, false, &out));
    assert_string_equal(out.data, "<s>a</s>");
    at_buf_clear(&out);
    check_ok(at_tokenizer_decode(t, (int32_t[]){1, 68, 2}, 3, true, &out));
    assert_string_equal(out.data, "a");
    at_buf_free(&out);
    at_tokenizer_free(t);
}

#define FRONT                                                                                      \
    "\"pre_tokenizer\":{\"type\":\"ByteLevel\",\"add_prefix_space\":false},\"decoder\":{\"type\":" \
    "\"ByteLevel\"}"
#define MODEL "\"model\":{\"type\":\"BPE\",\"vocab\":{\"a\":0,\"b\":1,\"ab\":2},\"merges\":[\"a b\"]}"

static void bad_files_are_named(void **state)
{
    (void)state;
    static const struct {
        const char *json, *message;
        at_status status;
    } rows[] = {
        {"", "t.json", AT_EFORMAT},
        {"[]", "want an object", AT_EFORMAT},
        {"{}", "model", AT_EFORMAT},
        {"{" FRONT ",\"model\":{\"type\":\"Unigram\",\"vocab\":[]}}", "model 'Unigram'", AT_ENOSUP},
        {"{" FRONT ",\"model\":{\"type\":\"BPE\",\"vocab\":{},\"merges\":[]}}", "vocab: empty", AT_EFORMAT},
        {"{" FRONT ",\"model\":{\"type\":\"BPE\",\"vocab\":{\"a\":-1},\"merges\":[]}}", "field 'a'",
         AT_EFORMAT},
        {"{" FRONT ",\"model\":{\"type\":\"BPE\",\"vocab\":{\"a\":99999999},\"merges\":[]}}", "field 'a'",
         AT_EFORMAT},
        {"{" FRONT ",\"model\":{\"type\":\"BPE\",\"vocab\":{\"a\":0,\"b\":0},\"merges\":[]}}",
         "another piece", AT_EFORMAT},
        {"{" FRONT ",\"model\":{\"type\":\"BPE\",\"vocab\":{\"a b\":0},\"merges\":[]}}", "stands for no byte",
         AT_EFORMAT},
        {"{" FRONT ",\"model\":{\"type\":\"BPE\",\"vocab\":{\"a\":0},\"merges\":[\"a b\"]}}", "merges[0]",
         AT_EFORMAT},
        {"{" FRONT ",\"model\":{\"type\":\"BPE\",\"vocab\":{\"a\":0},\"merges\":[\"ab\"]}}", "two pieces",
         AT_EFORMAT},
        {"{" FRONT ",\"model\":{\"type\":\"BPE\",\"vocab\":{\"a\":0},\"merges\":[[\"a\"]]}}", "two pieces",
         AT_EFORMAT},
        {"{" FRONT ",\"model\":{\"type\":\"BPE\",\"vocab\":{\"a\":0},\"merges\":[],\"byte_fallback\":true}}",
         "byte_fallback", AT_ENOSUP},
        {"{" FRONT ",\"model\":{\"type\":\"BPE\",\"vocab\":{\"a\":0},\"merges\":[],\"unk_token\":\"?\"}}",
         "unk_token", AT_EFORMAT},
        {"{" MODEL "}", "ByteLevel", AT_ENOSUP},
        {"{" MODEL ",\"pre_tokenizer\":{\"type\":\"Metaspace\"}}", "pre_tokenizer 'Metaspace'", AT_ENOSUP},
        {"{" MODEL ",\"pre_tokenizer\":{\"type\":\"Split\"}}", "pattern", AT_EFORMAT},
        {"{" MODEL
         ",\"pre_tokenizer\":{\"type\":\"Split\",\"pattern\":{\"Regex\":\"(\"},\"behavior\":\"Isolated\"}}",
         "pattern '('", AT_EFORMAT},
        {"{" MODEL
         ",\"pre_tokenizer\":{\"type\":\"Split\",\"pattern\":{\"Regex\":\"a\"},\"behavior\":\"Removed\"}}",
         "'Removed'", AT_ENOSUP},
        {"{" MODEL "," FRONT ",\"normalizer\":{\"type\":\"BertNormalizer\"}}", "normalizer 'BertNormalizer'",
         AT_ENOSUP},
        {"{" MODEL ",\"pre_tokenizer\":{\"type\":\"ByteLevel\"},\"decoder\":{\"type\":\"WordPiece\"}}",
         "decoder 'WordPiece'", AT_ENOSUP},
        {"{" MODEL "," FRONT ",\"post_processor\":{\"type\":\"BertProcessing\"}}", "BertProcessing",
         AT_ENOSUP},
        {"{" MODEL "," FRONT ",\"post_processor\":{\"type\":\"TemplateProcessing\",\"single\":[{"
         "\"SpecialToken\":{\"id\":\"x\"}}]}}",
         "special_tokens", AT_EFORMAT},
        {"{" MODEL "," FRONT ",\"post_processor\":{\"type\":\"TemplateProcessing\",\"single\":[]}}",
         "Sequence", AT_EFORMAT},
        {"{" MODEL "," FRONT ",\"added_tokens\":[{\"id\":0}]}", "added_tokens[0]", AT_EFORMAT},
        {"{" MODEL "," FRONT ",\"added_tokens\":[{\"id\":0,\"content\":\"\"}]}", "content", AT_EFORMAT},
        {"{" MODEL "," FRONT ",\"added_tokens\":[{\"id\":0,\"content\":\"x\"}]}", "added token", AT_EFORMAT},
        {"{" MODEL "," FRONT ",\"added_tokens\":[{\"id\":9,\"content\":\"x\",\"lstrip\":true}]}", "lstrip",
         AT_ENOSUP},
        {"{" MODEL "," FRONT ",\"added_tokens\":[{\"id\":9,\"content\":\"x\"},{\"id\":9,\"content\":\"y\"}]}",
         "twice", AT_EFORMAT},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        at_tokenizer *t = NULL;
        check_fails(at_tokenizer_parse(rows[i].json, strlen(rows[i].json), "t.json", &t), rows[i].status,
                    rows[i].message);
        assert_non_null(strstr(at_error_message(), "t.json"));
        assert_null(t);
    }
    at_tokenizer *t;
    check_fails(at_tokenizer_load(check_path("absent.json"), &t), AT_EIO, "absent.json");
}

/* Every beginning of a good file is a bad one. */
static void cut_files_fail(void **state)
{
    (void)state;
    static const char whole[] = "{" MODEL "," FRONT "}";
    at_tokenizer *t;
    for (size_t n = 0; n < sizeof whole - 1; n++)
        check_fails(at_tokenizer_parse(whole, n, "t.json", &t), AT_EFORMAT, "t.json");
    check_ok(at_tokenizer_parse(whole, sizeof whole - 1, "t.json", &t));
    at_ids ids = {0};
    check_ok(at_tokenizer_encode(t, "abcab", 5, NULL, &ids)); /* no unk: what the vocabulary lacks vanishes */
    assert_int_equal(ids.count, 2);
    at_ids_free(&ids);
    at_tokenizer_free(t);
}

static at_status load_and_encode(void *context)
{
    (void)context;
    static const char json[] =
        "{" MODEL
        ",\"normalizer\":{\"type\":\"NFC\"},\"pre_tokenizer\":{\"type\":\"Sequence\",\"pretokenizers\":["
        "{\"type\":\"Split\",\"pattern\":{\"Regex\":\"\\\\p{L}+\"},\"behavior\":\"Isolated\"},"
        "{\"type\":\"ByteLevel\",\"add_prefix_space\":false,\"use_regex\":false}]},"
        "\"added_tokens\":[{\"id\":3,\"content\":\"</s>\",\"special\":true}]}";
    at_tokenizer *t;
    at_ids ids = {0};
    at_buf text = {0};
    char word[100];
    memset(word, 'b', sizeof word);
    memcpy(word, "\xC3\xA4", 2);
    at_status st = at_tokenizer_parse(json, sizeof json - 1, "t.json", &t);
    if (st != AT_OK)
        return st;
    st = at_tokenizer_encode(t, word, sizeof word, NULL, &ids);
    if (st == AT_OK)
        st = at_tokenizer_decode(t, ids.id, ids.count, false, &text);
    at_ids_free(&ids);
    at_buf_free(&text);
    at_tokenizer_free(t);
    return st;
}

static void every_allocation_may_fail(void **state)
{
    (void)state;
    check_every_allocation(load_and_encode, NULL, 2000);
}

/* A pattern that backtracks without end is stopped, not waited for. */
static void runaway_patterns_are_stopped(void **state)
{
    (void)state;
    static const char json[] =
        "{" MODEL ",\"pre_tokenizer\":{\"type\":\"Sequence\",\"pretokenizers\":["
        "{\"type\":\"Split\",\"pattern\":{\"Regex\":\"(a*)*(a*)*(a*)*b|(a|a)*c\"},\"behavior\":\"Isolated\"},"
        "{\"type\":\"ByteLevel\",\"add_prefix_space\":false,\"use_regex\":false}]}}";
    at_tokenizer *t;
    at_ids ids = {0};
    char text[60];
    memset(text, 'a', sizeof text);
    check_ok(at_tokenizer_parse(json, sizeof json - 1, "t.json", &t));
    check_fails(at_tokenizer_encode(t, text, sizeof text, NULL, &ids), AT_EFORMAT, "pattern");
    assert_int_equal(ids.count, 0);
    at_ids_free(&ids);
    at_tokenizer_free(t);
}

/* What stands for the unknown, or ends each line, need not be a special piece. */
static void ordinary_pieces_may_serve_as_special_ones(void **state)
{
    (void)state;
    static const char json[] =
        "{\"model\":{\"type\":\"BPE\",\"vocab\":{\"a\":0,\"b\":1},\"merges\":[],\"unk_token\":\"a\"},"
        "\"pre_tokenizer\":{\"type\":\"ByteLevel\",\"add_prefix_space\":false,\"use_regex\":false},"
        "\"post_processor\":{\"type\":\"TemplateProcessing\",\"single\":[{\"Sequence\":{\"id\":\"A\"}},"
        "{\"SpecialToken\":{\"id\":\"b\"}}],\"special_tokens\":{\"b\":{\"id\":\"b\",\"ids\":[1]}}}}";
    at_tokenizer *t, *again;
    at_ids ids = {0};
    const char *path = check_path("ordinary.json");
    check_ok(at_tokenizer_parse(json, sizeof json - 1, "t.json", &t));
    check_ok(at_tokenizer_save(t, path));
    check_ok(at_tokenizer_load(path, &again));
    check_ok(at_tokenizer_encode(again, "bx", 2, &(at_encoding){.close = true}, &ids));
    assert_int_equal(ids.count, 3);
    assert_int_equal(ids.id[0], 1);
    assert_int_equal(ids.id[1], 0);
    assert_int_equal(ids.id[2], 1);
    at_ids_free(&ids);
    at_tokenizer_free(t);
    at_tokenizer_free(again);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(same_ids_as_hugging_face),
                                       cmocka_unit_test(same_ids_in_the_form_of_gpt2),
                                       cmocka_unit_test(saving_loses_nothing),
                                       cmocka_unit_test(any_bytes_come_back),
                                       cmocka_unit_test(dropout_is_what_it_says),
                                       cmocka_unit_test(looking_things_up),
                                       cmocka_unit_test(bad_files_are_named),
                                       cmocka_unit_test(cut_files_fail),
                                       cmocka_unit_test(every_allocation_may_fail),
                                       cmocka_unit_test(runaway_patterns_are_stopped),
                                       cmocka_unit_test(ordinary_pieces_may_serve_as_special_ones)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}

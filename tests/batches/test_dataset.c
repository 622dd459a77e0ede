/* Files found and read, pairs dropped or cut and counted, segmented anew from seed and epoch alone. */
#include <zlib.h>
#include "base/memory.h"
#include "tests/batches/corpus.h"

static at_tokenizer *tokenizer;
static at_data_options options;
static char remark[1024];

static void keep_line(void *context, const char *text)
{
    (void)context;
    snprintf(remark, sizeof remark, "%s", text);
}

static const at_log keeping = {keep_line, NULL};

static int open_tokenizer(void **state)
{
    (void)state;
    tokenizer = corpus_tokenizer();
    options = corpus_options();
    return 0;
}

static int close_tokenizer(void **state)
{
    (void)state;
    at_fields_free(at_data_fields, &options);
    at_tokenizer_free(tokenizer);
    return 0;
}

static void write_text(const char *name, const char *text)
{
    check_ok(at_file_write(check_path(name), text, strlen(text)));
}

static at_dataset_spec spec_of(const char *split)
{
    return (at_dataset_spec){
        .folder = check_folder(), .split = split, .options = &options, .tokenizer = tokenizer};
}

static void check_pair(const at_dataset *set, size_t i, const char *source, const char *target)
{
    at_buf text = {0};
    const at_dataset_side *sides[2] = {&set->source, &set->target};
    const char *want[2] = {source, target};
    for (int k = 0; k < 2; k++) {
        const int32_t *ids = sides[k]->ids.id + sides[k]->offsets[i];
        size_t length = at_dataset_length(sides[k], i);
        assert_int_equal(ids[length - 1], 2);
        at_buf_clear(&text);
        check_ok(at_tokenizer_decode(tokenizer, ids, length, true, &text));
        assert_string_equal(text.length ? text.data : "", want[k]);
    }
    at_buf_free(&text);
}

static void pairs_are_read_trimmed_and_counted(void **state)
{
    (void)state;
    write_text("t.en", "abc\n  ab c \t\n\nabc abc abc abc\nc\n");
    write_text("t.de", "a\r\nb\r\nc\r\na\r\n \r\n");
    at_dataset set;
    at_dataset_spec spec = spec_of("t");
    options.max_length = 4;
    check_ok(at_dataset_load(&spec, &keeping, &set));
    assert_int_equal(set.count, 2);
    check_pair(&set, 0, "abc", "a");
    check_pair(&set, 1, "ab c", "b"); /* ab, space, c, </s>: four */
    assert_non_null(strstr(remark, "5 pairs; 2 empty dropped; 1 longer than 4 pieces dropped"));
    at_dataset_free(&set);
    options.too_long = AT_TOO_LONG_TRUNCATE;
    check_ok(at_dataset_load(&spec, &keeping, &set));
    assert_int_equal(set.count, 3);
    check_pair(&set, 2, "abc abc abc", "a");
    assert_non_null(strstr(remark, "1 longer than 4 pieces cut"));
    at_dataset_free(&set);
    options.too_long = AT_TOO_LONG_DROP;
    options.max_length = 256;
}

static void preprocessing_comes_first(void **state)
{
    (void)state;
    write_text("u.en", "ABC\n");
    write_text("u.de", "aBC\n");
    const at_preprocess lower = {.lowercase = true};
    at_dataset set;
    at_dataset_spec spec = spec_of("u");
    spec.preprocess = &lower;
    check_ok(at_dataset_load(&spec, NULL, &set));
    check_pair(&set, 0, "abc", "abc");
    at_dataset_free(&set);
}

static void splits_are_found_in_every_form(void **state)
{
    (void)state;
    write_text("v.tsv", "a\tb\nc\tb\n");
    gzFile packed = gzopen(check_path("w.en.gz"), "wb");
    assert_int_equal(gzputs(packed, "ab\n"), 3);
    gzclose(packed);
    write_text("w.de", "bc\n");
    at_dataset set;
    at_dataset_spec spec = spec_of("v,w,v");
    check_ok(at_dataset_load(&spec, NULL, &set));
    assert_int_equal(set.count, 5);
    check_pair(&set, 2, "ab", "bc");
    check_pair(&set, 4, "c", "b");
    uint32_t mark = set.mark;
    at_dataset_free(&set);
    char here[600];
    snprintf(here, sizeof here, "%s/v", check_folder());
    spec = spec_of(here);
    spec.folder = "/nowhere";
    check_ok(at_dataset_load(&spec, NULL, &set));
    assert_int_equal(set.count, 2);
    assert_true(set.mark != mark);
    at_dataset_free(&set);
    spec = spec_of("nothing");
    check_fails(at_dataset_load(&spec, NULL, &set), AT_EIO,
                "neither nothing.en with nothing.de nor nothing.tsv");
    write_text("x.en", "a\nb\n");
    write_text("x.de", "a\n");
    spec = spec_of("x");
    check_fails(at_dataset_load(&spec, NULL, &set), AT_EFORMAT, "x.de");
    write_text("y.tsv", " \tb\n");
    spec = spec_of("y");
    check_fails(at_dataset_load(&spec, NULL, &set), AT_EFORMAT, "no pair");
}

static void same_ids(const at_dataset *a, const at_dataset *b, bool same)
{
    bool equal = a->source.ids.count == b->source.ids.count &&
                 memcmp(a->source.ids.id, b->source.ids.id, a->source.ids.count * sizeof(int32_t)) == 0;
    assert_true(equal == same);
}

static void dropout_depends_on_seed_and_epoch_alone(void **state)
{
    (void)state;
    corpus_file("d.en", 50, 3, 7);
    corpus_file("d.de", 50, 5, 6);
    options.bpe_dropout = 0.3;
    at_dataset a, b;
    at_dataset_spec spec = spec_of("d");
    spec.dropout = true;
    check_ok(at_dataset_load(&spec, NULL, &a));
    check_ok(at_dataset_load(&spec, NULL, &b));
    assert_int_equal(a.mark, b.mark);
    size_t plain = a.source.ids.count;
    check_ok(at_dataset_segment(&a, 9, 0));
    same_ids(&a, &b, false);
    assert_true(a.source.ids.count > plain);
    check_ok(at_dataset_segment(&b, 9, 4));
    same_ids(&a, &b, false);
    check_ok(at_dataset_segment(&b, 8, 0));
    same_ids(&a, &b, false);
    check_ok(at_dataset_segment(&b, 9, 0));
    same_ids(&a, &b, true);
    for (size_t i = 0; i < a.count; i++) { /* the text is the same whatever its pieces */
        at_buf text = {0};
        at_buf_text(&text, "abc");
        for (size_t k = (i * 3) % 7; k > 0; k--)
            at_buf_text(&text, " abc");
        at_buf target = {0};
        at_buf_text(&target, "abc");
        for (size_t k = (i * 5) % 6; k > 0; k--)
            at_buf_text(&target, " abc");
        check_pair(&a, i, text.data, target.data);
        at_buf_free(&text);
        at_buf_free(&target);
    }
    at_dataset_free(&a);
    at_dataset_free(&b);
    options.max_length = 8; /* seven words fit only without dropout */
    check_ok(at_dataset_load(&spec, NULL, &a));
    assert_int_equal(a.count, 50);
    for (uint64_t epoch = 0; epoch < 5; epoch++) {
        check_ok(at_dataset_segment(&a, 1, epoch));
        for (size_t i = 0; i < a.count; i++)
            assert_true(at_dataset_length(&a.source, i) <= 8);
    }
    at_dataset_free(&a);
    options.bpe_dropout = 0;
    options.max_length = 256;
}

static at_status load_once(void *context)
{
    at_dataset set;
    at_status st = at_dataset_load(context, NULL, &set);
    if (st == AT_OK)
        st = at_dataset_segment(&set, 1, 1);
    at_dataset_free(&set);
    return st;
}

static void memory_may_fail_anywhere(void **state)
{
    (void)state;
    options.bpe_dropout = 0.2;
    corpus_file("m.en", 5, 2, 3);
    corpus_file("m.de", 5, 2, 3);
    at_dataset_spec spec = spec_of("m");
    spec.dropout = true;
    check_every_allocation(load_once, &spec, 5000);
    options.bpe_dropout = 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(pairs_are_read_trimmed_and_counted),
        cmocka_unit_test(preprocessing_comes_first),
        cmocka_unit_test(splits_are_found_in_every_form),
        cmocka_unit_test(dropout_depends_on_seed_and_epoch_alone),
        cmocka_unit_test(memory_may_fail_anywhere),
    };
    return cmocka_run_group_tests(tests, open_tokenizer, close_tokenizer);
}

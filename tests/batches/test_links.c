/* Word links of a corpus become links of pieces: by hand, cut anew by dropout, and what may be wrong. */
#include "data/links.h"
#include "data/loader.h"
#include "tests/batches/corpus.h"

static void write_text(const char *name, const char *text)
{
    check_ok(at_file_write(check_path(name), text, strlen(text)));
}

static at_status load(at_tokenizer *t, const at_preprocess *preprocess, double dropout, at_dataset *set)
{
    static at_data_options o;
    o = corpus_options();
    o.bpe_dropout = dropout;
    char align[] = "align", train[] = "train", de[] = "de", en[] = "en";
    at_fields_free(at_data_fields, &o);
    o.source = en;
    o.target = de;
    o.train = train;
    o.alignment = align;
    at_dataset_spec spec = {.folder = check_folder(),
                            .split = "train",
                            .options = &o,
                            .tokenizer = t,
                            .preprocess = preprocess,
                            .dropout = true,
                            .links = true};
    return at_dataset_load(&spec, NULL, set);
}

/* "abc" and " abc" are pieces, "b" and "c" too; </s> ends both sides. */
static void links_of_pieces_by_hand(void **state)
{
    (void)state;
    at_tokenizer *t = corpus_tokenizer();
    write_text("train.en", "abc abcb\n\nabc\n"); /* pieces: abc | abc b | </s> */
    write_text("train.de", "cb abc\na\nabc\n");  /* c b | abc | </s> */
    write_text("train.align", "0-1 1-0\n0-0\n\n");
    at_dataset set;
    check_ok(load(t, NULL, 0, &set));
    assert_int_equal(set.count, 2);
    at_loader *loader;
    at_loader_options o = {.bos = 1};
    at_arena *arena = at_arena_new();
    at_batch batch;
    check_ok(at_loader_new(&set, &o, &loader));
    check_ok(at_loader_next(loader, arena, &batch));
    assert_int_equal(batch.target.count, 2);
    size_t first = batch.target.examples[0] == 0 ? 0 : 1; /* where pair 0 stands in the batch */
    int32_t row = batch.target.offsets[first];
    assert_int_equal(batch.target.offsets[first + 1] - row, 4);
    static const int32_t want[4][2] = {{1, 2}, {1, 2}, {0, -1}, {-1, -1}}; /* of c, b, abc, </s> */
    for (int i = 0; i < 4; i++) {
        int32_t from = batch.link_starts[row + i], end = batch.link_starts[row + i + 1];
        int linked = (want[i][0] >= 0) + (want[i][1] >= 0);
        assert_int_equal(end - from, linked);
        for (int l = 0; l < linked; l++)
            assert_int_equal(batch.link_keys[from + l], want[i][l]);
    }
    size_t rows = at_rows_total(&batch.target);
    assert_int_equal(batch.link_starts[rows], 5); /* the other pair has none */
    at_loader_free(loader);
    at_dataset_free(&set);
    at_arena_free(arena);
    at_tokenizer_free(t);
}

/* However a word is cut, its pieces are linked to all pieces of its partner. */
static void dropout_keeps_the_words_links(void **state)
{
    (void)state;
    at_tokenizer *t = corpus_tokenizer();
    write_text("train.en", "abc abc abc\n");
    write_text("train.de", "abc abc\n");
    write_text("train.align", "2-0 0-1\n");
    at_dataset set;
    check_ok(load(t, NULL, 0.5, &set));
    at_arena *arena = at_arena_new();
    for (uint64_t epoch = 0; epoch < 8; epoch++) {
        check_ok(at_dataset_segment(&set, 3, epoch));
        int32_t offsets[] = {0, (int32_t)set.target.ids.count};
        at_batch batch = {.target = {1, offsets, NULL}};
        static const uint32_t pair[] = {0};
        check_ok(at_dataset_links_batch(&set, pair, 1, arena, &batch));
        const int32_t *word = set.links->word[1], *source = set.links->word[0];
        for (int32_t i = 0; i < offsets[1]; i++) {
            size_t found = 0, partners = 0;
            int32_t partner = word[i] == 0 ? 2 : word[i] == 1 ? 0 : -2;
            for (size_t p = 0; p < set.source.ids.count; p++)
                partners += source[p] == partner;
            for (int32_t l = batch.link_starts[i]; l < batch.link_starts[i + 1]; l++)
                found += source[batch.link_keys[l]] == partner;
            assert_int_equal(found, partners);
            assert_int_equal(batch.link_starts[i + 1] - batch.link_starts[i], partners);
            assert_true(word[i] < 0 || partners > 0);
        }
    }
    at_arena_free(arena);
    at_dataset_free(&set);
    at_tokenizer_free(t);
}

static void faults_are_told_with_file_and_line(void **state)
{
    (void)state;
    at_tokenizer *t = corpus_tokenizer();
    at_dataset set;
    write_text("train.en", "abc abc\nabc\n");
    write_text("train.de", "abc\nabc\n");
    write_text("train.align", "0-0\n0-1\n");
    check_fails(load(t, NULL, 0, &set), AT_EFORMAT, "train.align:2: link 0-1: the pair has 1 and 1 words");
    write_text("train.align", "0-0\n0:0\n");
    check_fails(load(t, NULL, 0, &set), AT_EFORMAT, "train.align:2: '0:0' is no link");
    write_text("train.align", "0-0\n");
    check_fails(load(t, NULL, 0, &set), AT_EFORMAT, "fewer lines");
    write_text("train.align", "0-0\n0-0\n0-0\n");
    check_fails(load(t, NULL, 0, &set), AT_EFORMAT, "more lines");
    check_ok(at_remove_tree(check_path("train.align")));
    check_fails(load(t, NULL, 0, &set), AT_EIO, "no train.align");
    at_tokenizer_free(t);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(links_of_pieces_by_hand),
        cmocka_unit_test(dropout_keeps_the_words_links),
        cmocka_unit_test(faults_are_told_with_file_and_line),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

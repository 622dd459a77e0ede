/* Labelled texts, texts alone and pairs for encoders, from file to batch; and what is wrong with them, by
 * line. */
#include "base/arena.h"
#include "data/loader.h"
#include "tests/batches/corpus.h"

static void write(const char *name, const char *text)
{
    check_ok(at_file_write(check_path(name), text, strlen(text)));
}

static at_data_options options;
static at_tokenizer *tokenizer;

static int begin(void **state)
{
    (void)state;
    options = corpus_options();
    options.max_length = 6;
    tokenizer = corpus_tokenizer();
    return 0;
}

static int end(void **state)
{
    (void)state;
    at_fields_free(at_data_fields, &options);
    at_tokenizer_free(tokenizer);
    return 0;
}

static at_status load(const char *split, at_data_task task, const at_classes *classes, at_dataset *set)
{
    at_dataset_spec spec = {.folder = check_folder(),
                            .split = split,
                            .options = &options,
                            .tokenizer = tokenizer,
                            .task = task,
                            .classes = classes};
    return at_dataset_load(&spec, NULL, set);
}

/* Labels are numbered as they sort; texts are <s> … </s>; empty and too long ones are left out. */
static void labelled_texts_become_batches(void **state)
{
    (void)state;
    at_dataset set, valid;
    at_loader *loader;
    at_batch batch;
    at_loader_options o = {.bos = 1};
    write("train.tsv", "sport\tabc\nart\tab\nart\t \nsport\tabc abc abc abc abc abc abc\nart\tabc abc\n");
    write("dev.tsv", "sport\tab\n");
    check_ok(load("train", AT_TASK_CLASSIFY, NULL, &set));
    assert_int_equal(set.count, 3);
    assert_int_equal(set.classes.count, 2);
    assert_string_equal(set.classes.names[0], "art");
    assert_int_equal(set.labels[0], 1);
    assert_int_equal(set.labels[2], 0);
    check_ok(at_loader_new(&set, &o, &loader));
    at_arena *arena = at_arena_new();
    check_ok(at_loader_next(loader, arena, &batch));
    assert_int_equal(at_batch_count(&batch), 3);
    assert_int_equal(batch.target.count, 0);
    assert_memory_equal(batch.source_ids, ((int32_t[]){1, 9, 2, 1, 8, 2, 1, 9, 10, 2}), 10 * sizeof(int32_t));
    assert_memory_equal(batch.labels, ((int32_t[]){1, 0, 0}), 3 * sizeof(int32_t));
    check_ok(load("dev", AT_TASK_CLASSIFY, &set.classes, &valid));
    assert_int_equal(valid.labels[0], 1);
    at_dataset_free(&valid);
    at_arena_free(arena);
    at_loader_free(loader);
    at_dataset_free(&set);
}

static void texts_alone_and_pairs(void **state)
{
    (void)state;
    at_dataset set;
    write("lines.txt", "abc\n\nab\n");
    check_ok(load("lines", AT_TASK_MASK, NULL, &set));
    assert_int_equal(set.count, 2);
    assert_null(set.labels);
    assert_int_equal(set.source.ids.id[0], 1);
    assert_int_equal(at_dataset_length(&set.target, 1), 0);
    at_dataset_free(&set);
    write("titles.tsv", "x\tabc\ny\tab\n");
    check_ok(load("titles", AT_TASK_MASK, NULL, &set));
    assert_memory_equal(set.source.ids.id, ((int32_t[]){1, 9, 2, 1, 8, 2}), 6 * sizeof(int32_t));
    at_dataset_free(&set);
    write("pairs.tsv", "abc\tab\n");
    check_ok(load("pairs", AT_TASK_CONTRAST, NULL, &set));
    assert_memory_equal(set.target.ids.id, ((int32_t[]){1, 8, 2}), 3 * sizeof(int32_t));
    at_dataset_free(&set);
}

static void what_is_wrong_is_told_by_line(void **state)
{
    (void)state;
    at_dataset set;
    at_classes known = {0};
    int32_t number;
    check_ok(at_classes_add(&known, "art", 3, &number));
    check_ok(at_classes_add(&known, "sport", 5, &number));
    write("bad.tsv", "art\tab\nwar\tabc\n");
    check_fails(load("bad", AT_TASK_CLASSIFY, &known, &set), AT_EFORMAT,
                "bad.tsv:2: unknown label 'war'; the model knows art, sport");
    write("bad.tsv", "art\tab\nno tab here\n");
    check_fails(load("bad", AT_TASK_CLASSIFY, NULL, &set), AT_EFORMAT, "bad.tsv:2");
    write("bad.tsv", "art\tab\n\nart\tab\n");
    check_fails(load("bad", AT_TASK_CLASSIFY, NULL, &set), AT_EFORMAT, "bad.tsv:2");
    write("bad.tsv", "art\tab\n \tab\n");
    check_fails(load("bad", AT_TASK_CLASSIFY, NULL, &set), AT_EFORMAT, "bad.tsv:2: no label");
    write("bad.tsv", "art\tab\nart\ta\xff\n");
    check_fails(load("bad", AT_TASK_CLASSIFY, NULL, &set), AT_EFORMAT, "bad.tsv:2");
    write("bad.tsv", "art\t\n");
    check_fails(load("bad", AT_TASK_CLASSIFY, NULL, &set), AT_EFORMAT, "no text of at most 6 pieces");
    check_fails(load("nowhere", AT_TASK_CLASSIFY, NULL, &set), AT_EIO, "nowhere.tsv is not there");
    check_fails(load("nowhere", AT_TASK_MASK, NULL, &set), AT_EIO, "nowhere.txt");
    at_classes_free(&known);
}

static at_status load_labelled(void *context)
{
    (void)context;
    at_dataset set;
    at_status st = load("train", AT_TASK_CLASSIFY, NULL, &set);
    if (st == AT_OK)
        at_dataset_free(&set);
    return st;
}

static void names_of_classes(void **state)
{
    (void)state;
    at_classes classes = {0};
    json_t *good = json_pack("{s:s, s:s}", "0", "b", "1", "a"),
           *twice = json_pack("{s:s, s:s}", "0", "b", "1", "b");
    json_t *hole = json_pack("{s:s, s:s}", "0", "b", "2", "a");
    check_ok(at_classes_read(good, &classes));
    assert_int_equal(at_classes_find(&classes, "a", 1), 1);
    json_t *again = at_classes_write(&classes);
    assert_true(json_equal(good, again));
    at_classes_free(&classes);
    check_fails(at_classes_read(twice, &classes), AT_EFORMAT, "id2label");
    check_fails(at_classes_read(hole, &classes), AT_EFORMAT, "\"1\"");
    check_fails(at_classes_read(NULL, &classes), AT_EFORMAT, "id2label");
    json_decref(again);
    json_decref(good);
    json_decref(twice);
    json_decref(hole);
    check_every_allocation(load_labelled, NULL, 400);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(labelled_texts_become_batches),
        cmocka_unit_test(texts_alone_and_pairs),
        cmocka_unit_test(what_is_wrong_is_told_by_line),
        cmocka_unit_test(names_of_classes),
    };
    return cmocka_run_group_tests(tests, begin, end);
}

#include <stdio.h>
#include <string.h>
#include <unistd.h>
#include "base/file.h"
#include "image/folder.h"
#include "tests/check.h"

static void put(const char *path)
{
    char folder[512];
    snprintf(folder, sizeof folder, "%s", check_path(path));
    *strrchr(folder, '/') = '\0';
    check_ok(at_make_folder(folder));
    check_ok(at_file_write(check_path(path), "x", 1));
}

static void expect(const at_picture_set *set, size_t i, const char *ending, int32_t label)
{
    const char *path = set->path[i];
    assert_true(strlen(path) >= strlen(ending));
    assert_string_equal(path + strlen(path) - strlen(ending), ending);
    assert_int_equal(set->label[i], label);
}

/* b before a on the disk; nested, hidden, empty names; a file beside the classes; a link to a picture and one
 * that goes up again. */
static void a_folder_a_class(void **state)
{
    (void)state;
    at_picture_set set;
    put("set/dog/b.jpg");
    put("set/dog/a.png");
    put("set/cat/x/y/1.jpg");
    put("set/cat/0.jpg");
    put("set/cat/.hidden.jpg");
    put("set/cat/.thumbs/t.jpg");
    put("set/.cache/c.jpg");
    put("set/README.md");
    assert_int_equal(symlink("a.png", check_path("set/dog/link.png")), 0);
    assert_int_equal(symlink("..", check_path("set/cat/x/up")), 0);
    assert_int_equal(symlink("nowhere", check_path("set/cat/lost.jpg")), 0);
    check_ok(at_picture_set_folder(check_path("set"), NULL, &set));
    assert_int_equal(set.class_count, 2);
    assert_string_equal(set.class_names[0], "cat");
    assert_string_equal(set.class_names[1], "dog");
    assert_int_equal(set.count, 5);
    expect(&set, 0, "/set/cat/0.jpg", 0);
    expect(&set, 1, "/set/cat/x/y/1.jpg", 0);
    expect(&set, 2, "/set/dog/a.png", 1);
    expect(&set, 3, "/set/dog/b.jpg", 1);
    expect(&set, 4, "/set/dog/link.png", 1);
    at_picture_set_free(&set);
}

static void classes_of_a_model(void **state)
{
    (void)state;
    at_picture_set set;
    const char *const names[] = {"dog", "cat", "bird"};
    at_class_names model = {.name = names, .count = 3};
    check_ok(at_picture_set_folder(check_path("set"), &model, &set));
    assert_int_equal(set.class_count, 3);
    expect(&set, 0, "/set/cat/0.jpg", 1);
    expect(&set, 4, "/set/dog/link.png", 0);
    at_picture_set_free(&set);
    model.count = 1;
    check_fails(at_picture_set_folder(check_path("set"), &model, &set), AT_EFORMAT,
                "class 'cat' is none of the model's 1: dog");
}

static void what_is_wrong_is_said(void **state)
{
    (void)state;
    at_picture_set set;
    put("one/cat/1.jpg");
    check_fails(at_picture_set_folder(check_path("one"), NULL, &set), AT_EFORMAT, "one class alone ('cat')");
    put("flat/1.jpg");
    check_fails(at_picture_set_folder(check_path("flat"), NULL, &set), AT_EFORMAT,
                "a sub-folder for each class");
    put("hollow/cat/1.jpg");
    check_ok(at_make_folder(check_path("hollow/dog")));
    check_fails(at_picture_set_folder(check_path("hollow"), NULL, &set), AT_EFORMAT,
                "a class without a file");
    check_fails(at_picture_set_folder(check_path("absent"), NULL, &set), AT_EIO, "absent");
    check_fails(at_picture_set_folder(check_path("one/cat/1.jpg"), NULL, &set), AT_EIO, "cannot open");
    assert_null(set.path);
}

static void files_and_folders_without_labels(void **state)
{
    (void)state;
    at_picture_set set;
    check_ok(at_picture_set_all(check_path("set"), &set));
    assert_int_equal(set.count, 6); /* the README too: it is said to be text when it is read */
    assert_null(set.label);
    check_ok(at_picture_set_add(check_path("one/cat/1.jpg"), &set));
    assert_int_equal(set.count, 7);
    check_fails(at_picture_set_add(check_path("absent"), &set), AT_EIO, "no such file");
    assert_int_equal(set.count, 7);
    at_picture_set_free(&set);
    check_fails(at_picture_set_all(check_path("hollow/dog"), &set), AT_EFORMAT, "without a file");
}

static void a_list(void **state)
{
    (void)state;
    at_picture_set set;
    static const char lines[] = "\xEF\xBB\xBFwolf\tdog/a.png\r\n\nant\t/abs/b.jpg\nwolf\tc d\te.jpg";
    check_ok(at_file_write(check_path("set/list.tsv"), lines, sizeof lines - 1));
    check_ok(at_picture_set_list(check_path("set/list.tsv"), NULL, &set));
    assert_int_equal(set.count, 3);
    assert_string_equal(set.class_names[0], "ant");
    expect(&set, 0, "/set/dog/a.png", 1);
    assert_string_equal(set.path[1], "/abs/b.jpg");
    assert_int_equal(set.label[1], 0);
    expect(&set, 2, "/set/c d\te.jpg", 1);
    at_picture_set_free(&set);
    const char *const names[] = {"wolf"};
    at_class_names model = {.name = names, .count = 1};
    check_fails(at_picture_set_list(check_path("set/list.tsv"), &model, &set), AT_EFORMAT,
                "list.tsv:3: class 'ant' is none of the model's");
    static const char *const bad[] = {"wolf dog/a.png\n", "\ta.png\n", "wolf\t\n", ""};
    for (size_t i = 0; i < 4; i++) {
        check_ok(at_file_write(check_path("bad.tsv"), bad[i], strlen(bad[i])));
        check_fails(at_picture_set_list(check_path("bad.tsv"), NULL, &set), AT_EFORMAT,
                    i < 3 ? "bad.tsv:1: want label, tab, path" : "no pictures");
    }
}

static void idx_is_a_set_too(void **state)
{
    (void)state;
    at_picture_set set;
    static const uint8_t images[] = {0, 0, 8, 3, 0, 0, 0, 2, 0, 0, 0, 1, 0, 0, 0, 2, 1, 2, 3, 4};
    static const uint8_t labels[] = {0, 0, 8, 1, 0, 0, 0, 2, 2, 0},
                         three[] = {0, 0, 8, 1, 0, 0, 0, 3, 2, 0, 1};
    char pictures[512], marks[512];
    snprintf(pictures, sizeof pictures, "%s", check_path("images"));
    snprintf(marks, sizeof marks, "%s", check_path("labels"));
    check_ok(at_file_write(pictures, images, sizeof images));
    check_ok(at_file_write(marks, labels, sizeof labels));
    check_ok(at_picture_set_idx(pictures, marks, NULL, &set));
    assert_int_equal(set.count, 2);
    assert_int_equal(set.class_count, 3);
    assert_string_equal(set.class_names[2], "2");
    assert_int_equal(set.label[0], 2);
    assert_null(set.path);
    at_picture_set_free(&set);
    check_ok(at_picture_set_idx(pictures, NULL, NULL, &set));
    assert_null(set.label);
    at_picture_set_free(&set);
    check_ok(at_file_write(marks, three, sizeof three));
    check_fails(at_picture_set_idx(pictures, marks, NULL, &set), AT_EFORMAT, "3 labels for 2 pictures");
}

static at_status find_all(void *context)
{
    const char *const *paths = context;
    at_picture_set set;
    at_status st = at_picture_set_folder(paths[0], NULL, &set);
    at_picture_set_free(&set);
    if (st == AT_OK)
        st = at_picture_set_list(paths[1], NULL, &set);
    at_picture_set_free(&set);
    return st;
}

static void memory_that_fails_is_said(void **state)
{
    (void)state;
    char folder[512], list[512];
    snprintf(folder, sizeof folder, "%s", check_path("set"));
    snprintf(list, sizeof list, "%s", check_path("set/list.tsv"));
    const char *paths[] = {folder, list};
    check_every_allocation(find_all, paths, 300);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_folder_a_class),
        cmocka_unit_test(classes_of_a_model),
        cmocka_unit_test(what_is_wrong_is_said),
        cmocka_unit_test(files_and_folders_without_labels),
        cmocka_unit_test(a_list),
        cmocka_unit_test(idx_is_a_set_too),
        cmocka_unit_test(memory_that_fails_is_said),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

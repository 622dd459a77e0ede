#include "base/file.h"
#include <dirent.h>
#include <signal.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>
#include "base/memory.h"
#include "tests/check.h"

static void assert_content(const char *path, const char *want)
{
    char *text;
    size_t length;
    check_ok(at_file_read(path, 1000, &text, &length));
    assert_string_equal(text, want);
    assert_int_equal(length, strlen(want));
    at_free(text);
}

static int entries(const char *folder)
{
    int count = 0;
    DIR *list = opendir(folder);
    assert_non_null(list);
    while (readdir(list))
        count++;
    closedir(list);
    return count - 2; /* . and .. */
}

static void a_written_file_comes_back(void **state)
{
    (void)state;
    const char *path = check_path("plain");
    check_ok(at_file_write(path, "one", 3));
    assert_content(path, "one");
    check_ok(at_file_write(path, "", 0));
    assert_content(path, "");
    char *text;
    size_t length;
    check_ok(at_file_write(path, "four", 4));
    check_fails(at_file_read(path, 3, &text, &length), AT_EFORMAT, "larger than the 3 bytes");
    assert_null(text);
    check_fails(at_file_read(check_folder(), 3, &text, &length), AT_EIO, "irectory");
    check_fails(at_file_read("/dev/zero", 100, &text, &length), AT_EFORMAT, "larger than the 100 bytes");
}

static void abandoned_writing_leaves_the_old_file(void **state)
{
    (void)state;
    char folder[512], path[512];
    strcpy(folder, check_path("abandon"));
    strcpy(path, check_path("abandon/file"));
    check_ok(at_make_folder(folder));
    check_ok(at_file_write(path, "old", 3));
    at_writer writer;
    check_ok(at_writer_open(&writer, path));
    at_writer_bytes(&writer, "new", 3);
    assert_content(path, "old");
    assert_int_equal(entries(folder), 2);
    at_writer_abandon(&writer);
    at_writer_abandon(&writer);
    assert_content(path, "old");
    assert_int_equal(entries(folder), 1);
}

static void a_full_disk_leaves_the_old_file(void **state)
{
    (void)state;
    char folder[512], path[512];
    static const char block[8192];
    strcpy(folder, check_path("full"));
    strcpy(path, check_path("full/file"));
    check_ok(at_make_folder(folder));
    check_ok(at_file_write(path, "old", 3));
    struct rlimit before, small;
    assert_int_equal(getrlimit(RLIMIT_FSIZE, &before), 0);
    small = before;
    small.rlim_cur = 10000;
    void (*handler)(int) = signal(SIGXFSZ, SIG_IGN);
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &small), 0);
    at_writer writer;
    at_status opened = at_writer_open(&writer, path), st = AT_OK;
    if (opened == AT_OK) {
        for (int i = 0; i < 3; i++)
            at_writer_bytes(&writer, block, sizeof block);
        st = at_writer_commit(&writer);
    }
    char message[200];
    snprintf(message, sizeof message, "%s", at_error_message());
    setrlimit(RLIMIT_FSIZE, &before);
    signal(SIGXFSZ, handler);
    check_ok(opened);
    assert_int_equal(st, AT_EIO);
    assert_non_null(strstr(message, "full/file: cannot write: File too large"));
    assert_content(path, "old");
    assert_int_equal(entries(folder), 1);
}

static void devices_are_written_through(void **state)
{
    (void)state;
    if (access("/dev/full", W_OK) != 0)
        skip();
    check_fails(at_file_write("/dev/full", "x", 1), AT_EIO, "No space");
    check_ok(at_file_write("/dev/null", "x", 1));
    struct stat info;
    assert_int_equal(stat("/dev/null", &info), 0);
    assert_true(S_ISCHR(info.st_mode)); /* not renamed over */
}

static void links_and_permissions_survive(void **state)
{
    (void)state;
    char target[512], link[512];
    struct stat info;
    strcpy(target, check_path("target"));
    strcpy(link, check_path("link"));
    check_ok(at_file_write(target, "old", 3));
    assert_int_equal(chmod(target, 0640), 0);
    assert_int_equal(symlink(target, link), 0);
    check_ok(at_file_write(link, "new", 3));
    assert_content(target, "new");
    assert_int_equal(lstat(link, &info), 0);
    assert_true(S_ISLNK(info.st_mode));
    assert_int_equal(stat(target, &info), 0);
    assert_int_equal(info.st_mode & 0777, 0640);
}

static void impossible_places_are_named(void **state)
{
    (void)state;
    char path[512];
    strcpy(path, check_path("absent/file"));
    check_fails(at_file_write(path, "x", 1), AT_EIO, "absent/file: cannot write: No such file");
    check_fails(at_file_write(check_folder(), "x", 1), AT_EIO, "it is a folder");
    check_ok(at_file_write(check_path("plain"), "x", 1));
    strcpy(path, check_path("plain/below"));
    check_fails(at_make_folder(path), AT_EIO, "cannot make the folder");
}

static void mapping_shows_the_bytes(void **state)
{
    (void)state;
    at_mapping mapping;
    const char *path = check_path("mapped");
    check_ok(at_file_write(path, "bytes", 5));
    check_ok(at_map(path, &mapping));
    assert_int_equal(mapping.size, 5);
    assert_memory_equal(mapping.data, "bytes", 5);
    at_unmap(&mapping);
    at_unmap(&mapping);
    check_ok(at_file_write(path, "", 0));
    check_ok(at_map(path, &mapping));
    assert_int_equal(mapping.size, 0);
    assert_non_null(mapping.data);
    at_unmap(&mapping);
    check_fails(at_map(check_folder(), &mapping), AT_EIO, "not a plain file");
    check_fails(at_map(check_path("absent"), &mapping), AT_EIO, "absent: cannot open");
}

static void folders_replace_only_ours(void **state)
{
    (void)state;
    char from[512], to[512], path[512];
    strcpy(to, check_path("models/m"));
    strcpy(from, check_path("models/.new"));
    strcpy(path, check_path("models/m/config.json"));
    for (int round = 0; round < 2; round++) { /* absent, then one of ours */
        check_ok(at_make_folder(from));
        char *inner = at_path_join(from, "config.json");
        check_ok(at_file_write(inner, round ? "second" : "first", round ? 6 : 5));
        at_free(inner);
        check_ok(at_rename_folder(from, to));
        assert_content(path, round ? "second" : "first");
        assert_false(at_file_exists(from));
        assert_int_equal(entries(check_path("models")), 1);
    }
    check_ok(at_remove_tree(to));
    check_ok(at_make_folder(to)); /* empty: may go */
    check_ok(at_make_folder(from));
    check_ok(at_rename_folder(from, to));
    check_ok(at_file_write(check_path("models/m/diary.txt"), "dear", 4));
    check_ok(at_make_folder(from));
    check_fails(at_rename_folder(from, to), AT_EARG, "no model folder");
    assert_content(check_path("models/m/diary.txt"), "dear");
    check_ok(at_remove_tree(check_path("models")));
    check_ok(at_remove_tree(check_path("models")));
    assert_false(at_is_folder(to));
}

static void lines_are_appended_or_refused(void **state)
{
    (void)state;
    const char *path = check_path("lines");
    FILE *stream = fopen(path, "a");
    assert_non_null(stream);
    check_ok(at_file_append_line(stream, path, "one"));
    check_ok(at_file_append_line(stream, path, "two"));
    fclose(stream);
    assert_content(path, "one\ntwo\n");
    stream = fopen("/dev/full", "a");
    if (!stream)
        skip();
    check_fails(at_file_append_line(stream, "/dev/full", "one"), AT_EIO, "No space");
    fclose(stream);
}

static void checksum_is_the_usual_one(void **state)
{
    (void)state;
    assert_int_equal(at_crc32(0, "123456789", 9), 0xCBF43926u); /* the check value of CRC-32 */
    assert_int_equal(at_crc32(at_crc32(0, "1234", 4), "56789", 5), 0xCBF43926u);
}

static at_status write_then_read(void *context)
{
    char *text = NULL;
    size_t length;
    at_status st = at_file_write(context, "abc", 3);
    if (st == AT_OK)
        st = at_file_read(context, 10, &text, &length);
    at_free(text);
    return st;
}

static void short_memory_is_reported(void **state)
{
    (void)state;
    char path[512];
    strcpy(path, check_path("short"));
    check_every_allocation(write_then_read, path, 50);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_written_file_comes_back),
        cmocka_unit_test(abandoned_writing_leaves_the_old_file),
        cmocka_unit_test(a_full_disk_leaves_the_old_file),
        cmocka_unit_test(devices_are_written_through),
        cmocka_unit_test(links_and_permissions_survive),
        cmocka_unit_test(impossible_places_are_named),
        cmocka_unit_test(mapping_shows_the_bytes),
        cmocka_unit_test(folders_replace_only_ours),
        cmocka_unit_test(lines_are_appended_or_refused),
        cmocka_unit_test(checksum_is_the_usual_one),
        cmocka_unit_test(short_memory_is_reported),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

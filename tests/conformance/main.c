/* attend-conformance DIR: runs the operator cases of a folder, prints each that fails, closes with
 * "N passed, N failed". Cases are files *.safetensors, in folders or not. */
#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "base/buf.h"
#include "base/file.h"
#include "base/memory.h"
#include "tests/conformance/case.h"

static const char usage[] =
    "usage: attend-conformance DIR\n"
    "\n"
    "Runs ONNX's operator cases on the library's kernels: every *.safetensors under DIR, each with tensors\n"
    "in.0, in.1, …, out.0, … and in its metadata op, opset, attributes, inputs, outputs, rtol, atol.\n"
    "Prints a line for each case that fails, with the largest deviation, and how many passed and failed.\n"
    "ATTEND_KERNELS=ref|avx2|… chooses the kernels. Exit: 0 all passed, 1 some failed or there are none.\n";

typedef struct paths {
    char **list;
    size_t count, capacity;
} paths;

static void paths_free(paths *p)
{
    for (size_t i = 0; i < p->count; i++)
        at_free(p->list[i]);
    at_free(p->list);
}

static bool is_case(const char *name)
{
    static const char end[] = ".safetensors";
    size_t n = strlen(name);
    return n >= sizeof end && strcmp(name + n - (sizeof end - 1), end) == 0;
}

/* Takes the path, also when it fails. */
static at_status add_path(paths *p, char *path)
{
    at_status st = path ? at_grow(&p->list, &p->capacity, p->count + 1, sizeof *p->list) : AT_ENOMEM;
    if (st == AT_OK)
        p->list[p->count++] = path;
    else
        at_free(path);
    return st;
}

/* The cases of one folder, and the folders in it. */
static at_status list_folder(const char *folder, paths *folders, paths *found)
{
    DIR *dir = opendir(folder);
    if (!dir)
        return at_fail(AT_EIO, "%s: cannot be read as a folder", folder);
    at_status st = AT_OK;
    for (const struct dirent *entry; st == AT_OK && (entry = readdir(dir));) {
        if (entry->d_name[0] == '.')
            continue;
        char *path = at_path_join(folder, entry->d_name);
        if (path && at_is_folder(path))
            st = add_path(folders, path);
        else if (!path || is_case(path))
            st = add_path(found, path);
        else
            at_free(path);
    }
    closedir(dir);
    return st;
}

static at_status find_cases(const char *root, paths *found)
{
    paths folders = {0};
    at_status st = add_path(&folders, at_strdup(root));
    for (size_t i = 0; st == AT_OK && i < folders.count; i++)
        st = list_folder(folders.list[i], &folders, found);
    paths_free(&folders);
    return st;
}

static int by_name(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

static bool passes(const char *path, at_exec *exec)
{
    onnx_case c;
    at_status st = case_open(&c, path, exec);
    if (st == AT_OK)
        st = case_run(&c);
    if (st != AT_OK)
        printf("FAIL %s: %s\n", path, at_error_message());
    case_close(&c);
    return st == AT_OK;
}

int main(int argc, char **argv)
{
    if (argc != 2 || strcmp(argv[1], "--help") == 0) {
        fputs(usage, argc == 2 ? stdout : stderr);
        return argc == 2 ? 0 : 2;
    }
    paths found = {0};
    at_exec *exec = NULL;
    at_status st = find_cases(argv[1], &found);
    if (st == AT_OK && found.count == 0)
        st = at_fail(AT_EFORMAT, "%s: no case *.safetensors in it", argv[1]);
    if (st == AT_OK)
        st = at_exec_new(NULL, 2, &exec);
    if (st != AT_OK)
        fprintf(stderr, "attend-conformance: %s\n", at_error_message());
    else
        qsort(found.list, found.count, sizeof *found.list, by_name);
    size_t passed = 0;
    for (size_t i = 0; st == AT_OK && i < found.count; i++)
        passed += passes(found.list[i], exec);
    if (st == AT_OK)
        printf("%zu passed, %zu failed\n", passed, found.count - passed);
    bool all = st == AT_OK && passed == found.count;
    at_exec_free(exec);
    paths_free(&found);
    return all ? 0 : 1;
}

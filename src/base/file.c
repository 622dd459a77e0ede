#include "base/file.h"
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>
#include <zlib.h>
#include "base/buf.h"
#include "base/memory.h"

static at_status io_error(const char *path, const char *doing, int error)
{
    if (error == ENOMEM)
        return at_fail(AT_ENOMEM, "%s: %s: out of memory", path, doing);
    return at_fail(AT_EIO, "%s: %s: %s", path, doing, error ? strerror(error) : "unknown cause");
}

static at_status too_large(const char *path, size_t max_bytes)
{
    return at_fail(AT_EFORMAT, "%s: larger than the %zu bytes allowed here", path, max_bytes);
}

/* Everything up to the end of the file, which may be a pipe without a size. */
static at_status read_all(int fd, const char *path, size_t max_bytes, char **bytes, size_t *length)
{
    char *block = NULL;
    size_t capacity = 0, used = 0;
    struct stat info;
    if (fstat(fd, &info) == 0 && S_ISREG(info.st_mode)) {
        if ((uint64_t)info.st_size > max_bytes)
            return too_large(path, max_bytes);
        if (at_grow(&block, &capacity, (size_t)info.st_size + 2, 1) != AT_OK)
            return AT_ENOMEM;
    }
    for (;;) {
        if (used + 2 > capacity && at_grow(&block, &capacity, used + 4096, 1) != AT_OK)
            break;
        ssize_t got = read(fd, block + used, capacity - used - 1);
        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0) {
            int error = errno;
            at_free(block);
            return io_error(path, "cannot read", error);
        }
        if (got == 0) {
            block[used] = '\0';
            *bytes = block;
            *length = used;
            return AT_OK;
        }
        used += (size_t)got;
        if (used > max_bytes) {
            at_free(block);
            return too_large(path, max_bytes);
        }
    }
    at_free(block);
    return AT_ENOMEM;
}

at_status at_file_read(const char *path, size_t max_bytes, char **bytes, size_t *length)
{
    *bytes = NULL;
    *length = 0;
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return io_error(path, "cannot open", errno);
    at_status st = read_all(fd, path, max_bytes, bytes, length);
    close(fd);
    return st;
}

at_status at_map(const char *path, at_mapping *mapping)
{
    *mapping = (at_mapping){(const unsigned char *)"", 0, NULL};
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return io_error(path, "cannot open", errno);
    struct stat info;
    at_status st = AT_OK;
    if (fstat(fd, &info) != 0) {
        st = io_error(path, "cannot look at", errno);
    } else if (!S_ISREG(info.st_mode)) {
        st = at_fail(AT_EIO, "%s: not a plain file", path);
    } else if (info.st_size > 0) {
        void *base = mmap(NULL, (size_t)info.st_size, PROT_READ, MAP_PRIVATE, fd, 0);
        if (base == MAP_FAILED)
            st = io_error(path, "cannot map", errno);
        else
            *mapping = (at_mapping){base, (size_t)info.st_size, base};
    }
    close(fd);
    return st;
}

void at_unmap(at_mapping *mapping)
{
    if (mapping->base)
        munmap(mapping->base, mapping->size);
    *mapping = (at_mapping){NULL, 0, NULL};
}

/* "a/b" -> "a", "/b" -> "/", "b" -> "."; a copy. */
static char *parent_of(const char *path)
{
    const char *slash = strrchr(path, '/');
    if (!slash)
        return at_strdup(".");
    return at_strndup(path, slash == path ? 1 : (size_t)(slash - path));
}

static char *temporary_name(const char *path)
{
    const char *slash = strrchr(path, '/');
    size_t folder = slash ? (size_t)(slash - path) + 1 : 0;
    at_buf name = {0};
    at_buf_bytes(&name, path, folder);
    at_buf_printf(&name, ".%s.tmp.%ld", path + folder, (long)getpid());
    return at_buf_take(&name);
}

/* The file behind a symbolic link, so that the link survives; a copy. */
static char *resolve(const char *path)
{
    char *real = realpath(path, NULL);
    char *copy = at_strdup(real ? real : path);
    free(real); /* libc's own block, not our allocator's */
    return copy;
}

static void release_names(at_writer *writer)
{
    at_free(writer->path);
    at_free(writer->temporary);
    writer->path = writer->temporary = NULL;
}

at_status at_writer_open(at_writer *writer, const char *path)
{
    *writer = (at_writer){0};
    struct stat info;
    bool present = stat(path, &info) == 0;
    if (present && S_ISDIR(info.st_mode))
        return at_fail(AT_EIO, "%s: cannot write: it is a folder", path);
    bool device = present && !S_ISREG(info.st_mode); /* /dev/stdout, a pipe: never renamed over */
    writer->path = device ? at_strdup(path) : resolve(path);
    if (writer->path && !device)
        writer->temporary = temporary_name(writer->path);
    if (!writer->path || (!device && !writer->temporary)) {
        release_names(writer);
        return AT_ENOMEM;
    }
    int flags = device ? O_WRONLY | O_CLOEXEC : O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW | O_CLOEXEC;
    int fd = open(device ? path : writer->temporary, flags, 0666);
    if (fd >= 0 && present && !device && fchmod(fd, info.st_mode & 0777) != 0) {
        /* Not our file's owner: the new file then has the usual permissions. */
        errno = 0;
    }
    writer->stream = fd < 0 ? NULL : fdopen(fd, "wb");
    if (writer->stream)
        return AT_OK;
    int error = errno;
    if (fd >= 0) {
        close(fd);
        if (!device)
            unlink(writer->temporary);
    }
    release_names(writer);
    return io_error(path, "cannot write", error);
}

static void remember(at_writer *writer, int error)
{
    if (writer->status == AT_OK) {
        writer->status = AT_EIO;
        writer->cause = error;
    }
}

void at_writer_bytes(at_writer *writer, const void *bytes, size_t length)
{
    if (writer->status != AT_OK || !length)
        return;
    if (fwrite(bytes, 1, length, writer->stream) != length)
        remember(writer, errno);
}

at_status at_writer_commit(at_writer *writer)
{
    if (ferror(writer->stream))
        remember(writer, EIO);
    if (fflush(writer->stream) != 0)
        remember(writer, errno);
    if (writer->status == AT_OK && writer->temporary && fsync(fileno(writer->stream)) != 0)
        remember(writer, errno);
    if (fclose(writer->stream) != 0)
        remember(writer, errno);
    writer->stream = NULL;
    if (writer->status == AT_OK && writer->temporary && rename(writer->temporary, writer->path) != 0)
        remember(writer, errno);
    at_status st = writer->status;
    if (st != AT_OK) {
        if (writer->temporary)
            unlink(writer->temporary);
        st = io_error(writer->path, "cannot write", writer->cause);
    } else if (writer->temporary) {
        char *folder = parent_of(writer->path);
        st = folder ? at_sync_folder(folder) : AT_ENOMEM;
        at_free(folder);
    }
    release_names(writer);
    return st;
}

void at_writer_abandon(at_writer *writer)
{
    if (!writer->stream)
        return;
    fclose(writer->stream);
    writer->stream = NULL;
    if (writer->temporary)
        unlink(writer->temporary);
    release_names(writer);
}

at_status at_file_write(const char *path, const void *bytes, size_t length)
{
    at_writer writer;
    at_status st = at_writer_open(&writer, path);
    if (st != AT_OK)
        return st;
    at_writer_bytes(&writer, bytes, length);
    return at_writer_commit(&writer);
}

at_status at_file_append_line(FILE *stream, const char *path, const char *line)
{
    if (fputs(line, stream) < 0 || fputc('\n', stream) == EOF || fflush(stream) != 0)
        return io_error(path, "cannot write", errno);
    return AT_OK;
}

bool at_file_exists(const char *path)
{
    return access(path, F_OK) == 0;
}

bool at_is_folder(const char *path)
{
    struct stat info;
    return stat(path, &info) == 0 && S_ISDIR(info.st_mode);
}

at_status at_make_folder(const char *path)
{
    char *part = at_strdup(path);
    if (!part)
        return AT_ENOMEM;
    at_status st = AT_OK;
    size_t length = strlen(part);
    for (size_t i = 1; i <= length && st == AT_OK; i++) {
        if (part[i] != '/' && part[i] != '\0')
            continue;
        char end = part[i];
        part[i] = '\0';
        if (mkdir(part, 0777) != 0 && !at_is_folder(part))
            st = io_error(part, "cannot make the folder", errno);
        part[i] = end;
    }
    at_free(part);
    return st;
}

at_status at_sync_folder(const char *path)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return io_error(path, "cannot open", errno);
    at_status st = AT_OK;
    if (fsync(fd) != 0 && errno != EINVAL && errno != ENOTSUP) /* some file systems cannot, and need not */
        st = io_error(path, "cannot sync", errno);
    close(fd);
    return st;
}

/* Ours: nothing in it, a model folder or a checkpoint. Anything else is somebody's own. */
static bool is_ours(const char *folder)
{
    static const char *const marks[] = {"config.json", "state.json"};
    if (rmdir(folder) == 0) /* was empty; the rename puts the new one in its place */
        return true;
    for (size_t i = 0; i < sizeof marks / sizeof marks[0]; i++) {
        char *path = at_path_join(folder, marks[i]);
        bool found = path && at_file_exists(path);
        at_free(path);
        if (found)
            return true;
    }
    return false;
}

/* Moves `to` out of the way, puts `from` there; the old one comes back if that fails. */
static at_status replace_folder(const char *from, const char *to)
{
    char *old = temporary_name(to);
    if (!old)
        return AT_ENOMEM;
    at_status st = at_remove_tree(old);
    if (st == AT_OK && rename(to, old) != 0)
        st = io_error(to, "cannot replace", errno);
    if (st == AT_OK && rename(from, to) != 0) {
        st = io_error(to, "cannot replace", errno);
        if (rename(old, to) != 0)
            st = at_fail(AT_EIO, "%s: cannot replace; the former content is in %s", to, old);
    }
    if (st == AT_OK)
        st = at_remove_tree(old);
    at_free(old);
    return st;
}

at_status at_rename_folder(const char *from, const char *to)
{
    char *target = at_strdup(to);
    if (!target)
        return AT_ENOMEM;
    for (size_t n = strlen(target); n > 1 && target[n - 1] == '/'; n--)
        target[n - 1] = '\0';
    at_status st = AT_OK;
    if (at_file_exists(target) && (!at_is_folder(target) || !is_ours(target)))
        st = at_fail(AT_EARG, "%s: is there and is no model folder; name another or remove it", target);
    else if (at_file_exists(target))
        st = replace_folder(from, target);
    else if (rename(from, target) != 0)
        st = io_error(target, "cannot move the folder there", errno);
    char *parent = st == AT_OK ? parent_of(target) : NULL;
    if (st == AT_OK)
        st = parent ? at_sync_folder(parent) : AT_ENOMEM;
    at_free(parent);
    at_free(target);
    return st;
}

static int remove_entry(const char *path, const struct stat *info AT_UNUSED, int kind AT_UNUSED,
                        struct FTW *walk AT_UNUSED)
{
    return remove(path);
}

at_status at_remove_tree(const char *path)
{
    if (nftw(path, remove_entry, 16, FTW_DEPTH | FTW_PHYS) == 0 || errno == ENOENT)
        return AT_OK;
    return io_error(path, "cannot remove", errno);
}

char *at_path_join(const char *folder, const char *name)
{
    at_buf path = {0};
    at_buf_text(&path, folder);
    if (path.length && path.data[path.length - 1] != '/')
        at_buf_char(&path, '/');
    at_buf_text(&path, name);
    return at_buf_take(&path);
}

uint32_t at_crc32(uint32_t crc, const void *bytes, size_t length)
{
    const unsigned char *p = bytes;
    while (length) { /* zlib counts in unsigned int */
        uInt part = length > (1u << 30) ? 1u << 30 : (uInt)length;
        crc = (uint32_t)crc32(crc, p, part);
        p += part;
        length -= part;
    }
    return crc;
}

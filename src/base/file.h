/* base/file.h - reading files whole or mapped, writing them so that a kill or a
 * full disk leaves either the old file or the new one.
 *
 * Role    Atomic write: temporary file beside the target, every write checked,
 *         fsync, rename, fsync of the folder.
 * Owns    at_mapping until at_unmap; text read is the caller's (at_free).
 * Errors  AT_EIO or AT_EFORMAT, the message names the path and the cause.
 *
 *     at_writer w;
 *     at_status st = at_writer_open(&w, path);
 *     if (st == AT_OK) { at_writer_bytes(&w, p, n); st = at_writer_commit(&w); }
 */
#ifndef AT_BASE_FILE_H
#define AT_BASE_FILE_H
#include "base/status.h"
#include <stdio.h>

typedef struct at_mapping {
    const unsigned char *data;
    size_t size;
    void *base; /* private to file.c */
} at_mapping;

typedef struct at_writer {
    FILE *stream;
    char *path, *temporary;
    at_status status; /* sticky: the first failure */
    int cause;        /* errno of that failure */
} at_writer;

/* At most max_bytes; a NUL is put behind the last byte. */
at_status at_file_read(const char *path, size_t max_bytes, char **bytes, size_t *length);
at_status at_map(const char *path, at_mapping *mapping);
void at_unmap(at_mapping *mapping);

at_status at_writer_open(at_writer *writer, const char *path);
void at_writer_bytes(at_writer *writer, const void *bytes, size_t length);
at_status at_writer_commit(at_writer *writer); /* closes in every case */
void at_writer_abandon(at_writer *writer);     /* removes the temporary; harmless after commit */
at_status at_file_write(const char *path, const void *bytes, size_t length);
at_status at_file_append_line(FILE *stream, const char *path, const char *line);

bool at_file_exists(const char *path);
bool at_is_folder(const char *path);
at_status at_make_folder(const char *path); /* with parents; present is fine */
at_status at_sync_folder(const char *path);
at_status at_rename_folder(const char *from, const char *to); /* replaces `to` if it is one of ours */
at_status at_remove_tree(const char *path);                   /* absent is fine */
char *at_path_join(const char *folder, const char *name);     /* at_free */
uint32_t at_crc32(uint32_t crc, const void *bytes, size_t length);
#endif

#include "cli/aer.h"
#include <string.h>
#include "base/memory.h"
#include "cli/output.h"
#include "cli/textfile.h"

at_status at_linkfile_read(at_linkfile *file, const char *path)
{
    at_textfile text = {0};
    *file = (at_linkfile){0};
    at_status st = at_textfile_read(&text, path);
    if (st == AT_OK)
        st = at_grow(&file->lines, &file->capacity, text.count + 1, sizeof *file->lines);
    for (size_t i = 0; i < text.count && st == AT_OK; i++) {
        at_links *links = &file->lines[file->count++];
        *links = (at_links){0};
        st = at_links_parse(text.lines[i], links);
        if (st == AT_EFORMAT)
            st = at_fail_within(st, "%s:%zu", path, i + 1);
    }
    at_textfile_free(&text);
    if (st != AT_OK)
        at_linkfile_free(file);
    return st;
}

void at_linkfile_free(at_linkfile *file)
{
    for (size_t i = 0; i < file->count; i++)
        at_links_free(&file->lines[i]);
    at_free(file->lines);
    *file = (at_linkfile){0};
}

static at_status print(const at_aer_counts *counts, const at_cli_common *common)
{
    if (common->json)
        return at_cli_print_json(
            json_pack("{s:I,s:[o]}", "lines", (json_int_t)counts->lines, "scores", at_aer_json(counts)),
            JSON_INDENT(1) | JSON_REAL_PRECISION(7));
    at_aer_score score = at_aer_compute(counts);
    at_buf out = {0};
    at_buf_text(&out, "AER|");
    at_aer_signature(counts, &out);
    at_buf_printf(&out, " = %.4f precision %.4f recall %.4f\n", score.aer, score.precision, score.recall);
    at_status st = at_buf_status(&out);
    if (st == AT_OK)
        st = at_cli_print(&out);
    at_buf_free(&out);
    return st;
}

at_status at_cli_eval_aer(const char *proposed, const char *gold, const at_cli_common *common)
{
    at_linkfile a = {0}, g = {0};
    at_aer_counts counts = {0};
    at_status st = AT_OK;
    if (strcmp(proposed, "-") == 0 && strcmp(gold, "-") == 0)
        st = at_fail(AT_EARG, "only one of --alignment and --gold can be standard input");
    if (st == AT_OK)
        st = at_linkfile_read(&a, proposed);
    if (st == AT_OK)
        st = at_linkfile_read(&g, gold);
    if (st == AT_OK && a.count != g.count)
        st = at_fail(AT_EFORMAT, "%s has %zu lines, %s %zu: they must be links of the same pairs", proposed,
                     a.count, gold, g.count);
    for (size_t i = 0; i < a.count && st == AT_OK; i++)
        at_aer_add(&counts, &a.lines[i], &g.lines[i]);
    if (st == AT_OK)
        st = print(&counts, common);
    at_linkfile_free(&a);
    at_linkfile_free(&g);
    return st;
}

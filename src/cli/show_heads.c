#include <math.h>
#include <stdlib.h>
#include <string.h>
#include "base/memory.h"
#include "cli/output.h"
#include "cli/show_more.h"
#include "cli/textfile.h"

static const char *const kinds[] = {"cross", "encoder", "decoder"};

static double strength(const at_head *head)
{
    int role = at_head_strongest(head);
    return role < 0 ? -1 : head->share[role];
}

static int stronger_first(const void *a, const void *b)
{
    const at_head *const *x = a, *const *y = b;
    double p = strength(*x), q = strength(*y);
    if (p != q)
        return p > q ? -1 : 1;
    return *x < *y ? -1 : *x > *y;
}

static json_t *head_json(const at_head *head)
{
    json_t *object = json_pack("{s:s,s:i,s:i,s:I,s:f}", "kind", kinds[head->kind], "layer", head->layer,
                               "head", head->head, "rows", (json_int_t)head->rows, "entropy",
                               isfinite(head->entropy) ? head->entropy : 0);
    int role = at_head_strongest(head);
    for (int r = 0; r < AT_HEAD_ROLES && object; r++)
        json_object_set_new(object, at_head_role_name((at_head_role)r),
                            isnan(head->share[r]) ? json_null() : json_real(head->share[r]));
    if (object)
        json_object_set_new(object, "most",
                            role < 0 ? json_null() : json_string(at_head_role_name((at_head_role)role)));
    return object;
}

static at_status print_json(const at_heads *heads, const at_head **order)
{
    json_t *list = json_array();
    for (size_t i = 0; i < heads->count; i++)
        json_array_append_new(list, head_json(order[i]));
    return at_cli_print_json(json_pack("{s:I,s:I,s:o}", "pairs", (json_int_t)heads->pairs, "left_out",
                                       (json_int_t)heads->left_out, "heads", list),
                             JSON_INDENT(1) | JSON_REAL_PRECISION(5));
}

static at_status print_table(const at_heads *heads, const at_head **order)
{
    at_buf out = {0};
    at_buf_text(&out, "mean share of a word's weight, in %; entropy in bits; the most marked heads first\n\n"
                      "kind    layer head  previous   next itself  first   stop    end  entropy  most on\n");
    for (size_t i = 0; i < heads->count; i++) {
        const at_head *head = order[i];
        at_buf_printf(&out, "%-8s%5d%5d ", kinds[head->kind], head->layer, head->head);
        for (int r = 0; r < AT_HEAD_ROLES; r++) {
            int width = r == AT_HEAD_PREVIOUS ? 9 : 7;
            if (isnan(head->share[r]))
                at_buf_printf(&out, "%*s", width, "-");
            else
                at_buf_printf(&out, "%*.1f", width, 100 * head->share[r]);
        }
        int role = at_head_strongest(head);
        at_buf_printf(&out, "%9.2f  %s\n", head->entropy,
                      role < 0 ? "-" : at_head_role_name((at_head_role)role));
    }
    at_buf_text(&out, "\nShares say where a head looks, not what the model does with it.\n");
    at_status st = at_buf_status(&out);
    if (st == AT_OK)
        st = at_cli_print(&out);
    at_buf_free(&out);
    return st;
}

static at_status print(const at_heads *heads, const at_cli_common *common)
{
    const at_head **order = at_alloc_array(heads->count + 1, sizeof *order);
    if (!order)
        return AT_ENOMEM;
    for (size_t i = 0; i < heads->count; i++)
        order[i] = &heads->list[i];
    qsort(order, heads->count, sizeof *order, stronger_first);
    at_status st = common->json ? print_json(heads, order) : print_table(heads, order);
    at_free(order);
    return st;
}

static bool is_tsv(const char *path)
{
    size_t length = strlen(path);
    return (length >= 4 && strcmp(path + length - 4, ".tsv") == 0) ||
           (length >= 7 && strcmp(path + length - 7, ".tsv.gz") == 0);
}

at_status at_cli_show_heads(const at_cli_spec *spec, at_translator *translator, const char *path, int beam,
                            const at_cli_common *common)
{
    at_textfile sources = {0}, targets = {0};
    at_heads_options how = AT_HEADS_DEFAULTS;
    how.beam = beam > 0 ? beam : how.beam;
    at_heads *heads = NULL;
    bool pairs = is_tsv(path);
    at_status st =
        pairs ? at_textfile_read_pairs(&sources, &targets, path, NULL) : at_textfile_read(&sources, path);
    if (st == AT_OK)
        st = at_heads_new(translator, (const char *const *)sources.lines,
                          pairs ? (const char *const *)targets.lines : NULL, sources.count, &how, &heads);
    if (st == AT_OK)
        st = print(heads, common);
    if (st == AT_OK && heads->left_out > 0 && !common->quiet)
        at_cli_note(spec, "%zu lines are empty or longer than the model reaches: not measured",
                    heads->left_out);
    at_heads_free(heads);
    at_textfile_free(&sources);
    at_textfile_free(&targets);
    return st;
}

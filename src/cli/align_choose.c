#include "cli/align_choose.h"
#include <stdlib.h>
#include "base/memory.h"
#include "cli/aer.h"
#include "cli/alignment.h"
#include "cli/output.h"
#include "cli/textfile.h"
#include "store/folder.h"

/* One layer and head, or a mean, and how it fared. */
typedef struct candidate {
    int layer, head;
    at_aer_counts counts;
} candidate;

typedef struct job {
    const at_cli_choice *choice;
    at_textfile sources, targets;
    at_linkfile gold;
    candidate *list;
    size_t count;
    /* While one is measured: */
    candidate *now;
    at_buf line;
    at_links links;
    at_status status;
} job;

static bool measure(void *context, const at_alignment *a)
{
    job *j = context;
    at_buf_clear(&j->line);
    j->status = at_alignment_moses(a, &j->line);
    if (j->status == AT_OK)
        j->status = at_buf_status(&j->line);
    if (j->status == AT_OK)
        j->status = at_links_parse(j->line.data ? j->line.data : "", &j->links);
    if (j->status == AT_OK)
        at_aer_add(&j->now->counts, &j->links, &j->gold.lines[a->line]);
    return j->status == AT_OK;
}

static at_status read_files(job *j)
{
    const at_cli_choice *c = j->choice;
    at_status st = at_textfile_read_pairs(&j->sources, &j->targets, c->sources, c->targets);
    if (st == AT_OK)
        st = at_linkfile_read(&j->gold, c->gold);
    if (st == AT_OK && j->gold.count != j->sources.count)
        st = at_fail(AT_EFORMAT, "%s has %zu lines for %zu pairs", c->gold, j->gold.count, j->sources.count);
    return st;
}

/* How many layers and heads of cross attention: seen in the first pair that can be looked at. */
static at_status list_candidates(job *j, at_translator *translator)
{
    at_bundle *bundle = NULL;
    at_status st = at_fail(AT_EARG, "no pair to align");
    for (size_t i = 0; i < j->sources.count && !bundle; i++)
        st = at_bundle_new(translator, j->sources.lines[i], j->targets.lines[i], NULL, &bundle);
    if (st != AT_OK)
        return st;
    const at_bundle_part *part = &bundle->parts[0];
    if (part->kind != AT_VIEW_CROSS)
        st = at_fail(AT_ENOSUP, "this model has no cross attention, so no head of it aligns");
    size_t most = (size_t)(part->layers * (part->heads + 1)) + 1;
    j->list = st == AT_OK ? at_alloc_zero(most, sizeof *j->list) : NULL;
    if (st == AT_OK && !j->list)
        st = AT_ENOMEM;
    for (int layer = 0; layer < part->layers && st == AT_OK; layer++) {
        for (int head = AT_MEAN; head < part->heads; head++)
            j->list[j->count++] = (candidate){.layer = layer, .head = head};
    }
    if (st == AT_OK)
        j->list[j->count++] = (candidate){.layer = AT_MEAN, .head = AT_MEAN};
    at_bundle_free(bundle);
    return st;
}

static int better_first(const void *a, const void *b)
{
    const candidate *x = a, *y = b;
    double p = at_aer_compute(&x->counts).aer, q = at_aer_compute(&y->counts).aer;
    if (p != q)
        return p < q ? -1 : 1;
    return x->layer != y->layer ? x->layer - y->layer : x->head - y->head;
}

static void put_pick(at_buf *out, int pick)
{
    if (pick == AT_MEAN)
        at_buf_printf(out, "%6s", "mean");
    else
        at_buf_printf(out, "%6d", pick);
}

static at_status print(const job *j, bool json)
{
    at_buf out = {0};
    json_t *list = json_array();
    if (!json)
        at_buf_text(&out, " layer  head     AER  precision  recall\n");
    for (size_t i = 0; i < j->count; i++) {
        const candidate *c = &j->list[i];
        at_aer_score s = at_aer_compute(&c->counts);
        put_pick(&out, c->layer);
        put_pick(&out, c->head);
        at_buf_printf(&out, "%8.4f%11.4f%8.4f\n", s.aer, s.precision, s.recall);
        json_array_append_new(list, json_pack("{s:i,s:i,s:f,s:f,s:f}", "layer", c->layer, "head", c->head,
                                              "aer", s.aer, "precision", s.precision, "recall", s.recall));
    }
    at_status st = at_buf_status(&out);
    if (st == AT_OK && json)
        st = at_cli_print_json(json_pack("{s:I,s:O}", "pairs", (json_int_t)j->sources.count, "heads", list),
                               JSON_INDENT(1) | JSON_REAL_PRECISION(7));
    else if (st == AT_OK)
        st = at_cli_print(&out);
    json_decref(list);
    at_buf_free(&out);
    return st;
}

static at_status run(job *j, at_translator *translator)
{
    at_status st = read_files(j);
    if (st == AT_OK)
        st = list_candidates(j, translator);
    for (size_t i = 0; i < j->count && st == AT_OK; i++) {
        at_align_options how = j->choice->how;
        how.layer = j->list[i].layer;
        how.head = j->list[i].head;
        j->now = &j->list[i];
        st = at_align(translator, (const char *const *)j->sources.lines,
                      (const char *const *)j->targets.lines, j->sources.count, &how, measure, j);
        if (st == AT_ECANCEL)
            st = j->status;
    }
    if (st == AT_OK)
        qsort(j->list, j->count, sizeof *j->list, better_first);
    return st;
}

at_status at_cli_align_choose(const at_cli_spec *spec, at_translator *translator, const at_cli_choice *choice,
                              const at_cli_common *common)
{
    job j = {.choice = choice};
    at_status st = run(&j, translator);
    if (st == AT_OK)
        st = print(&j, common->json);
    if (st == AT_OK && choice->store) {
        st = at_folder_set_align(choice->store, j.list[0].layer, j.list[0].head);
        if (st == AT_OK && !common->quiet)
            at_cli_note(spec, "%s/config.json names the first line's layer and head for alignments",
                        choice->store);
    }
    at_textfile_free(&j.sources);
    at_textfile_free(&j.targets);
    at_linkfile_free(&j.gold);
    at_links_free(&j.links);
    at_buf_free(&j.line);
    at_free(j.list);
    return st;
}

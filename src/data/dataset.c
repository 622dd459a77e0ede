#include "data/dataset.h"
#include <string.h>
#include "base/file.h"
#include "base/memory.h"
#include "data/links.h"

#define AT(member) offsetof(at_data_options, member)

const at_field at_data_fields[] = {
    {"task", AT_FIELD_CHOICE, AT(task), "auto", 0, 0, "auto|seq2seq|language|classify|mask|contrast",
     "what is learned: text to text, labels, hidden pieces, which texts belong together; auto: what the "
     "model "
     "is for"},
    {"source", AT_FIELD_TEXT, AT(source), "en", 0, 0, NULL, "source language, the ending of its files"},
    {"target", AT_FIELD_TEXT, AT(target), "de", 0, 0, NULL, "target language, the ending of its files"},
    {"train", AT_FIELD_TEXT, AT(train), "train", 0, 0, NULL,
     "files to learn from, without ending; several with commas between"},
    {"valid", AT_FIELD_TEXT, AT(valid), "valid", 0, 0, NULL,
     "files to choose the best model by, without ending"},
    {"test", AT_FIELD_TEXT, AT(test), NULL, 0, 0, NULL, "files to look at once, at the end, without ending"},
    {"max_length", AT_FIELD_INT, AT(max_length), "256", 2, 65536, NULL,
     "most pieces of a sentence, end of sentence included"},
    {"too_long", AT_FIELD_CHOICE, AT(too_long), "drop", 0, 0, "drop|truncate",
     "what becomes of longer pairs"},
    {"batch_tokens", AT_FIELD_INT, AT(batch_tokens), "4096", 0, 1 << 24, NULL,
     "most pieces of a batch; 0: no bound"},
    {"batch_pairs", AT_FIELD_INT, AT(batch_pairs), "0", 0, 1 << 24, NULL,
     "most pairs of a batch; 0: no bound"},
    {"batch_count", AT_FIELD_CHOICE, AT(batch_count), "larger", 0, 0, "larger|target",
     "batch_tokens bounds the larger side, or the target"},
    {"shuffle", AT_FIELD_BOOL, AT(shuffle), "true", 0, 0, NULL, "another order each epoch"},
    {"bucket", AT_FIELD_BOOL, AT(bucket), "true", 0, 0, NULL, "pairs of like length into one batch"},
    {"bpe_dropout", AT_FIELD_REAL, AT(bpe_dropout), "0", 0, 1, NULL,
     "chance of each merge to be left out while training; then words are cut anew each epoch"},
    {"layout", AT_FIELD_CHOICE, AT(layout), "pairs", 0, 0, "pairs|stream|documents",
     "pairs of lines; or one text SPLIT.txt in windows of max_length pieces, or by documents"},
    {"document", AT_FIELD_CHOICE, AT(document), "file", 0, 0, "file|paragraph|line",
     "what a document of a text is; between documents a stream has an end of sentence"},
    {"valid_part", AT_FIELD_REAL, AT(valid_part), "0", 0, 0.9, NULL,
     "part of train's text, its end, to validate by instead of the files of `valid`"},
    {"alignment", AT_FIELD_TEXT, AT(alignment), NULL, 0, 0, NULL,
     "ending of the files of word links (0-0 1-2) beside train, for train.guided_alignment"},
    {0}};

/* What was left out, for the log. */
typedef struct tally {
    size_t read, empty, too_long;
} tally;

/* One pair on its way in. */
typedef struct reading {
    const at_dataset_spec *spec;
    at_dataset *set;
    at_buf line;
    tally tally;
    const char *links_path; /* NULL: none wanted */
    at_lines *link_lines;
    at_links links;
} reading;

static at_text trim(at_text text)
{
    while (text.length && strchr(" \t\r\n", text.data[text.length - 1]))
        text.length--;
    while (text.length && strchr(" \t\r\n", text.data[0]))
        text.data++, text.length--;
    return text;
}

/* Encoders alone read <s> … </s>. */
static bool opens(at_data_task task)
{
    return task == AT_TASK_CLASSIFY || task == AT_TASK_MASK || task == AT_TASK_CONTRAST;
}

static bool has_target(at_data_task task)
{
    return task != AT_TASK_CLASSIFY && task != AT_TASK_MASK;
}

/* Appends the pieces of a line with </s> behind them, whatever the tokenizer's template, and <s> before them
 * if the task wants it. */
static at_status encode(const at_dataset *set, at_text text, double dropout, at_rng *rng, at_ids *ids)
{
    const at_tokenizer *tokenizer = set->tokenizer;
    int32_t eos = at_tokenizer_eos(tokenizer);
    if (eos < 0)
        return at_fail(AT_ENOSUP, "the tokenizer has no </s>, which ends every sentence");
    int32_t bos = at_tokenizer_bos(tokenizer);
    if (opens(set->task) && bos < 0)
        return at_fail(AT_ENOSUP, "the tokenizer has no <s>, which begins every text of an encoder");
    at_encoding encoding = {.close = true, .dropout = dropout, .rng = rng};
    at_status st = opens(set->task) ? at_ids_push(ids, bos) : AT_OK;
    if (st == AT_OK)
        st = at_tokenizer_encode(tokenizer, text.data, text.length, &encoding, ids);
    if (st == AT_OK && (!ids->count || ids->id[ids->count - 1] != eos))
        st = at_ids_push(ids, eos);
    return st;
}

/* Prepares and segments one side of the newest pair; the text is kept when it will be segmented again. */
static at_status add_side(reading *r, bool source, at_text text, at_dataset_side *side)
{
    const at_dataset_spec *spec = r->spec;
    size_t next = r->set->count + 1;
    at_status st = AT_OK;
    if (spec->preprocess) {
        at_buf_clear(&r->line);
        st = at_preprocess_apply(spec->preprocess, source, text.data, &r->line);
        if (st == AT_OK)
            st = at_buf_status(&r->line);
        text = (at_text){r->line.data ? r->line.data : "", r->line.length};
    }
    if (st == AT_OK)
        st = at_grow(&side->offsets, &side->offsets_capacity, next + 1, sizeof *side->offsets);
    if (st == AT_OK)
        st = at_grow(&side->starts, &side->starts_capacity, next + 1, sizeof *side->starts);
    if (st != AT_OK)
        return st;
    text = trim(text);
    side->starts[0] = side->offsets[0] = 0;
    if (r->set->dropout > 0)
        at_buf_bytes(&side->text, text.data, text.length);
    st = at_buf_status(&side->text);
    if (st == AT_OK && text.length)
        st = encode(r->set, text, 0, NULL, &side->ids);
    side->starts[next] = side->text.length;
    side->offsets[next] = side->ids.count;
    return st;
}

static void take_back(at_dataset_side *side, size_t count)
{
    side->ids.count = side->offsets[count];
    side->text.length = side->starts[count];
}

static void cut(at_dataset_side *side, size_t count, size_t most)
{
    size_t first = side->offsets[count], length = at_dataset_length(side, count);
    if (length <= most)
        return;
    side->ids.id[first + most - 1] = side->ids.id[side->ids.count - 1]; /* </s> */
    side->ids.count = side->offsets[count + 1] = first + most;
}

/* The number of a label; one that the spec does not list is an error. */
static at_status add_label(reading *r, const char *place, at_text label)
{
    at_dataset *set = r->set;
    char known[200];
    label = trim(label);
    if (!label.length)
        return at_fail(AT_EFORMAT, "%s: no label before the tab; want label, tab, text", place);
    at_status st = at_grow(&set->labels, &set->labels_capacity, set->count + 1, sizeof *set->labels);
    if (st != AT_OK)
        return st;
    if (!r->spec->classes)
        return at_classes_add(&set->classes, label.data, label.length, &set->labels[set->count]);
    set->labels[set->count] = at_classes_find(&set->classes, label.data, label.length);
    if (set->labels[set->count] >= 0)
        return AT_OK;
    at_classes_list(&set->classes, known, sizeof known);
    return at_fail(AT_EFORMAT, "%s: unknown label '%.*s'; the model knows %s", place,
                   (int)(label.length < 60 ? label.length : 60), label.data, known);
}

static at_status add_pair(void *context, const char *place, at_text source, at_text target)
{
    reading *r = context;
    at_dataset *set = r->set;
    bool both = has_target(set->task);
    r->tally.read++;
    at_status st = set->task == AT_TASK_CLASSIFY ? add_label(r, place, target) : AT_OK;
    if (st == AT_OK)
        st = add_side(r, true, source, &set->source);
    if (st == AT_OK)
        st = add_side(r, false, both ? target : (at_text){"", 0}, &set->target);
    if (st != AT_OK)
        return st;
    size_t s = at_dataset_length(&set->source, set->count), t = at_dataset_length(&set->target, set->count);
    bool empty = s == 0 || (both && t == 0), too_long = s > set->max_length || t > set->max_length;
    r->tally.empty += empty;
    r->tally.too_long += too_long && !empty;
    if (empty || (too_long && r->spec->options->too_long == AT_TOO_LONG_DROP)) {
        take_back(&set->source, set->count);
        take_back(&set->target, set->count);
        return AT_OK;
    }
    if (set->links) {
        st = at_dataset_links_add(set, &r->links, source.data, target.data);
        if (st != AT_OK)
            return st;
    }
    cut(&set->source, set->count, set->max_length);
    cut(&set->target, set->count, set->max_length);
    if (set->links)
        at_dataset_links_cut(set);
    set->count++;
    return set->count < UINT32_MAX ? AT_OK : at_fail(AT_EARG, "more than %u pairs", UINT32_MAX - 1);
}

static void report(const at_log *log, const char *source_path, const char *target_path, const reading *r)
{
    bool dropped = r->spec->options->too_long == AT_TOO_LONG_DROP;
    const tally *t = &r->tally;
    at_log_line(log, "%s%s%s: %zu %s; %zu empty dropped; %zu longer than %zu pieces %s", source_path,
                target_path ? ", " : "", target_path ? target_path : "", t->read,
                has_target(r->set->task) ? "pairs" : "texts", t->empty, t->too_long, r->set->max_length,
                dropped ? "dropped" : "cut");
}

/* The links of the pair just read, if there are any to come with it. */
static at_status read_links(reading *r)
{
    at_text line = {0};
    if (!r->link_lines)
        return AT_OK;
    at_status st = at_lines_next(r->link_lines, &line);
    if (st == AT_OK && !line.data)
        st = at_fail(AT_EFORMAT, "fewer lines than the pairs beside it");
    return st == AT_OK ? at_links_parse(line.data, &r->links) : st;
}

static at_status expect_no_more_links(reading *r)
{
    at_text line = {0};
    at_status st = r->link_lines ? at_lines_next(r->link_lines, &line) : AT_OK;
    if (st == AT_OK && line.data)
        st = at_fail(AT_EFORMAT, "%s: more lines than the %zu pairs beside it", r->links_path, r->tally.read);
    return st;
}

static at_status add_linked(void *context, const char *place, at_text source, at_text target)
{
    reading *r = context;
    at_status st = read_links(r);
    if (st == AT_OK)
        st = add_pair(r, place, source, target);
    if (st == AT_EFORMAT && r->link_lines)
        st = at_fail_within(st, "%s:%zu", r->links_path, at_lines_number(r->link_lines));
    return st;
}

/* Adds the examples of one corpus to the set; links_path NULL: they have no links. */
static at_status add_files(const char *source_path, const char *target_path, const char *links_path,
                           const at_dataset_spec *spec, const at_log *log, at_dataset *set)
{
    reading r = {.spec = spec, .set = set, .links_path = links_path};
    at_status st = links_path ? at_lines_open(links_path, &r.link_lines) : AT_OK;
    if (st == AT_OK)
        st = at_dataset_visit(source_path, target_path, set->task, add_linked, &r);
    if (st == AT_OK)
        st = expect_no_more_links(&r);
    if (st == AT_OK)
        report(log, source_path, target_path, &r);
    if (r.link_lines)
        at_lines_close(r.link_lines);
    at_links_free(&r.links);
    at_buf_free(&r.line);
    return st;
}

static at_status begin(at_dataset *set, const at_dataset_spec *spec)
{
    *set = (at_dataset){.max_length = (size_t)spec->options->max_length,
                        .tokenizer = spec->tokenizer,
                        .task = spec->task ? spec->task : AT_TASK_SEQ2SEQ,
                        .dropout = spec->dropout ? spec->options->bpe_dropout : 0};
    if (spec->links && spec->options->alignment) {
        set->links = at_alloc_zero(1, sizeof *set->links);
        if (!set->links)
            return AT_ENOMEM;
    }
    return spec->classes ? at_classes_copy(spec->classes, &set->classes) : AT_OK;
}

/* Labels that were numbered as they came are numbered as they sort. */
static at_status sort_labels(at_dataset *set)
{
    int32_t *moved = at_alloc_array(set->classes.count + 1, sizeof *moved);
    at_status st = moved ? at_classes_sort(&set->classes, moved) : AT_ENOMEM;
    for (size_t i = 0; st == AT_OK && i < set->count; i++)
        set->labels[i] = moved[set->labels[i]];
    at_free(moved);
    return st;
}

/* given: the labels' numbers were. */
static at_status finish(at_dataset *set, at_status st, const char *name, bool given)
{
    if (st == AT_OK && !set->count)
        st = at_fail(AT_EFORMAT,
                     has_target(set->task)
                         ? "%s: no pair with text on both sides and at most %zu pieces (data.max_length)"
                         : "%s: no text of at most %zu pieces (data.max_length)",
                     name, set->max_length);
    if (st == AT_OK && set->task == AT_TASK_CLASSIFY && !given)
        st = sort_labels(set);
    if (st != AT_OK) {
        at_dataset_free(set);
        return st;
    }
    set->mark = at_crc32(0, set->source.ids.id, set->source.ids.count * sizeof(int32_t));
    set->mark = at_crc32(set->mark, set->target.ids.id, set->target.ids.count * sizeof(int32_t));
    if (set->labels)
        set->mark = at_crc32(set->mark, set->labels, set->count * sizeof *set->labels);
    return AT_OK;
}

at_status at_dataset_load_files(const char *source_path, const char *target_path, const at_dataset_spec *spec,
                                const at_log *log, at_dataset *set)
{
    at_status st = begin(set, spec);
    AT_ASSERT(!set->links); /* they are found by the split's name */
    if (st == AT_OK)
        st = add_files(source_path, target_path, NULL, spec, log, set);
    return finish(set, st, source_path, spec->classes != NULL);
}

static at_status add_split(const char *name, const at_dataset_spec *spec, const at_log *log, at_dataset *set)
{
    char *source, *target, *links = NULL;
    at_data_options options = *spec->options; /* its task may be AUTO */
    options.task = set->task;
    at_status st = at_dataset_find(spec->folder, name, &options, &source, &target);
    if (st == AT_OK && set->links) {
        st = at_data_file(spec->folder, name, spec->options->alignment, &links);
        if (st == AT_OK && !links)
            st = at_fail(AT_EIO, "%s: no %s.%s, nor with .gz: the links that data.alignment names",
                         spec->folder, name, spec->options->alignment);
    }
    if (st == AT_OK)
        st = add_files(source, target, links, spec, log, set);
    at_free(source);
    at_free(target);
    at_free(links);
    return st;
}

at_status at_dataset_load(const at_dataset_spec *spec, const at_log *log, at_dataset *set)
{
    at_status st = begin(set, spec);
    for (const char *at = spec->split; st == AT_OK && at; at = strchr(at, ',') ? strchr(at, ',') + 1 : NULL) {
        char *name = at_strndup(at, strcspn(at, ","));
        st = name ? add_split(name, spec, log, set) : AT_ENOMEM;
        at_free(name);
    }
    return finish(set, st, spec->split, spec->classes != NULL);
}

static void free_side(at_dataset_side *side)
{
    at_ids_free(&side->ids);
    at_free(side->offsets);
    at_buf_free(&side->text);
    at_free(side->starts);
}

void at_dataset_free(at_dataset *set)
{
    free_side(&set->source);
    free_side(&set->target);
    at_free(set->labels);
    at_classes_free(&set->classes);
    at_dataset_links_free(set);
    *set = (at_dataset){0};
}

/* A stream of its own for each side of each pair in each epoch: order and threads do not matter. */
static at_rng side_rng(uint64_t seed, uint64_t epoch, uint64_t pair, uint64_t side)
{
    return at_rng_make(seed ^ (epoch + 1) * 0x9e3779b97f4a7c15u ^ (2 * pair + side + 1) * 0xd1b54a32d192ed03u,
                       AT_RNG_TOKENIZER);
}

/* All lines of one side anew, into `ids` and `offsets`. */
static at_status segment_side(const at_dataset *set, const at_dataset_side *side, uint64_t seed,
                              uint64_t epoch, at_ids *ids, size_t *offsets)
{
    offsets[0] = 0;
    for (size_t i = 0; i < set->count; i++) {
        at_text text = {side->text.data + side->starts[i], side->starts[i + 1] - side->starts[i]};
        at_rng rng = side_rng(seed, epoch, i, side == &set->target);
        at_status st = text.length ? encode(set, text, set->dropout, &rng, ids) : AT_OK;
        if (st == AT_OK && ids->count - offsets[i] > set->max_length) {
            ids->count = offsets[i];
            st = encode(set, text, 0, NULL, ids);
        }
        if (st != AT_OK)
            return st;
        if (ids->count - offsets[i] > set->max_length) { /* one that too_long truncates */
            ids->id[offsets[i] + set->max_length - 1] = ids->id[ids->count - 1];
            ids->count = offsets[i] + set->max_length;
        }
        offsets[i + 1] = ids->count;
    }
    return AT_OK;
}

at_status at_dataset_segment(at_dataset *set, uint64_t seed, uint64_t epoch)
{
    if (set->dropout <= 0)
        return AT_OK;
    at_dataset_side *sides[2] = {&set->source, &set->target};
    at_ids ids[2] = {{0}, {0}};
    size_t *offsets[2] = {at_alloc_array(set->count + 1, sizeof(size_t)),
                          at_alloc_array(set->count + 1, sizeof(size_t))};
    at_status st = offsets[0] && offsets[1] ? AT_OK : AT_ENOMEM;
    for (int i = 0; st == AT_OK && i < 2; i++)
        st = segment_side(set, sides[i], seed, epoch, &ids[i], offsets[i]);
    for (int i = 0; i < 2; i++) {
        if (st != AT_OK) {
            at_ids_free(&ids[i]);
            at_free(offsets[i]);
            continue;
        }
        at_ids_free(&sides[i]->ids);
        at_free(sides[i]->offsets);
        sides[i]->ids = ids[i];
        sides[i]->offsets = offsets[i];
        sides[i]->offsets_capacity = set->count + 1;
    }
    return st == AT_OK && set->links ? at_dataset_links_find(set) : st;
}

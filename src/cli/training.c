#include "cli/training.h"
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include "base/file.h"
#include "base/memory.h"

static const char *const in_model[] = {"family", NULL}, *const in_data[] = {"folder", NULL},
                         *const in_tokenizer[] = {"preprocess", NULL};

/* ---------------------------------------------------------------- the recipe */

static bool section_has(const char *name, const at_field *fields, const char *key)
{
    size_t length = strlen(name);
    if (!strncmp(key, name, length) && key[length] == '.')
        key += length + 1;
    return at_fields_find(fields, key) != NULL;
}

bool at_training_knows(const char *key)
{
    for (size_t i = 0; at_families[i]; i++)
        if (section_has("model", at_families[i]->fields, key))
            return true;
    return section_has("train", at_train_fields, key) || section_has("data", at_data_fields, key) ||
           section_has("tokenizer", at_tokenizer_fields, key) ||
           section_has("tokenizer.preprocess", at_preprocess_fields, key) ||
           section_has("decode", at_beam_fields, key) || section_has("pictures", at_picture_fields, key) ||
           section_has("augment", at_augment_fields, key);
}

static at_status default_all(at_training *t)
{
    const at_section model = {"model", t->family->fields, t->model_options, in_model};
    const at_section texts[] = {model,
                                {"tokenizer", at_tokenizer_fields, &t->pieces, in_tokenizer},
                                {"tokenizer.preprocess", at_preprocess_fields, &t->preprocess, NULL},
                                {"data", at_data_fields, &t->data, in_data},
                                {"train", at_train_fields, &t->train, NULL},
                                {"decode", at_beam_fields, &t->decode, NULL}};
    const at_section pictures[] = {model,
                                   {"data", at_data_fields, &t->data, in_data},
                                   {"pictures", at_picture_fields, &t->pictures, NULL},
                                   {"augment", at_augment_fields, &t->augment, NULL},
                                   {"train", at_train_fields, &t->train, NULL}};
    size_t count = t->family->pixels ? sizeof pictures / sizeof *pictures : sizeof texts / sizeof *texts;
    memcpy(t->sections, t->family->pixels ? pictures : texts, count * sizeof *t->sections);
    t->recipe = (at_recipe){t->sections, count};
    for (size_t i = 0; i < count; i++) {
        at_status st = at_fields_default(t->sections[i].fields, t->sections[i].target);
        if (st != AT_OK)
            return st;
    }
    return AT_OK;
}

/* A section that this kind of family does not read would be without effect. */
static at_status check_sections(const at_training *t, const json_t *root)
{
    static const char *const names[2][2] = {{"pictures", "augment"}, {"tokenizer", "decode"}};
    bool pictures = t->family->pixels != NULL;
    for (int i = 0; i < 2; i++)
        if (json_object_get(root, names[pictures][i]))
            return at_fail(AT_EARG, "section '%s': a %s learns from %s", names[pictures][i], t->family->name,
                           pictures ? "pictures" : "texts");
    return AT_OK;
}

static at_status copy_text(const json_t *object, const char *key, char **copy)
{
    const char *text = NULL;
    at_status st = at_json_text_or(object, key, &text);
    if (st != AT_OK || !text)
        return st;
    *copy = at_strdup(text);
    return *copy ? AT_OK : AT_ENOMEM;
}

static at_status read_root(at_training *t, const json_t *root)
{
    const char *name = "transformer";
    const json_t *model = json_object_get(root, "model"), *data = json_object_get(root, "data");
    at_status st = model ? at_json_text_or(model, "family", &name) : AT_OK;
    if (st != AT_OK)
        return st;
    st = at_family_get(name, &t->family);
    if (st != AT_OK)
        return st;
    t->model_options = at_alloc_zero(1, t->family->options_size);
    st = t->model_options ? default_all(t) : AT_ENOMEM;
    if (st == AT_OK)
        st = check_sections(t, root);
    if (st == AT_OK)
        st = at_recipe_apply(&t->recipe, root);
    if (st == AT_OK)
        st = copy_text(root, "description", &t->description);
    if (st == AT_OK && data)
        st = copy_text(data, "folder", &t->folder);
    return st;
}

/* The recipe's section "model" for another family: what that one does not know is left out. */
static at_status change_family(at_training *t, json_t *root, const char *name)
{
    const at_family *family;
    at_status st = at_family_get(name, &family);
    if (st != AT_OK)
        return st;
    json_t *model = json_object_get(root, "model"), *value;
    if (!model && json_object_set_new(root, "model", model = json_object()) != 0)
        return AT_ENOMEM;
    const char *key, *before = json_string_value(json_object_get(model, "family"));
    if (!strcmp(before ? before : "transformer", name) || !json_is_object(model))
        return AT_OK;
    at_buf left_out = {0};
    void *next;
    json_object_foreach_safe(model, next, key, value)
    {
        if (at_fields_find(family->fields, key) || !strcmp(key, "family"))
            continue;
        at_buf_printf(&left_out, "%s%s", left_out.length ? ", " : "", key);
        json_object_del(model, key);
    }
    t->left_out = left_out.length ? at_buf_take(&left_out) : NULL;
    at_buf_free(&left_out);
    return json_object_set_new(model, "family", json_string(name)) == 0 ? AT_OK : AT_ENOMEM;
}

at_status at_training_read(at_training *t, const char *path, const char *family)
{
    static const char *const names[] = {"model",  "tokenizer", "data",    "train",
                                        "decode", "pictures",  "augment", NULL};
    json_t *root;
    at_status st = at_recipe_load(path, names, &root);
    if (st != AT_OK)
        return st;
    st = family ? change_family(t, root, family) : AT_OK;
    if (st == AT_OK)
        st = read_root(t, root);
    json_decref(root);
    return st == AT_OK || st == AT_ENOMEM ? st : at_fail_within(st, "%s", path);
}

at_status at_training_change(at_training *t, const char *key, const char *value)
{
    bool known;
    at_status st = at_recipe_flag(&t->recipe, key, value, &known);
    if (st == AT_OK && !known)
        return at_fail(AT_EARG, "--%s is no option of a %s", key, t->family->name);
    return st;
}

at_status at_training_assign(at_training *t, const char *assignment)
{
    return at_recipe_set(&t->recipe, assignment);
}

at_status at_training_save(const at_training *t, const char *path)
{
    json_t *root = at_recipe_write(&t->recipe, t->description);
    if (!root)
        return AT_ENOMEM;
    at_status st = AT_OK;
    if (json_object_set_new(json_object_get(root, "model"), "family", json_string(t->family->name)) != 0 ||
        (t->folder &&
         json_object_set_new(json_object_get(root, "data"), "folder", json_string(t->folder)) != 0))
        st = at_fail(AT_ENOMEM, "out of memory while writing a recipe");
    if (st == AT_OK)
        st = at_json_save(path, root);
    json_decref(root);
    return st;
}

/* ---------------------------------------------------------------- tokenizer */

static at_status learn_line(at_training *t, at_learner *learner, bool source, const char *line, size_t length,
                            at_buf *prepared)
{
    if (!at_preprocess_any(&t->preprocess))
        return at_learner_line(learner, line, length);
    at_buf_clear(prepared);
    at_status st = at_preprocess_apply(&t->preprocess, source, line, prepared);
    return st == AT_OK ? at_learner_line(learner, prepared->data ? prepared->data : "", prepared->length)
                       : st;
}

/* All sources first, then all targets: what is as frequent as something else keeps its place. */
typedef struct learning {
    at_textfile sources, targets;
    bool both;
} learning;

static at_status collect_lines(void *context, const char *place, at_text source, at_text target)
{
    (void)place;
    learning *l = context;
    at_status st = at_textfile_add(&l->sources, source.data, source.length);
    return st == AT_OK && l->both ? at_textfile_add(&l->targets, target.data, target.length) : st;
}

static at_status learn_split(at_training *t, at_learner *learner, const char *split)
{
    char *source_path = NULL, *target_path = NULL;
    learning l = {.both = t->data.task == AT_TASK_SEQ2SEQ || t->data.task == AT_TASK_CONTRAST};
    at_buf prepared = {0};
    at_status st = at_dataset_find(t->folder, split, &t->data, &source_path, &target_path);
    if (st == AT_OK)
        st = at_dataset_visit(source_path, target_path, (at_data_task)t->data.task, collect_lines, &l);
    for (size_t i = 0; st == AT_OK && i < l.sources.count; i++)
        st = learn_line(t, learner, true, l.sources.lines[i], strlen(l.sources.lines[i]), &prepared);
    for (size_t i = 0; st == AT_OK && i < l.targets.count; i++)
        st = learn_line(t, learner, false, l.targets.lines[i], strlen(l.targets.lines[i]), &prepared);
    at_buf_free(&prepared);
    at_textfile_free(&l.targets);
    at_textfile_free(&l.sources);
    at_free(target_path);
    at_free(source_path);
    return st;
}

/* Calls `visit` for each name of "a,b,c". */
static at_status each_split(at_training *t, const char *splits,
                            at_status (*visit)(at_training *t, const char *split, void *context),
                            void *context)
{
    at_status st = AT_OK;
    for (const char *p = splits; st == AT_OK && *p;) {
        size_t length = strcspn(p, ",");
        char *name = at_strndup(p, length);
        st = name ? visit(t, name, context) : AT_ENOMEM;
        at_free(name);
        p += length + (p[length] == ',');
    }
    return st;
}

static at_status visit_learn(at_training *t, const char *split, void *learner)
{
    return learn_split(t, learner, split);
}

static at_status learn_tokenizer(at_training *t, const char *path, const at_log *log)
{
    at_learner *learner;
    at_log_line(log, "learning %" PRId64 " pieces", t->pieces.vocab_size);
    at_status st = at_learner_new(&t->pieces, &learner);
    if (st != AT_OK)
        return st;
    st = t->data.layout == AT_LAYOUT_PAIRS ? each_split(t, t->data.train, visit_learn, learner)
                                           : at_training_learn_text(t, learner);
    if (st == AT_OK)
        st = at_learner_finish(learner, &t->tokenizer);
    at_learner_free(learner);
    return st == AT_OK ? at_tokenizer_save(t->tokenizer, path) : st;
}

/* The one of the model that this one starts from. */
static at_status take_tokenizer(at_training *t, const at_training_place *place, const char *path)
{
    char *from = at_path_join(place->init, "tokenizer.json");
    at_status st = from ? at_tokenizer_load(from, &t->tokenizer) : AT_ENOMEM;
    at_free(from);
    return st == AT_OK ? at_tokenizer_save(t->tokenizer, path) : at_fail_within(st, "--init");
}

static at_status get_tokenizer(at_training *t, const at_training_place *place, const at_log *log)
{
    char *path = at_path_join(place->out, "tokenizer.json");
    if (!path)
        return AT_ENOMEM;
    at_status st = AT_OK;
    if (place->resume && at_file_exists(path))
        st = at_tokenizer_load(path, &t->tokenizer);
    else if (place->init)
        st = take_tokenizer(t, place, path);
    else
        st = learn_tokenizer(t, path, log);
    at_free(path);
    return st;
}

/* ---------------------------------------------------------------- data and model */

static bool has_valid(const at_training *t)
{
    return t->data.valid && *t->data.valid;
}

static at_status load_pairs(at_training *t, const at_log *log)
{
    at_dataset_spec spec = {.folder = t->folder,
                            .split = t->data.train,
                            .options = &t->data,
                            .tokenizer = t->tokenizer,
                            .preprocess = &t->preprocess,
                            .dropout = true,
                            .links = t->train.guided_alignment > 0,
                            .task = (at_data_task)t->data.task};
    at_status st = at_dataset_load(&spec, log, &t->train_set);
    bool alone = t->data.task == AT_TASK_CLASSIFY || t->data.task == AT_TASK_MASK;
    snprintf(t->data_mark, sizeof t->data_mark, "%zu %s, checksum %08" PRIx32, t->train_set.count,
             alone ? "texts" : "pairs", t->train_set.mark);
    at_loader_options options =
        at_loader_options_from(&t->data, at_tokenizer_bos(t->tokenizer), (uint64_t)t->train.seed);
    if (st == AT_OK)
        st = at_loader_new(&t->train_set, &options, &t->train_loader);
    if (st != AT_OK || !has_valid(t))
        return st;
    spec.split = t->data.valid;
    spec.classes = t->data.task == AT_TASK_CLASSIFY ? &t->train_set.classes : NULL;
    spec.dropout = spec.links = false;
    options.shuffle = false;
    st = at_dataset_load(&spec, log, &t->valid_set);
    return st == AT_OK ? at_loader_new(&t->valid_set, &options, &t->valid_loader) : st;
}

/* Guided training wants links and a layer: of a Transformer the last but one of its decoder, if the recipe
 * names none (Garg et al. 2019). */
static at_status find_guided(at_training *t)
{
    if (t->train.guided_alignment <= 0)
        return AT_OK;
    if (!t->data.alignment || t->family->kind != AT_ENCODER_DECODER)
        return at_fail(
            AT_EARG,
            "option 'train.guided_alignment': wants pairs and data.alignment, the ending of the files "
            "of their word links");
    if (t->train.guided_layer >= 0)
        return AT_OK;
    json_t *options = at_fields_write(t->family->fields, t->model_options);
    const json_t *layers = json_object_get(options, "decoder_layers");
    bool looks_once = strcmp(t->family->name, "recurrent") == 0; /* whatever its layers */
    t->train.guided_layer = json_is_integer(layers) && !looks_once ? json_integer_value(layers) - 2 : 0;
    t->train.guided_layer = t->train.guided_layer > 0 ? t->train.guided_layer : 0;
    json_decref(options);
    return AT_OK;
}

/* A decoder alone learns from one text, the others from pairs. */
static at_status check_layout(const at_training *t)
{
    bool alone = t->family->kind == AT_DECODER_ONLY, pairs = t->data.layout == AT_LAYOUT_PAIRS;
    if (alone && pairs)
        return at_fail(AT_EARG,
                       "option 'data.layout': a %s learns from one text: set it to stream or documents",
                       t->family->name);
    if (pairs && t->data.valid_part > 0)
        return at_fail(AT_EARG, "option 'data.valid_part': pairs have files of their own to validate by");
    if (!alone && !pairs)
        return at_fail(AT_EARG, "option 'data.layout': a %s learns from pairs of lines", t->family->name);
    return AT_OK;
}

static at_status build_model(at_training *t)
{
    const at_tokenizer *k = t->tokenizer;
    at_vocabulary v = {.pad = -1, .bos = -1, .eos = -1, .unk = -1};
    if (k)
        v = (at_vocabulary){.source = at_tokenizer_size(k),
                            .target = at_tokenizer_size(k),
                            .pad = at_tokenizer_pad(k),
                            .bos = at_tokenizer_bos(k),
                            .eos = at_tokenizer_eos(k),
                            .unk = at_tokenizer_unk(k)};
    v.labels = (int64_t)t->train_set.classes.count;
    json_t *options = at_fields_write(t->family->fields, t->model_options);
    if (!options)
        return AT_ENOMEM;
    at_status st = at_model_new(t->family->name, options, &v, &t->model);
    json_decref(options);
    if (st != AT_OK)
        return st;
    size_t reach = at_model_reach(t->model);
    if (k && reach && (size_t)t->data.max_length > reach)
        return at_fail(AT_EARG,
                       "data.max_length %" PRId64 " is more than the model reaches: raise model.max_length, "
                       "%zu now, or lower it",
                       t->data.max_length, reach);
    st = at_params_allocate(&t->model->params);
    if (st == AT_OK)
        at_params_init(&t->model->params, (uint64_t)t->train.seed);
    return st;
}

static at_status take_weights(at_training *t, const char *init, const at_log *log)
{
    at_folder *from = NULL;
    at_status st = at_folder_load(init, NULL, &from);
    st = st == AT_OK ? at_training_take_weights(from, t->model, log) : at_fail_within(st, "--init");
    at_folder_free(from);
    return st;
}

/* Masked training needs the head that the weight of its loss declares. */
static at_status want_hidden(at_training *t)
{
    json_t *options = at_fields_write(t->family->fields, t->model_options);
    double weight = json_number_value(json_object_get(options, "mask_loss"));
    json_decref(options);
    if (!options)
        return AT_ENOMEM;
    return weight > 0 ? AT_OK : at_fields_set(t->family->fields, t->model_options, "mask_loss", "1");
}

/* What is learned, if the recipe does not say; and whether this family can. */
static at_status choose_task(at_training *t)
{
    static const at_data_task usual[] = {[AT_ENCODER_DECODER] = AT_TASK_SEQ2SEQ,
                                         [AT_DECODER_ONLY] = AT_TASK_LANGUAGE,
                                         [AT_ENCODER_ONLY] = AT_TASK_CLASSIFY};
    static const char *const can[] = {[AT_ENCODER_DECODER] = "seq2seq",
                                      [AT_DECODER_ONLY] = "language",
                                      [AT_ENCODER_ONLY] = "classify, mask, contrast"};
    at_family_kind kind = t->family->kind;
    if (t->data.task == AT_TASK_AUTO)
        t->data.task = usual[kind];
    bool encoder = t->data.task > AT_TASK_LANGUAGE;
    if (t->family->pixels && t->data.task != AT_TASK_CLASSIFY)
        return at_fail(AT_EARG, "option 'data.task': the family %s learns classify", t->family->name);
    if (kind == AT_ENCODER_ONLY ? !encoder : t->data.task != usual[kind])
        return at_fail(AT_EARG, "option 'data.task': the family %s learns %s", t->family->name, can[kind]);
    return t->data.task == AT_TASK_MASK ? want_hidden(t) : AT_OK;
}

/* Moses wants to know the languages; they are those of the data unless the recipe says otherwise. */
static at_status name_languages(at_training *t)
{
    at_status st = AT_OK;
    if (!t->preprocess.source)
        st = at_fields_set(at_preprocess_fields, &t->preprocess, "source", t->data.source);
    if (st == AT_OK && !t->preprocess.target)
        st = at_fields_set(at_preprocess_fields, &t->preprocess, "target", t->data.target);
    return st;
}

static at_status write_sections(at_training *t)
{
    if (t->family->pixels) {
        t->data_section = at_picture_section(&t->prepare);
        t->labels_section = at_classes_write(&t->train_set.classes);
        return t->data_section && t->labels_section
                   ? AT_OK
                   : at_fail(AT_ENOMEM, "out of memory while writing the model's sections");
    }
    bool searches = t->family->kind == AT_ENCODER_DECODER; /* the others know no beam */
    t->decode_section = searches ? at_fields_write(at_beam_fields, &t->decode) : NULL;
    t->data_section = t->data.layout == AT_LAYOUT_PAIRS
                          ? json_pack("{s:s, s:s}", "source", t->data.source, "target", t->data.target)
                          : at_training_text_section(t);
    bool ok = t->data_section && (t->decode_section || !searches);
    if (ok && t->train_set.classes.count)
        ok = (t->labels_section = at_classes_write(&t->train_set.classes)) != NULL;
    if (ok && t->train.guided_alignment > 0)
        ok = (t->align_section = json_pack("{s:I,s:I}", "layer", (json_int_t)t->train.guided_layer, "head",
                                           (json_int_t)t->train.guided_head)) != NULL;
    if (ok && at_preprocess_any(&t->preprocess))
        ok = (t->preprocess_section = at_fields_write(at_preprocess_fields, &t->preprocess)) != NULL;
    return ok ? AT_OK : at_fail(AT_ENOMEM, "out of memory while writing the model's sections");
}

static at_status visit_lines(at_training *t, const char *split, void *context)
{
    (void)context;
    char *source_path = NULL, *target_path = NULL;
    at_status st = at_dataset_find(t->folder, split, &t->data, &source_path, &target_path);
    if (st == AT_OK)
        st = at_textfile_read_pairs(&t->sources, &t->references, source_path, target_path);
    at_free(target_path);
    at_free(source_path);
    return st;
}

/* With Moses tokens scores are of tokens, as papers count them: references are prepared like translations. */
static at_status prepare_references(at_training *t)
{
    at_status st = AT_OK;
    for (size_t i = 0; st == AT_OK && t->preprocess.moses && i < t->references.count; i++) {
        at_buf line = {0};
        st = at_preprocess_apply(&t->preprocess, false, t->references.lines[i], &line);
        char *text = st == AT_OK ? at_buf_take(&line) : NULL;
        if (text) {
            at_free(t->references.lines[i]);
            t->references.lines[i] = text;
        } else if (st == AT_OK) {
            st = AT_ENOMEM;
        }
        at_buf_free(&line);
    }
    return st;
}

at_status at_training_prepare(at_training *t, const at_training_place *place, const at_log *log)
{
    at_status st = at_train_options_check(&t->train);
    if (st == AT_OK && !t->data.train)
        st = at_fail(AT_EARG, "option 'data.train': name the files to learn from");
    if (st == AT_OK)
        st = check_layout(t);
    if (st == AT_OK)
        st = choose_task(t);
    if (st == AT_OK)
        st = find_guided(t);
    if (st == AT_OK && t->train.r_drop > 0 && t->family->loss &&
        (t->family->pixels || t->data.task != AT_TASK_CLASSIFY))
        st = at_fail(AT_EARG,
                     "option 'train.r_drop': of models that predict pieces one after the other and of "
                     "classifiers of texts; leave it out");
    if (st == AT_OK)
        st = at_exec_new(place->kernels, place->threads, &t->exec);
    bool pictures = t->family->pixels != NULL;
    if (st == AT_OK && !pictures)
        st = name_languages(t);
    if (st == AT_OK && !pictures)
        st = get_tokenizer(t, place, log);
    if (st == AT_OK && pictures)
        st = at_training_find_pictures(t, log);
    else if (st == AT_OK)
        st = t->data.layout == AT_LAYOUT_PAIRS ? load_pairs(t, log) : at_training_load_text(t, place, log);
    if (st == AT_OK)
        st = build_model(t);
    if (st == AT_OK && pictures)
        st = at_training_load_pictures(t, log);
    if (st == AT_OK && place->init)
        st = take_weights(t, place->init, log);
    if (st == AT_OK)
        st = write_sections(t);
    if (st == AT_OK && has_valid(t) && t->train.score_every > 0 && t->data.task == AT_TASK_SEQ2SEQ) {
        st = each_split(t, t->data.valid, visit_lines, NULL);
        if (st == AT_OK)
            st = prepare_references(t);
    }
    return st;
}

void at_training_free(at_training *t)
{
    for (size_t i = 0; i < t->recipe.count; i++)
        at_fields_free(t->sections[i].fields, t->sections[i].target);
    at_free(t->model_options);
    at_free(t->description);
    at_free(t->left_out);
    at_free(t->folder);
    at_textfile_free(&t->sources);
    at_textfile_free(&t->references);
    json_decref(t->preprocess_section);
    json_decref(t->decode_section);
    json_decref(t->data_section);
    json_decref(t->labels_section);
    json_decref(t->align_section);
    at_loader_free(t->train_loader);
    at_loader_free(t->valid_loader);
    at_image_cache_free(t->cache);
    at_picture_split_free(&t->valid_split);
    at_picture_split_free(&t->train_split);
    at_dataset_free(&t->train_set);
    at_dataset_free(&t->valid_set);
    at_tokens_close(&t->train_tokens);
    at_tokens_close(&t->valid_tokens);
    at_model_free(t->model);
    at_tokenizer_free(t->tokenizer);
    at_exec_free(t->exec);
    *t = (at_training){0};
}

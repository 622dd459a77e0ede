#include <dirent.h>
#include <inttypes.h>
#include <math.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>
#include "base/clock.h"
#include "base/file.h"
#include "base/memory.h"
#include "cli/cli.h"
#include "cli/options.h"
#include "cli/output.h"
#include "cli/profile.h"
#include "cli/progress.h"
#include "cli/training.h"

enum { MOST_CHANGES = 128 };

/* A flag that changes the recipe; key NULL: --set's "section.key=value". */
typedef struct change {
    char *key;
    const char *value;
} change;

typedef struct options {
    char *recipe, *data, *out, *init;
    bool resume, force, profile;
    change changes[MOST_CHANGES];
    size_t change_count;
} options;

static const at_field fields[] = {
    {"recipe", AT_FIELD_TEXT, offsetof(options, recipe), NULL, 0, 0, NULL,
     "JSON file; with --resume OUT's own is the default"},
    {"data", AT_FIELD_TEXT, offsetof(options, data), NULL, 0, 0, NULL, "folder of the texts"},
    {"out", AT_FIELD_TEXT, offsetof(options, out), NULL, 0, 0, NULL,
     "folder for model, log, curves and checkpoints"},
    {"init", AT_FIELD_TEXT, offsetof(options, init), NULL, 0, 0, NULL,
     "model folder to start from: its tokenizer and its weights; heads that it lacks, or has for other "
     "labels, "
     "are newly made"},
    {"resume", AT_FIELD_BOOL, offsetof(options, resume), NULL, 0, 0, NULL,
     "go on from OUT's last checkpoint; begin if there is none"},
    {"force", AT_FIELD_BOOL, offsetof(options, force), NULL, 0, 0, NULL,
     "throw away the training that is in OUT"},
    {"profile", AT_FIELD_BOOL, offsetof(options, profile), NULL, 0, 0, NULL,
     "at the end: time, GFLOP/s and GB/s by operation, on stderr; how long pictures were waited for"},
    {0}};

static at_status note_change(void *target, const char *key, const char *value, bool *taken)
{
    options *o = target;
    bool set = !strcmp(key, "set");
    *taken = set || at_training_knows(key);
    if (!*taken || !value)
        return AT_OK;
    if (o->change_count == MOST_CHANGES)
        return at_fail(AT_EARG, "more than %d changes of a recipe: write a recipe of your own", MOST_CHANGES);
    /* The flag's name lives in the parser: keep a copy until the end. */
    change c = {set ? NULL : at_strdup(key), value};
    if (!set && !c.key)
        return AT_ENOMEM;
    o->changes[o->change_count++] = c;
    return AT_OK;
}

static const at_cli_spec spec = {
    .name = "train",
    .usage = "--recipe FILE --data FOLDER --out FOLDER [--resume] [any field of the recipe]",
    .summary =
        "Trains a model by a recipe. OUT holds the best model so far, ready to translate with, log.jsonl,\n"
        "curves.svg, and checkpoints. Ctrl-C saves a checkpoint; --resume goes on as if nothing had been.",
    .fields = fields,
    .other = note_change,
    .other_help =
        "  --set SECTION.KEY=VALUE         change a field of the recipe; may come several times\n"
        "  --KEY VALUE                     the same, where only one section has such a KEY: --lr 0.002\n",
    .examples =
        "  attend train --recipe recipes/multi30k-en-de.json --data data/multi30k --out m30k\n"
        "  attend train --resume --out m30k\n"
        "  attend train --recipe topics.json --data labelled --init masked --out topics\n"
        "  attend train --recipe recipes/copy.json --data copy --out copier --max-steps 500 --lr 0.002\n"
        "  attend train --recipe my.json --data texts --out m --set data.batch_tokens=2048 --seed 7\n",
    .no_words = true};

/* ---------------------------------------------------------------- stopping, reporting */

static volatile sig_atomic_t stop_asked;

static void ask_to_stop(int signal_number)
{
    (void)signal_number;
    stop_asked = 1;
}

/* The second Ctrl-C ends the program at once. */
static void watch_signals(void)
{
    struct sigaction action = {.sa_handler = ask_to_stop, .sa_flags = SA_RESETHAND};
    sigemptyset(&action.sa_mask);
    sigaction(SIGINT, &action, NULL);
    sigaction(SIGTERM, &action, NULL);
}

typedef struct running {
    const options *o;
    at_training training;
    at_progress_bar bar;
} running;

static bool asked_to_stop(void *context)
{
    (void)context;
    return stop_asked != 0;
}

static void stepped(void *context, const at_train_progress *progress)
{
    at_progress_step(&((running *)context)->bar, progress);
}

static void validated(void *context, const at_validation *validation)
{
    running *r = context;
    at_progress_validated(&r->bar, validation);
    /* A picture that cannot be drawn is no reason to end a training. */
    if (at_training_draw(r->o->out, r->training.description) != AT_OK)
        at_progress_remark(&r->bar, at_error_message());
}

static at_status score(void *context, const at_model *model, at_train_scores *scores)
{
    return at_training_score(&((running *)context)->training, model, scores);
}

/* ---------------------------------------------------------------- the folder */

static bool is_empty(const char *path)
{
    DIR *dir = opendir(path);
    bool empty = true;
    if (!dir)
        return true;
    for (struct dirent *entry; empty && (entry = readdir(dir)) != NULL;)
        empty = !strcmp(entry->d_name, ".") || !strcmp(entry->d_name, "..");
    closedir(dir);
    return empty;
}

/* What a training writes, and nothing else that may lie there. */
static at_status clear_folder(const char *out)
{
    static const char *const names[] = {"checkpoints",       "data",        "log.jsonl",
                                        "curves.svg",        "recipe.json", "tokenizer.json",
                                        "model.safetensors", "config.json", "README.md"};
    at_status st = AT_OK;
    for (size_t i = 0; st == AT_OK && i < sizeof names / sizeof names[0]; i++) {
        char *path = at_path_join(out, names[i]);
        st = path ? at_remove_tree(path) : AT_ENOMEM;
        at_free(path);
    }
    return st;
}

/* So that the folder is known as a training's from its first moment on. */
static at_status open_folder(const char *out)
{
    char *path = at_path_join(out, "log.jsonl");
    at_status st = path ? at_make_folder(out) : AT_ENOMEM;
    if (st == AT_OK && !at_file_exists(path))
        st = at_file_write(path, "", 0);
    at_free(path);
    return st;
}

/* ---------------------------------------------------------------- the command */

/* The last --set model.family=NAME: the other changes are of that family's options. NULL: none. */
static const char *take_family(options *o)
{
    static const char set[] = "model.family=";
    const char *family = NULL;
    size_t kept = 0;
    for (size_t i = 0; i < o->change_count; i++) {
        if (!o->changes[i].key && !strncmp(o->changes[i].value, set, sizeof set - 1))
            family = o->changes[i].value + sizeof set - 1;
        else
            o->changes[kept++] = o->changes[i];
    }
    o->change_count = kept;
    return family;
}

/* AT_CLI_GO, or the exit code of wrong usage. */
static int read_recipe(options *o, const at_cli_common *common, at_training *t)
{
    char *own = at_path_join(o->out, "recipe.json");
    at_status st = own ? AT_OK : AT_ENOMEM;
    const char *path = o->recipe;
    if (st == AT_OK && !path && o->resume && at_file_exists(own))
        path = own;
    if (st == AT_OK && !path) {
        at_free(own);
        return at_cli_wrong(&spec, o->resume ? "no recipe.json in --out: name the recipe with --recipe FILE"
                                             : "name the recipe with --recipe FILE");
    }
    if (st == AT_OK)
        st = at_training_read(t, path, take_family(o));
    if (st == AT_OK && t->left_out && !common->quiet)
        at_cli_note(&spec, "model.family %s has no %s: left out", t->family->name, t->left_out);
    for (size_t i = 0; st == AT_OK && i < o->change_count; i++)
        st = o->changes[i].key ? at_training_change(t, o->changes[i].key, o->changes[i].value)
                               : at_training_assign(t, o->changes[i].value);
    if (st == AT_OK && common->seed_given)
        t->train.seed = common->seed;
    if (st == AT_OK && o->data) {
        at_free(t->folder);
        t->folder = at_strdup(o->data);
        st = t->folder ? AT_OK : AT_ENOMEM;
    }
    at_free(own);
    if (st == AT_OK && !t->folder)
        return at_cli_wrong(&spec, "name the folder of the texts with --data FOLDER");
    if (st == AT_EARG) {
        at_cli_failed(&spec, st);
        return AT_CLI_WRONG;
    }
    return st == AT_OK ? AT_CLI_GO : at_cli_failed(&spec, st);
}

static at_status prepare(options *o, const at_cli_common *common, running *r, const at_log *log)
{
    at_training_place place = {.out = o->out,
                               .resume = o->resume,
                               .threads = (int)common->threads,
                               .kernels = common->kernels,
                               .init = o->init};
    bool fresh = is_empty(o->out);
    at_status st = o->force && !o->resume ? clear_folder(o->out) : AT_OK;
    if (st == AT_OK)
        st = open_folder(o->out);
    if (st == AT_OK)
        st = at_training_prepare(&r->training, &place, log);
    char *path = at_path_join(o->out, "recipe.json");
    if (st == AT_OK)
        st = path ? at_training_save(&r->training, path) : AT_ENOMEM;
    at_free(path);
    if (st != AT_OK && fresh) { /* a training that could not begin leaves nothing behind */
        char *message = at_strdup(at_error_message());
        if (clear_folder(o->out) == AT_OK)
            (void)rmdir(o->out); /* other things may lie there */
        if (message)
            at_fail(st, "%s", message);
        at_free(message);
    }
    return st;
}

static at_status print_json(const at_train_result *result)
{
    json_t *o = json_pack("{s:s, s:I, s:I, s:I, s:I, s:I, s:f}", "end", at_train_end_text(result->end),
                          "steps", (json_int_t)result->steps, "epochs", (json_int_t)result->epochs, "skipped",
                          (json_int_t)result->skipped, "best_step", (json_int_t)result->best_step, "averaged",
                          (json_int_t)result->averaged, "seconds", result->seconds);
    if (o && isfinite(result->best_loss))
        json_object_set_new(o, "valid_loss", json_real(result->best_loss));
    if (o && isfinite(result->best_scores.bleu))
        json_object_set_new(o, "bleu", json_real(result->best_scores.bleu));
    if (o && isfinite(result->best_scores.chrf))
        json_object_set_new(o, "chrf", json_real(result->best_scores.chrf));
    if (o && isfinite(result->best_scores.accuracy))
        json_object_set_new(o, "accuracy", json_real(result->best_scores.accuracy));
    return at_cli_print_json(o, JSON_INDENT(2) | JSON_REAL_PRECISION(9));
}

static at_status print_profile(const at_training *t, double seconds)
{
    at_status st = at_cli_profile(t->exec);
    if (st == AT_OK && t->family->pixels) {
        at_picture_figures made = at_picture_loader_figures(t->train_loader);
        fprintf(stderr, "pictures: %zu made, %zu left out; updates waited %.2f s of %.1f for them\n",
                made.pictures, made.broken, made.waited, seconds);
    }
    return st;
}

static void say_end(const options *o, const at_train_result *result)
{
    char span[16];
    at_clock_span(result->seconds, span);
    if (result->end == AT_END_STOPPED) {
        at_cli_note(&spec, "stopped at step %" PRId64 "; go on with: attend train --resume --out %s",
                    result->steps, o->out);
        return;
    }
    at_cli_note(&spec, "%s after %" PRId64 " updates, %s; %s holds %s", at_train_end_text(result->end),
                result->steps, span, o->out,
                result->averaged ? "the mean of the last checkpoints" : "the best model");
}

static int run(options *o, const at_cli_common *common, running *r)
{
    at_log log = {at_progress_remark, &r->bar};
    at_status st = prepare(o, common, r, &log);
    if (st != AT_OK)
        return at_cli_failed(&spec, st);
    at_training *t = &r->training;
    if (t->family->pixels)
        r->bar.unit = "pictures";
    if (!common->quiet)
        at_cli_note(&spec, "%zu parameters, %s, %zu batches an epoch, %s kernels, %d threads",
                    at_params_numbers(&t->model->params), t->data_mark, at_loader_batches(t->train_loader),
                    t->exec->kernels->name, t->exec->threads);
    at_train_task task = {.exec = t->exec,
                          .model = t->model,
                          .train = t->train_loader,
                          .valid = t->valid_loader,
                          .options = &t->train,
                          .content = {.tokenizer = t->tokenizer,
                                      .preprocess = t->preprocess_section,
                                      .decode = t->decode_section,
                                      .data = t->data_section,
                                      .labels = t->labels_section,
                                      .align = t->align_section},
                          .out = o->out,
                          .resume = o->resume,
                          .data_mark = t->data_mark,
                          .hooks = {r, stepped, score, validated, asked_to_stop},
                          .log = &log};
    at_train_result result;
    at_profile profile;
    at_profile_start(&profile);
    t->exec->profile = o->profile ? &profile : NULL;
    watch_signals();
    double start = at_clock();
    st = at_train(&task, &result);
    at_progress_end(&r->bar);
    if (st == AT_OK && o->profile)
        st = print_profile(t, at_clock() - start);
    t->exec->profile = NULL;
    if (st != AT_OK)
        return at_cli_failed(&spec, st);
    if (!common->quiet)
        say_end(o, &result);
    if (common->json && (st = print_json(&result)) != AT_OK)
        return at_cli_failed(&spec, st);
    return result.end == AT_END_STOPPED ? AT_CLI_FAILED : AT_CLI_DONE;
}

static int check_words(const options *o)
{
    if (!o->out)
        return at_cli_wrong(&spec, "name the folder for the model with --out FOLDER");
    if (o->resume && o->init)
        return at_cli_wrong(&spec, "--resume goes on with the weights in --out: leave --init out");
    if (o->resume && o->force)
        return at_cli_wrong(&spec, "--resume keeps what --force throws away: give one of them");
    if (at_file_exists(o->out) && !at_is_folder(o->out)) {
        at_cli_note(&spec, "%s is a file; name a folder", o->out);
        return AT_CLI_FAILED;
    }
    if (!o->resume && !o->force && !is_empty(o->out)) {
        at_cli_note(&spec, "%s is not empty: --resume goes on with the training there, --force begins anew",
                    o->out);
        return AT_CLI_FAILED;
    }
    return AT_CLI_GO;
}

int at_cli_train(int argc, char **argv)
{
    options o = {0};
    at_cli_common common;
    int code = at_cli_parse(&spec, argc, argv, &o, &common, NULL);
    if (code == AT_CLI_GO) {
        running r = {.o = &o, .bar = at_progress_begin(common.quiet)};
        code = check_words(&o);
        if (code == AT_CLI_GO)
            code = read_recipe(&o, &common, &r.training);
        if (code == AT_CLI_GO)
            code = run(&o, &common, &r);
        at_training_free(&r.training);
        at_cli_free(&spec, &o, &common);
    }
    for (size_t i = 0; i < o.change_count; i++)
        at_free(o.changes[i].key);
    return code;
}

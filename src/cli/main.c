#include <locale.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include "attend.h"
#include "base/field.h"
#include "cli/cli.h"

typedef struct command {
    const char *name;
    int (*run)(int argc, char **argv);
    const char *summary;
} command;

static const command commands[] = {
    {"train", at_cli_train, "train a model on your data, by a recipe"},
    {"translate", at_cli_translate, "lines in, lines out"},
    {"align", at_cli_align, "word alignments of translations that are given"},
    {"generate", at_cli_generate, "write on from a prompt"},
    {"classify", at_cli_classify, "lines to labels with probabilities"},
    {"embed", at_cli_embed, "lines or words to vectors; what is near what"},
    {"show", at_cli_show, "which word looked at which: a picture of the attention"},
    {"eval", at_cli_eval, "BLEU and chrF of a model or of a file of translations"},
    {"tokenize", at_cli_tokenize, "lines to pieces or ids; trains a tokenizer"},
    {"attention", at_cli_attention, "numbers for queries, keys and values: every step of the mechanism"},
    {"average", at_cli_average, "the mean of several models' weights"},
    {"quantize", at_cli_quantize, "the same model with numbers of fewer bits"},
    {"bench", at_cli_bench, "time kernels and whole tasks with random weights"},
    {"info", at_cli_info, "this CPU, kernels and libraries; or a model's card"},
};
enum { COMMANDS = sizeof commands / sizeof commands[0] };

static void print_usage(FILE *to)
{
    fprintf(to,
            "attend %s - attention models: train, run, look inside\n\nusage: attend COMMAND [options] "
            "[words]\n\n",
            at_version());
    for (size_t i = 0; i < COMMANDS; i++)
        fprintf(to, "  %-10s %s\n", commands[i].name, commands[i].summary);
    fputs("\n'attend COMMAND --help' explains a command, with examples.\n", to);
}

static int unknown(const char *name)
{
    const char *names[COMMANDS];
    for (size_t i = 0; i < COMMANDS; i++)
        names[i] = commands[i].name;
    const char *near = at_nearest(name, names, COMMANDS);
    fprintf(stderr, "attend: unknown command '%s'", name);
    if (near)
        fprintf(stderr, "; did you mean '%s'?", near);
    fputs(" ('attend --help' lists them)\n", stderr);
    return 2;
}

/* What a command left in the buffer reaches the disk, or the program has failed. */
static int close_output(int code)
{
    bool lost = ferror(stdout) != 0;
    if ((fflush(stdout) != 0 || lost) && code == 0) {
        fputs("attend: standard output: cannot write; is the disk full or the pipe closed?\n", stderr);
        return 1;
    }
    return code;
}

int main(int argc, char **argv)
{
    setlocale(LC_CTYPE, "");  /* only wide characters: numbers keep their point */
    signal(SIGPIPE, SIG_IGN); /* a closed pipe is an error of writing, reported as such */
    if (argc < 2) {
        print_usage(stderr);
        return 2;
    }
    if (strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "-h") == 0 || strcmp(argv[1], "help") == 0) {
        print_usage(stdout);
        return close_output(0);
    }
    if (strcmp(argv[1], "--version") == 0) {
        printf("attend %s\n", at_version());
        return close_output(0);
    }
    for (size_t i = 0; i < COMMANDS; i++) {
        if (strcmp(argv[1], commands[i].name) == 0)
            return close_output(commands[i].run(argc - 1, argv + 1));
    }
    return unknown(argv[1]);
}

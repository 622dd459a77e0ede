/* cli/options.h - a command's words: flags from one table, --help, exit codes.
 *
 * Role    Every command describes itself by an at_cli_spec and reads its words with
 *         at_cli_parse; flags that all commands share land in at_cli_common.
 * Owns    Text fields of the command's struct and of at_cli_common are copies: free
 *         both with at_cli_free. Positional words point into argv.
 * Flags   --key VALUE, --key=VALUE; a switch (bool) takes no word: --resume, or
 *         --resume=false, --no-resume. '-' and '_' alike. "--" ends flags; "-" is a word.
 * Errors  Wrong usage prints "attend COMMAND: …" on stderr and gives exit code 2.
 *
 *     static const at_field fields[] = {{"model", AT_FIELD_TEXT, offsetof(options, model), NULL, 0, 0, NULL,
 *                                        "model folder"}, {0}};
 *     static const at_cli_spec spec = {.name = "translate", .usage = "--model FOLDER [LINE…]",
 *         .summary = "Translates lines.", .fields = fields, .examples = "  attend translate …\n"};
 *     options o; at_cli_common common; at_cli_words words;
 *     int code = at_cli_parse(&spec, argc, argv, &o, &common, &words);   // argv[0] is the command's name
 *     if (code != AT_CLI_GO)
 *         return code;                                                   // nothing is left to free then
 *     …
 *     if (st != AT_OK)
 *         code = at_cli_failed(&spec, st);                               // prints at_error_message, gives 1
 *     at_cli_free(&spec, &o, &common);
 */
#ifndef AT_CLI_OPTIONS_H
#define AT_CLI_OPTIONS_H
#include "base/field.h"

/* DONE, FAILED and WRONG are the program's exit codes; GO says that the command shall run. */
enum { AT_CLI_GO = -1, AT_CLI_DONE = 0, AT_CLI_FAILED = 1, AT_CLI_WRONG = 2 };

typedef struct at_cli_common {
    int64_t threads; /* 0: all cores */
    int64_t seed;
    bool seed_given;
    char *kernels; /* NULL: the best */
    bool json, quiet;
} at_cli_common;

typedef struct at_cli_words {
    char **list; /* positional words, moved to the front of argv */
    int count;
} at_cli_words;

typedef struct at_cli_spec {
    const char *name;
    const char *usage;      /* what follows "attend NAME " */
    const char *summary;    /* one or two lines */
    const at_field *fields; /* the command's own flags; NULL: none */
    const char *examples;   /* lines, each with its newline; NULL: none */
    /* Flags that the table does not know: those that may come several times, or that another table names.
     * Sets *taken when the flag is known; value NULL: none was given yet, *taken then asks for one. */
    at_status (*other)(void *target, const char *key, const char *value, bool *taken);
    const char *other_help; /* its lines in --help */
    bool no_words;          /* a positional word is wrong usage */
} at_cli_spec;

int at_cli_parse(const at_cli_spec *spec, int argc, char **argv, void *target, at_cli_common *common,
                 at_cli_words *words);
void at_cli_free(const at_cli_spec *spec, void *target, at_cli_common *common);

/* "attend NAME: message" on stderr, line by line clean of control characters; the exit code. */
int at_cli_failed(const at_cli_spec *spec, at_status status);
int at_cli_wrong(const at_cli_spec *spec, const char *format, ...) AT_PRINTF(2, 3);
void at_cli_note(const at_cli_spec *spec, const char *format, ...) AT_PRINTF(2, 3);
#endif

/* cli/cli.h - the commands of the program: one file a command, one row each in main.c.
 *
 * Role    The only place that prints and exits. argv[0] is the command's name; the
 *         return value is the exit code: 0 done, 1 failed, 2 wrong usage.
 */
#ifndef AT_CLI_CLI_H
#define AT_CLI_CLI_H

int at_cli_train(int argc, char **argv);
int at_cli_generate(int argc, char **argv);
int at_cli_translate(int argc, char **argv);
int at_cli_align(int argc, char **argv);
int at_cli_classify(int argc, char **argv);
int at_cli_embed(int argc, char **argv);
int at_cli_show(int argc, char **argv);
int at_cli_eval(int argc, char **argv);
int at_cli_tokenize(int argc, char **argv);
int at_cli_attention(int argc, char **argv);
int at_cli_average(int argc, char **argv);
int at_cli_quantize(int argc, char **argv);
int at_cli_bench(int argc, char **argv);
int at_cli_info(int argc, char **argv);
#endif

/* cli/show_more.h - what show shows beside one picture of one sentence: what heads do over a text, and the
 * position encoding. */
#ifndef AT_CLI_SHOW_MORE_H
#define AT_CLI_SHOW_MORE_H
#include "attend.h"
#include "cli/options.h"

/* Lines of a text, or pairs of a file that ends in .tsv: a table of all heads, the most marked first. */
at_status at_cli_show_heads(const at_cli_spec *spec, at_translator *translator, const char *path, int beam,
                            const at_cli_common *common);

typedef struct at_cli_positions {
    bool target; /* of the decoder */
    size_t count;
    const char *svg; /* NULL: none */
    bool term;       /* draw in the terminal even when a file is written */
    int columns;     /* of the terminal */
} at_cli_positions;

at_status at_cli_show_positions(at_translator *translator, const at_cli_positions *positions,
                                const at_cli_common *common);
#endif

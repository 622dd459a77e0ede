#include "eval/corpus.h"
#include "base/memory.h"

at_status at_eval_each(const at_eval_lines *lines, at_eval_add *add, void *context)
{
    const char **refs = at_alloc_array(lines->ref_count + 1, sizeof *refs);
    at_status st = refs ? AT_OK : AT_ENOMEM;
    for (size_t i = 0; st == AT_OK && i < lines->line_count; i++) {
        for (size_t r = 0; r < lines->ref_count; r++)
            refs[r] = lines->refs[r][i];
        st = add(context, lines->hyps[i], refs, lines->ref_count);
    }
    at_free(refs);
    return st;
}

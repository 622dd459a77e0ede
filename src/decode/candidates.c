#include "decode/candidates.h"
#include <math.h>

enum { SPAN = 128 }; /* entries whose maximum is looked at before the entries are */

typedef struct rows {
    const at_kernels *k;
    const at_candidate_request *request;
    at_candidate *out;
} rows;

/* Puts an entry into the falling list, which holds `count` of at most `best`. */
static size_t insert(at_candidate *list, size_t count, size_t best, float value, int32_t id)
{
    size_t i = count < best ? count++ : best - 1;
    while (i > 0 && list[i - 1].log_probability < value) {
        list[i] = list[i - 1];
        i--;
    }
    list[i] = (at_candidate){value, id};
    return count;
}

static bool allowed(const at_candidate_request *r, size_t row, int32_t id)
{
    return id != r->never[0] && id != r->never[1] && !(id == r->end && r->no_end && r->no_end[row]);
}

static void best_of_row(const rows *s, size_t row)
{
    const at_candidate_request *r = s->request;
    const float *logits = r->logits + row * r->n;
    at_candidate *list = s->out + row * r->k;
    size_t count = 0;
    float max = -INFINITY;
    for (size_t first = 0; first < r->n; first += SPAN) {
        size_t end = first + SPAN < r->n ? first + SPAN : r->n;
        float top = s->k->max(logits + first, end - first);
        max = top > max ? top : max;
        if (count == r->k && top <= list[count - 1].log_probability)
            continue;
        for (size_t i = first; i < end; i++) {
            if ((count < r->k || logits[i] > list[count - 1].log_probability) && allowed(r, row, (int32_t)i))
                count = insert(list, count, r->k, logits[i], (int32_t)i);
        }
    }
    float lse = max + logf(s->k->sum_exp(logits, max, r->n));
    for (size_t i = 0; i < count; i++)
        list[i].log_probability -= lse;
    for (; count < r->k; count++)
        list[count] = (at_candidate){-INFINITY, -1};
}

static void best_of_rows(void *context, size_t first, size_t end, int worker)
{
    (void)worker;
    for (size_t row = first; row < end; row++)
        best_of_row(context, row);
}

void at_candidates(at_exec *exec, const at_candidate_request *request, at_candidate *out)
{
    rows s = {exec->kernels, request, out};
    at_exec_rows(exec, request->rows, 1 + 16384 / (request->n + 1), best_of_rows, &s);
}

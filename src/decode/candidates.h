/* decode/candidates.h - the best few entries of long rows of logits.
 *
 * Role    For each row: its log-sum-exp and its k largest entries, falling; equal
 *         entries by rising id, so that the choice is the same everywhere.
 * Owns    Nothing. */
#ifndef AT_DECODE_CANDIDATES_H
#define AT_DECODE_CANDIDATES_H
#include "kernel/exec.h"

typedef struct at_candidate {
    float log_probability;
    int32_t id;
} at_candidate;

typedef struct at_candidate_request {
    const float *logits; /* (rows, n) */
    size_t rows, n, k;   /* k <= n */
    int32_t never[2];    /* entries passed over: <pad> and <s> */
    int32_t end;         /* passed over in the rows where … */
    const bool *no_end;  /* (rows) … this is set; NULL: none */
} at_candidate_request;

/* -> out (rows, k); fewer than k: the rest have id -1. */
void at_candidates(at_exec *exec, const at_candidate_request *request, at_candidate *out);
#endif

/* task/score.h - how well a model predicts translations that are given.
 *
 * Role    The target is forced: loss is -log p(target | source) summed over its pieces, the end of sentence
 *         included; exp(loss / pieces) is the perplexity.
 * Owns    Nothing.
 * Errors  Those of encoding and of the model.
 *
 *     at_pair_score score;
 *     at_status st = at_score_pairs(translator, &(at_score_request){sources, targets, n, 32}, &score);
 *     printf("%.4f\n", score.loss / (double)score.pieces);
 */
#ifndef AT_TASK_SCORE_H
#define AT_TASK_SCORE_H
#include "task/translator.h"

typedef struct at_score_request {
    const char *const *sources, *const *targets;
    size_t count; /* pairs */
    size_t batch; /* pairs at a time, at least 1 */
} at_score_request;

typedef struct at_pair_score {
    double loss;     /* natural logarithm, summed */
    size_t pieces;   /* of the targets, end of sentence included */
    size_t left_out; /* pairs longer than the model reaches, or with an empty side */
} at_pair_score;

at_status at_score_pairs(at_translator *translator, const at_score_request *request, at_pair_score *score);
#endif

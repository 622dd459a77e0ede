/* attention/guide.h - a head taught to align: cross-entropy between its weights and given alignments.
 *
 * Role    For a target row i that is linked to source rows J_i: -1/|J_i| sum over j in J_i of log w_ij, with
 *         w the head's softmax weights; rows without links count nothing. Chen et al. 2016, "Guided Alignment
 *         Training for Topic-Aware Neural Machine Translation", arXiv:1607.01628, section 3; one head of a
 *         Transformer as in Garg et al. 2019, "Jointly Learning to Align and Translate with Transformer
 *         Models", arXiv:1909.02074, section 4.
 *         Other normalisers have the loss whose gradient by the scores is weights minus links too
 *         (Fenchel-Young losses: Blondel, Martins and Niculae 2020, arXiv:1901.02324): sparsemax that of
 *         Martins and Astudillo 2016, arXiv:1602.02068, section 3; scores as they are half the squared
 *         distance. Links to keys that a mask hides do not count.
 *         A guide hangs on the tape while a model runs, as a trace does; the cross attention that it names
 *         records the loss beside its output, whatever the model is: the fused one, or one by pairs, also
 *         when its queries come step by step.
 * Owns    Nothing: the loss lives on the tape.
 * Shapes  starts (Nq+1), links of row i are keys[starts[i]] … keys[starts[i+1]-1]: places in i's own source.
 * Errors  AT_ENOSUP sticks where there is no cross attention, or where a soft-cap, a bias or a mask shapes
 *         the fused one; AT_EARG for a layer or a head that there is not.
 *
 *     at_guide guide = {.layer = 2, .head = 0, .weight = 0.05f};
 *     tape->guide = &guide;
 *     at_guide_begin(&guide, &target_rows, starts, keys);
 *     … run the model …                                   // loss: what it is to be added to
 *     loss = at_guide_add(tape, loss);
 *     tape->guide = NULL;
 */
#ifndef AT_ATTENTION_GUIDE_H
#define AT_ATTENTION_GUIDE_H
#include "attention/pairs.h"

typedef struct at_guide {
    int layer, head;
    float weight;           /* times the sum over linked rows */
    const int32_t *offsets; /* (B+1) of the target's sequences, in the order of the batch */
    const int32_t *starts, *keys;
    /* What came of it: */
    at_var *loss; /* NULL: nothing took it */
    double sum;   /* before the weight */
    size_t rows;  /* that had links */
    int layers;   /* of cross attention, as far as they have run */
} at_guide;

void at_guide_begin(at_guide *guide, const at_rows *targets, const int32_t *starts, const int32_t *keys);
/* loss plus what tape->guide has gathered; loss itself without a guide or without links. */
at_var *at_guide_add(at_tape *tape, at_var *loss);
/* The loss alone. q (Nq, H*K), k (Nk, G*K) as in at_attention. */
at_var *at_guide_loss(at_tape *tape, at_var *q, at_var *k, const at_attend_spec *spec, at_guide *guide);
/* Attention by pairs: adds the loss of masked scores and of the weights made of them to the tape's guide,
 * where that names the layer. False: see the tape. */
bool at_guide_pairs(at_tape *tape, at_var *scores, const at_var *weights, const at_pairs *pairs,
                    at_normaliser how, at_attention_kind kind, int layer);
/* Whether the tape's guide names this attention. */
bool at_guide_wants(at_tape *tape, at_attention_kind kind, int layer);
#endif

/* eval/labels.h - how good labels are: accuracy, F1 of each class, who is taken for whom, calibration.
 *
 * Role    Counts pairs of (true label, given label, its probability); every figure is computed from the
 *         counts. Equal to scikit-learn's accuracy_score, precision_recall_fscore_support and
 *         f1_score(average="macro") with zero_division 0. Calibration error: Guo et al. 2017, "On
 *         calibration of modern neural networks", with equal bins of confidence.
 * Owns    The confusion matrix; at_labels_free. Merging is adding.
 * Shapes  confusion[gold * classes + given].
 * Errors  AT_EARG for a label outside 0 … classes-1; AT_ENOMEM.
 *
 *     at_labels labels;
 *     at_status st = at_labels_new(10, &labels);
 *     st = at_labels_add(&labels, gold, given, probability);
 *     double accuracy = at_labels_accuracy(&labels), f = at_labels_macro_f1(&labels);   // 0 … 1
 *     at_labels_free(&labels);
 */
#ifndef AT_EVAL_LABELS_H
#define AT_EVAL_LABELS_H
#include "base/status.h"

enum { AT_LABELS_BINS = 15 };

typedef struct at_labels {
    size_t classes;
    uint64_t *confusion; /* (classes, classes) */
    uint64_t count, right;
    struct {
        uint64_t count, right;
        double confidence;  /* their sum */
    } bins[AT_LABELS_BINS]; /* bin i: probabilities of i/15 (not itself, but for 0) to (i+1)/15 */
} at_labels;

typedef struct at_labels_class {
    uint64_t support, given; /* how many are of this class, how many were said to be */
    double precision, recall, f1;
} at_labels_class;

at_status at_labels_new(size_t classes, at_labels *labels);
void at_labels_free(at_labels *labels);
at_status at_labels_add(at_labels *labels, size_t gold, size_t given, double probability);

double at_labels_accuracy(const at_labels *labels); /* 0 without any pair */
at_labels_class at_labels_of(const at_labels *labels, size_t label);
/* Mean F1 of the classes that occur as true or given label. */
double at_labels_macro_f1(const at_labels *labels);
/* Mean of |accuracy - confidence| over bins, weighted by their pairs. */
double at_labels_calibration_error(const at_labels *labels);
#endif

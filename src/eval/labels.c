#include "eval/labels.h"

#include <math.h>

#include "base/memory.h"

at_status at_labels_new(size_t classes, at_labels *labels)
{
    size_t cells;
    *labels = (at_labels){.classes = classes};
    if (classes == 0 || !at_mul_ok(classes, classes, &cells))
        return at_fail(AT_EARG, "labels: want at least one class, got %zu", classes);
    labels->confusion = at_alloc_zero(cells, sizeof *labels->confusion);
    return labels->confusion ? AT_OK : AT_ENOMEM;
}

void at_labels_free(at_labels *labels)
{
    at_free(labels->confusion);
    *labels = (at_labels){0};
}

at_status at_labels_add(at_labels *labels, size_t gold, size_t given, double probability)
{
    if (gold >= labels->classes || given >= labels->classes)
        return at_fail(AT_EARG, "labels: %zu taken for %zu, but there are %zu classes", gold, given,
                       labels->classes);
    double edge = ceil(probability * AT_LABELS_BINS) - 1; /* 1 lies in the last bin, 0 in the first */
    size_t bin = !(edge > 0) ? 0 : edge < AT_LABELS_BINS ? (size_t)edge : AT_LABELS_BINS - 1;
    labels->confusion[gold * labels->classes + given]++;
    labels->count++;
    labels->right += gold == given;
    labels->bins[bin].count++;
    labels->bins[bin].right += gold == given;
    labels->bins[bin].confidence += probability;
    return AT_OK;
}

static double share(uint64_t part, uint64_t whole)
{
    return whole ? (double)part / (double)whole : 0;
}

double at_labels_accuracy(const at_labels *labels)
{
    return share(labels->right, labels->count);
}

at_labels_class at_labels_of(const at_labels *labels, size_t label)
{
    size_t n = labels->classes;
    uint64_t right = labels->confusion[label * n + label];
    at_labels_class c = {0};
    for (size_t i = 0; i < n; i++) {
        c.support += labels->confusion[label * n + i];
        c.given += labels->confusion[i * n + label];
    }
    c.precision = share(right, c.given);
    c.recall = share(right, c.support);
    c.f1 = share(2 * right, c.support + c.given);
    return c;
}

double at_labels_macro_f1(const at_labels *labels)
{
    double sum = 0;
    size_t seen = 0;
    for (size_t i = 0; i < labels->classes; i++) {
        at_labels_class c = at_labels_of(labels, i);
        seen += c.support + c.given > 0;
        sum += c.f1;
    }
    return seen ? sum / (double)seen : 0;
}

double at_labels_calibration_error(const at_labels *labels)
{
    double sum = 0;
    for (int i = 0; i < AT_LABELS_BINS; i++)
        sum += fabs((double)labels->bins[i].right - labels->bins[i].confidence);
    return labels->count ? sum / (double)labels->count : 0;
}

/* task/classifier.h - an open classifier, for those who bring a whole set of pictures.
 *
 * Role    What at_classify and at_classify_pictures share, and pictures by their numbers in a set.
 * Owns    A classifier its reader; at_classifier_close.
 * Errors  Those of task/reader.h. A picture that cannot be read is given to the sink with its error, and the
 *         others go on.
 * Threads Calls on one classifier wait for each other.
 *
 *     st = at_classify_set(classifier, split.set, split.index, split.count, &options, sink, context);
 */
#ifndef AT_TASK_CLASSIFIER_H
#define AT_TASK_CLASSIFIER_H
#include "data/pictures.h"
#include "task/reader.h"

struct at_classifier {
    at_reader *reader;
    at_prepare prepare; /* of a model of pictures */
};

/* index NULL: all of the set. `line` of what the sink gets is the place in the index. */
at_status at_classify_set(at_classifier *classifier, const at_picture_set *set, const uint32_t *index,
                          size_t count, const at_classify_options *options, at_classification_sink *sink,
                          void *context);
/* The most probable class of a row (classes->count); AT_ENUMBER if it is no number. */
at_status at_classification_name(at_classification *c, const at_classes *classes, const float *probabilities);
/* Reads what config.json says of how pictures are made ready; AT_ENOSUP for a model of texts. */
at_status at_classifier_prepare(const at_folder *folder, at_prepare *prepare);
#endif

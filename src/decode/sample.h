/* decode/sample.h - from one row of logits to one id: greedy, or drawn.
 *
 * Role    Repetition penalty, temperature, then the filters one after the other (top-k, top-p, min-p,
 *         typical), each over what the one before has left; then a draw. In the order and with the
 *         meaning of Hugging Face's processors.
 * Owns    A sampler its workspace for rows of n; at_sampler_free. One thread.
 * Shapes  logits (n).
 * Errors  AT_EARG for options out of their limits; AT_ENOMEM.
 *
 *     at_sample_options o = AT_SAMPLE_DEFAULTS;
 *     at_sampler *s;
 *     at_status st = at_sampler_new(n, &s);
 *     at_rng rng = at_rng_make(seed, AT_RNG_SAMPLE);
 *     at_sampled next = at_sample(s, &o, logits, ids, count, &rng);
 */
#ifndef AT_DECODE_SAMPLE_H
#define AT_DECODE_SAMPLE_H
#include "base/field.h"
#include "base/rng.h"

/* Holtzman et al. 2020, arXiv:1904.09751; Nguyen et al. 2024, arXiv:2407.01082; Meister et al. 2023,
 * arXiv:2202.00666; Keskar et al. 2019, arXiv:1909.05858. */
typedef struct at_sample_options {
    double temperature; /* 0: always the likeliest, the lower id among equals */
    int64_t top_k;      /* of the likeliest; 0: all */
    double top_p;       /* fewest that together have this probability; 1: all (Holtzman) */
    double min_p;       /* those at least this part as likely as the likeliest; 0: all (Nguyen) */
    double typical;     /* nearest to the entropy, together of this probability; 1: all (Meister) */
    double repetition;  /* ids said before: positive logits divided, negative multiplied; 1: none (Keskar) */
} at_sample_options;

#define AT_SAMPLE_DEFAULTS                                                                  \
    {                                                                                       \
        .temperature = 1, .top_k = 0, .top_p = 1, .min_p = 0, .typical = 1, .repetition = 1 \
    }

extern const at_field at_sample_fields[];

typedef struct at_sampler at_sampler;

typedef struct at_sampled {
    int32_t id;             /* -1: no id can be said, for logits that are no numbers */
    double log_probability; /* the model's own, before penalty, temperature and filters */
} at_sampled;

at_status at_sample_check(const at_sample_options *options);
at_status at_sampler_new(size_t n, at_sampler **sampler);
void at_sampler_free(at_sampler *sampler);
/* An id that is never said from now on. */
void at_sampler_ban(at_sampler *sampler, int32_t id);
/* said (count): what the repetition penalty looks at. */
at_sampled at_sample(at_sampler *sampler, const at_sample_options *options, const float *logits,
                     const int32_t *said, size_t count, at_rng *rng);
#endif

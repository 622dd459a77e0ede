/* tests/gradient.h - gradients against finite differences.
 *
 * Role    A case builds some rows y from leaves and parameters. The checked loss is sum(r * y) with
 *         fixed random r, so no upstream gradient is 1. Its derivative by every leaf element and every
 *         parameter is compared with a fourth-order difference quotient summed in double. Every kernel
 *         set that this CPU runs is checked.
 * Owns    Nothing that outlives a call. Notes which operations recorded nodes in cases that passed;
 *         gradient_check_all then fails for an operation that no case of the program exercised.
 * Errors  Fails the cmocka test that calls it and prints case, kernel set, element and both values.
 *
 *     static at_var *product(at_tape *tape, at_var *const *x, const void *context)
 *     {
 *         return at_matmul(tape, x[0], x[1], *(const bool *)context);
 *     }
 *     gradient_check(&(gradient_case){"matmul", product, &no, {at_shape2(3, 5), at_shape2(5, 2)}});
 */
#ifndef AT_TESTS_GRADIENT_H
#define AT_TESTS_GRADIENT_H
#include "tests/check.h"
#include "layer/params.h"

enum { GRADIENT_LEAVES = 4 };

typedef at_var *gradient_build(at_tape *tape, at_var *const *leaves, const void *context);

typedef struct gradient_case {
    const char *name;
    gradient_build *build;
    const void *context;
    at_shape leaves[GRADIENT_LEAVES]; /* rank 0 ends them */
    const at_params *params;          /* with masters; NULL: none. Put back afterwards */
    bool training;                    /* AT_TAPE_TRAIN with one seed: dropout's mask is a constant */
    float spread;                     /* deviation of the leaves; 0: 1 */
    double tolerance;                 /* of the largest gradient of its leaf, or of 0.3; 0: 5e-4 */
} gradient_case;

void gradient_check(const gradient_case *c);
void gradient_check_all(const at_op *const *ops); /* NULL-terminated, as the folders export them */

/* n numbers of about `spread`, a function of the seed and `stream` only. */
void gradient_random(float *out, size_t n, uint32_t stream, float spread);
#endif

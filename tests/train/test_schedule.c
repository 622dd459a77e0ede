#include "train/schedule.h"
#include "tests/check.h"

static void near(double got, double want)
{
    assert_true(got - want <= 1e-12 && want - got <= 1e-12);
}

/* lr * min(step/warmup, sqrt(warmup/step)), as fairseq defines it. */
static void inverse_sqrt_rises_then_falls(void **state)
{
    (void)state;
    at_schedule s = {AT_SCHEDULE_INVERSE_SQRT, 0.005, 2000, 0, 0, 0};
    check_ok(at_schedule_check(&s));
    near(at_schedule_lr(&s, 1), 0.0000025);
    near(at_schedule_lr(&s, 1000), 0.0025);
    near(at_schedule_lr(&s, 2000), 0.005);
    near(at_schedule_lr(&s, 8000), 0.0025);
    s.first = 0.001;
    near(at_schedule_lr(&s, 500), 0.002);
    s.warmup = 0;
    near(at_schedule_lr(&s, 1), 0.005);
    near(at_schedule_lr(&s, 4), 0.0025);
}

static void cosine_ends_at_the_least(void **state)
{
    (void)state;
    at_schedule s = {AT_SCHEDULE_COSINE, 1, 10, 0, 0.2, 110};
    check_ok(at_schedule_check(&s));
    near(at_schedule_lr(&s, 5), 0.5);
    near(at_schedule_lr(&s, 10), 1);
    near(at_schedule_lr(&s, 60), 0.6);
    near(at_schedule_lr(&s, 110), 0.2);
    near(at_schedule_lr(&s, 1000), 0.2);
}

static void linear_and_constant(void **state)
{
    (void)state;
    at_schedule s = {AT_SCHEDULE_LINEAR, 1, 0, 0, 0, 100};
    near(at_schedule_lr(&s, 25), 0.75);
    near(at_schedule_lr(&s, 100), 0);
    s.kind = AT_SCHEDULE_CONSTANT;
    s.warmup = 4;
    near(at_schedule_lr(&s, 1), 0.25);
    near(at_schedule_lr(&s, 99), 1);
}

static void an_end_must_be_known(void **state)
{
    (void)state;
    at_schedule s = {AT_SCHEDULE_COSINE, 1, 10, 0, 0, 0};
    check_fails(at_schedule_check(&s), AT_EARG, "max_steps");
    s.steps = 10;
    check_fails(at_schedule_check(&s), AT_EARG, "warmup");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(inverse_sqrt_rises_then_falls),
        cmocka_unit_test(cosine_ends_at_the_least),
        cmocka_unit_test(linear_and_constant),
        cmocka_unit_test(an_end_must_be_known),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

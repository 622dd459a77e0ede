/* Each pair once an epoch, within the bounds, in an order that a cursor restores. */
#include "base/memory.h"
#include "base/rng.h"
#include "data/loader.h"
#include "tests/batches/corpus.h"

enum { PAIRS = 500 };

static at_tokenizer *tokenizer;
static at_data_options options;
static at_dataset set;

static int open_set(void **state)
{
    (void)state;
    tokenizer = corpus_tokenizer();
    options = corpus_options();
    corpus_file("t.en", PAIRS, 7, 23);
    corpus_file("t.de", PAIRS, 5, 19);
    at_dataset_spec spec = {
        .folder = check_folder(), .split = "t", .options = &options, .tokenizer = tokenizer};
    check_ok(at_dataset_load(&spec, NULL, &set));
    return 0;
}

static int close_set(void **state)
{
    (void)state;
    at_dataset_free(&set);
    at_fields_free(at_data_fields, &options);
    at_tokenizer_free(tokenizer);
    return 0;
}

static at_loader_options usual(void)
{
    return (at_loader_options){.batch_tokens = 100, .shuffle = true, .bucket = true, .bos = 1, .seed = 3};
}

/* The rows of a batch are its pairs', the target moved by one. */
static void check_rows(const at_batch *batch)
{
    assert_int_equal(batch->source.count, batch->target.count);
    assert_int_equal(batch->source.offsets[0], 0);
    assert_int_equal(batch->target.offsets[0], 0);
    for (size_t b = 0; b < batch->source.count; b++) {
        uint32_t i = batch->source.examples[b];
        size_t s = (size_t)batch->source.offsets[b], t = (size_t)batch->target.offsets[b];
        size_t source = at_dataset_length(&set.source, i), target = at_dataset_length(&set.target, i);
        assert_int_equal((size_t)batch->source.offsets[b + 1] - s, source);
        assert_int_equal((size_t)batch->target.offsets[b + 1] - t, target);
        check_same_bits(batch->source_ids + s, set.source.ids.id + set.source.offsets[i],
                        source * sizeof(int32_t));
        check_same_bits(batch->target_out + t, set.target.ids.id + set.target.offsets[i],
                        target * sizeof(int32_t));
        assert_int_equal(batch->target_in[t], 1);
        check_same_bits(batch->target_in + t + 1, batch->target_out + t, (target - 1) * sizeof(int32_t));
        assert_int_equal(batch->target_out[t + target - 1], 2);
    }
}

/* Reads one epoch; order[] gets the pairs as they come. Gives the number of batches. */
static size_t read_epoch(at_loader *loader, uint32_t *order)
{
    at_arena *arena = at_arena_new();
    size_t batches = 0, pairs = 0;
    for (;; batches++) {
        at_batch batch;
        at_arena_reset(arena);
        check_ok(at_loader_next(loader, arena, &batch));
        if (!batch.source.count)
            break;
        check_rows(&batch);
        for (size_t b = 0; b < batch.source.count; b++)
            order[pairs++] = batch.source.examples[b];
    }
    assert_int_equal(pairs, PAIRS);
    at_arena_free(arena);
    return batches;
}

static void check_once_each(const uint32_t *order)
{
    bool seen[PAIRS] = {false};
    for (size_t i = 0; i < PAIRS; i++) {
        assert_true(order[i] < PAIRS && !seen[order[i]]);
        seen[order[i]] = true;
    }
}

static void each_pair_comes_once_an_epoch(void **state)
{
    (void)state;
    uint32_t order[3][PAIRS];
    for (int bucket = 0; bucket < 2; bucket++) {
        at_loader_options o = usual();
        o.bucket = bucket;
        at_loader *loader;
        check_ok(at_loader_new(&set, &o, &loader));
        for (uint64_t epoch = 0; epoch < 3; epoch++) {
            assert_int_equal(at_loader_cursor(loader).epoch, epoch);
            size_t batches = read_epoch(loader, order[epoch]);
            assert_int_equal(batches, at_loader_batches(loader));
            check_once_each(order[epoch]);
        }
        assert_true(memcmp(order[0], order[1], sizeof order[0]) != 0);
        assert_true(memcmp(order[1], order[2], sizeof order[0]) != 0);
        at_loader_free(loader);
    }
}

static void bounds_are_kept(void **state)
{
    (void)state;
    at_arena *arena = at_arena_new();
    for (int kind = 0; kind < 4; kind++) {
        at_loader_options o = usual();
        o.target_only = kind == 1;
        o.batch_pairs = kind == 2 ? 3 : 0;
        o.batch_tokens = kind == 3 ? 24 : 100; /* the longest pair just fits */
        at_loader *loader;
        check_ok(at_loader_new(&set, &o, &loader));
        size_t rows = 0, largest = 0;
        for (size_t n = at_loader_batches(loader); n > 0; n--) {
            at_batch batch;
            at_arena_reset(arena);
            check_ok(at_loader_next(loader, arena, &batch));
            size_t s = at_rows_total(&batch.source), t = at_rows_total(&batch.target);
            assert_true(t <= o.batch_tokens && (o.target_only || s <= o.batch_tokens));
            assert_true(!o.batch_pairs || batch.source.count <= o.batch_pairs);
            rows += o.target_only || t > s ? t : s;
            largest = s > largest ? s : largest;
        }
        /* Like lengths fill a batch well. */
        assert_true(kind >= 2 || rows > at_loader_batches(loader) * o.batch_tokens * 8 / 10);
        assert_true(kind != 1 || largest > o.batch_tokens); /* else the test shows nothing */
        at_loader_free(loader);
    }
    at_loader *loader;
    at_loader_options small = usual();
    small.batch_tokens = 23;
    check_fails(at_loader_new(&set, &small, &loader), AT_EARG, "data.batch_tokens: 23");
    at_arena_free(arena);
}

static void a_cursor_restores_the_order(void **state)
{
    (void)state;
    at_loader_options o = usual();
    at_loader *a, *b;
    at_arena *arena = at_arena_new();
    check_ok(at_loader_new(&set, &o, &a));
    at_rng rng = at_rng_make(check_rng_seed(), AT_RNG_TEST);
    for (int round = 0; round < 20; round++) {
        for (uint32_t n = at_rng_below(&rng, 40); n > 0; n--) {
            at_batch batch;
            check_ok(at_loader_next(a, arena, &batch));
        }
        check_ok(at_loader_new(&set, &o, &b));
        check_ok(at_loader_seek(b, at_loader_cursor(a)));
        for (int n = 0; n < 5; n++) {
            at_batch x, y;
            check_ok(at_loader_next(a, arena, &x));
            check_ok(at_loader_next(b, arena, &y));
            assert_int_equal(x.source.count, y.source.count);
            check_same_bits(x.source.examples, y.source.examples, x.source.count * sizeof(uint32_t));
        }
        at_loader_free(b);
    }
    const at_cursor far = {2, 100000};
    check_fails(at_loader_seek(a, far), AT_EARG, "of epoch 2");
    at_loader_free(a);
    at_arena_free(arena);
}

static void validation_comes_in_order_of_length(void **state)
{
    (void)state;
    at_loader_options o = usual();
    o.shuffle = false;
    at_loader *loader;
    uint32_t first[PAIRS], second[PAIRS];
    check_ok(at_loader_new(&set, &o, &loader));
    read_epoch(loader, first);
    read_epoch(loader, second);
    check_same_bits(first, second, sizeof first);
    size_t before = 0;
    for (size_t i = 0; i < PAIRS; i++) {
        size_t s = at_dataset_length(&set.source, first[i]), t = at_dataset_length(&set.target, first[i]);
        assert_true((s > t ? s : t) >= before);
        before = s > t ? s : t;
    }
    at_loader_free(loader);
    o.bucket = false;
    check_ok(at_loader_new(&set, &o, &loader));
    read_epoch(loader, first);
    for (uint32_t i = 0; i < PAIRS; i++)
        assert_int_equal(first[i], i);
    at_loader_free(loader);
}

/* With dropout the pieces of an epoch, too, follow from the cursor. */
static void dropout_is_restored_with_the_cursor(void **state)
{
    (void)state;
    at_dataset one, two;
    at_dataset_spec spec = {
        .folder = check_folder(), .split = "t", .options = &options, .tokenizer = tokenizer, .dropout = true};
    options.bpe_dropout = 0.2;
    check_ok(at_dataset_load(&spec, NULL, &one));
    check_ok(at_dataset_load(&spec, NULL, &two));
    at_loader_options o = at_loader_options_from(&options, 1, 5);
    at_loader *a, *b;
    at_arena *arena = at_arena_new();
    check_ok(at_loader_new(&one, &o, &a));
    check_ok(at_loader_seek(a, (at_cursor){1, 0}));
    size_t first_epoch = one.source.ids.count;
    check_ok(at_loader_seek(a, (at_cursor){3, 2}));
    assert_true(one.source.ids.count != first_epoch);
    check_ok(at_loader_new(&two, &o, &b));
    check_ok(at_loader_seek(b, (at_cursor){3, 2}));
    assert_int_equal(one.source.ids.count, two.source.ids.count);
    at_batch x, y;
    check_ok(at_loader_next(a, arena, &x));
    check_ok(at_loader_next(b, arena, &y));
    assert_int_equal(at_rows_total(&x.source), at_rows_total(&y.source));
    check_same_bits(x.source_ids, y.source_ids, at_rows_total(&x.source) * sizeof(int32_t));
    check_same_bits(x.target_in, y.target_in, at_rows_total(&x.target) * sizeof(int32_t));
    at_loader_free(a);
    at_loader_free(b);
    o.batch_tokens = 100;
    check_fails(at_loader_new(&one, &o, &a), AT_EARG, "BPE dropout may reach");
    options.bpe_dropout = 0;
    at_dataset_free(&one);
    at_dataset_free(&two);
    at_arena_free(arena);
}

static at_status load_once(void *context)
{
    at_loader_options o = usual();
    at_loader *loader = NULL;
    at_batch batch;
    at_arena *arena = at_arena_new();
    at_status st = arena ? at_loader_new(context, &o, &loader) : AT_ENOMEM;
    for (int n = 0; st == AT_OK && n < 3; n++)
        st = at_loader_next(loader, arena, &batch);
    if (st == AT_OK)
        st = at_loader_seek(loader, (at_cursor){1, 1});
    at_loader_free(loader);
    at_arena_free(arena);
    return st;
}

static void memory_may_fail_anywhere(void **state)
{
    (void)state;
    check_every_allocation(load_once, &set, 1000);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_pair_comes_once_an_epoch),
        cmocka_unit_test(bounds_are_kept),
        cmocka_unit_test(a_cursor_restores_the_order),
        cmocka_unit_test(validation_comes_in_order_of_length),
        cmocka_unit_test(dropout_is_restored_with_the_cursor),
        cmocka_unit_test(memory_may_fail_anywhere),
    };
    return cmocka_run_group_tests(tests, open_set, close_set);
}

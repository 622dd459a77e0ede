/* Pictures found, held out and given as batches: the same for any number of threads, each once an epoch. */
#include <stdio.h>
#include <string.h>
#include "base/file.h"
#include "data/pictures.h"
#include "image/image.h"
#include "tests/check.h"

enum { SIDE = 6, EACH = SIDE * SIDE * 3, CATS = 7, DOGS = 4, ALL = CATS + DOGS };

static void make_picture(const char *name, unsigned number)
{
    at_image m;
    check_ok(at_image_new(9, 8, 3, &m));
    for (size_t i = 0; i < m.width * m.height * 3; i++)
        m.pixels[i] = (uint8_t)(37 * number + 11 * i % 97);
    check_ok(at_image_write_png(&m, check_path(name)));
    at_image_free(&m);
}

/* A folder of CATS and DOGS pictures, and so many birds. */
static const char *make_set(const char *folder, unsigned birds)
{
    static char root[512];
    char name[128];
    for (unsigned i = 0; i < ALL + birds; i++) {
        const char *class = i < CATS ? "cat" : i < ALL ? "dog" : "bird";
        snprintf(name, sizeof name, "%s/train/%s", folder, class);
        check_ok(at_make_folder(check_path(name)));
        snprintf(name, sizeof name, "%s/train/%s/%02u.png", folder, class, i);
        make_picture(name, i);
    }
    snprintf(root, sizeof root, "%s", check_path(folder));
    return root;
}

static size_t of_class(const at_picture_split *s, int32_t label)
{
    size_t n = 0;
    for (size_t i = 0; i < s->count; i++)
        n += s->set->label[s->index[i]] == label;
    return n;
}

static void parts_are_held_out_of_each_class(void **state)
{
    (void)state;
    static const struct {
        double part;
        size_t birds, cats, dogs; /* held; classes are in order of their names */
    } cases[] = {{0.01, 0, 1, 1}, {0.3, 0, 2, 1}, {0.5, 0, 4, 2}, {0.9, 0, 6, 3}};
    const char *root = make_set("held", 1);
    for (size_t c = 0; c < sizeof cases / sizeof *cases; c++) {
        at_picture_split train, held, again, held_again;
        check_ok(at_picture_split_find(root, "train", NULL, &train));
        uint32_t mark = train.mark;
        check_ok(at_picture_split_hold_out(&train, cases[c].part, 5, &held));
        assert_int_equal(of_class(&held, 0), cases[c].birds);
        assert_int_equal(of_class(&held, 1), cases[c].cats);
        assert_int_equal(of_class(&held, 2), cases[c].dogs);
        assert_int_equal(train.count + held.count, ALL + 1);
        for (size_t i = 0; i < held.count; i++)
            for (size_t j = 0; j < train.count; j++)
                assert_int_not_equal(held.index[i], train.index[j]);
        assert_int_not_equal(train.mark, mark);

        check_ok(at_picture_split_find(root, "train", NULL, &again));
        check_ok(at_picture_split_hold_out(&again, cases[c].part, 5, &held_again));
        assert_int_equal(held.mark, held_again.mark);
        assert_int_equal(train.mark, again.mark);
        at_picture_split_free(&held_again);
        at_picture_split_free(&again);
        at_picture_split_free(&held);
        at_picture_split_free(&train);
    }
}

static void nothing_to_hold_out_is_an_error(void **state)
{
    (void)state;
    at_picture_split train, held;
    check_ok(at_make_folder(check_path("lone/train/cat")));
    check_ok(at_make_folder(check_path("lone/train/dog")));
    make_picture("lone/train/cat/1.png", 1);
    make_picture("lone/train/dog/2.png", 2);
    check_ok(at_picture_split_find(check_path("lone"), "train", NULL, &train));
    check_fails(at_picture_split_hold_out(&train, 0.5, 1, &held), AT_EARG, "pictures.holdout");
    at_picture_split_free(&train);
}

/* An epoch: pixels, labels and examples in the order they came. */
typedef struct epoch {
    size_t count, batches;
    uint32_t examples[ALL];
    int32_t labels[ALL];
    float pixels[ALL * EACH];
} epoch;

static void take_epoch(at_loader *loader, epoch *e)
{
    *e = (epoch){0};
    at_batch batch;
    for (;;) {
        check_ok(at_loader_next(loader, NULL, &batch));
        size_t n = batch.source.count;
        if (n == 0)
            return;
        assert_true(e->count + n <= ALL);
        assert_int_equal(batch.pixels.height * batch.pixels.width * batch.pixels.channels, EACH);
        memcpy(e->examples + e->count, batch.source.examples, n * sizeof *e->examples);
        memcpy(e->labels + e->count, batch.labels, n * sizeof *e->labels);
        memcpy(e->pixels + e->count * EACH, batch.pixels.data, n * EACH * sizeof *e->pixels);
        e->count += n;
        e->batches++;
    }
}

typedef struct told {
    size_t lines;
    char last[512];
} told;

static void tell(void *context, const char *text)
{
    told *t = context;
    t->lines++;
    snprintf(t->last, sizeof t->last, "%s", text);
}

static at_picture_loader_spec spec_of(const at_picture_split *split, const at_augment_options *augment)
{
    at_prepare how = AT_PREPARE_DEFAULTS;
    how.width = how.height = SIDE;
    return (at_picture_loader_spec){.split = split,
                                    .prepare = how,
                                    .augment = augment,
                                    .batch = 3,
                                    .ahead = 2,
                                    .classes = 2,
                                    .shuffle = true,
                                    .seed = 9,
                                    .threads = 1};
}

static const at_augment_options crops = {.crop_least = 0.5, .crop_most = 1, .crop_ratio = 1.2, .flip = 0.5};

static void any_number_of_threads_gives_the_same_batches(void **state)
{
    (void)state;
    static epoch first, second, many;
    at_picture_split train;
    at_loader *loader;
    check_ok(at_picture_split_find(make_set("same", 0), "train", NULL, &train));
    at_picture_loader_spec spec = spec_of(&train, &crops);
    check_ok(at_picture_loader_new(&spec, &loader));
    take_epoch(loader, &first);
    take_epoch(loader, &second);
    at_picture_figures figures = at_picture_loader_figures(loader);
    at_loader_free(loader);
    assert_int_equal(figures.pictures, 2 * ALL);
    assert_int_equal(figures.broken, 0);
    assert_true(figures.waited > 0);
    assert_int_equal(first.count, ALL);
    assert_int_equal(first.batches, (ALL + 2) / 3);
    bool seen[ALL] = {false};
    for (size_t i = 0; i < ALL; i++) {
        assert_false(seen[first.examples[i]]);
        seen[first.examples[i]] = true;
        assert_int_equal(first.labels[i], train.set->label[first.examples[i]]);
    }
    assert_memory_not_equal(first.examples, second.examples, sizeof first.examples);
    assert_memory_not_equal(first.pixels, second.pixels, sizeof first.pixels);

    spec.threads = 4;
    spec.ahead = 5;
    check_ok(at_picture_loader_new(&spec, &loader));
    take_epoch(loader, &many);
    check_same_bits(many.pixels, first.pixels, sizeof first.pixels);
    check_same_bits(many.examples, first.examples, sizeof first.examples);
    take_epoch(loader, &many);
    check_same_bits(many.pixels, second.pixels, sizeof second.pixels);

    /* Back to the second batch of the first epoch: the rest of it as before. */
    check_ok(at_loader_seek(loader, (at_cursor){.epoch = 0, .batch = 1}));
    take_epoch(loader, &many);
    assert_int_equal(many.count, ALL - 3);
    check_same_bits(many.pixels, first.pixels + 3 * EACH, (ALL - 3) * EACH * sizeof(float));
    at_loader_free(loader);
    at_picture_split_free(&train);
}

static void broken_files_are_named_once_and_left_out(void **state)
{
    (void)state;
    static epoch e;
    told t = {0};
    at_log log = {tell, &t};
    at_picture_split train;
    at_loader *loader;
    const char *root = make_set("broken", 0);
    check_ok(at_file_write(check_path("broken/train/cat/03.png"), "\x89PNG\r\n\x1a\nno more", 15));
    check_ok(at_picture_split_find(root, "train", NULL, &train));
    at_picture_loader_spec spec = spec_of(&train, NULL);
    spec.log = &log;
    check_ok(at_picture_loader_new(&spec, &loader));
    for (int round = 0; round < 2; round++) {
        take_epoch(loader, &e);
        assert_int_equal(e.count, ALL - 1);
    }
    assert_int_equal(t.lines, 1);
    assert_non_null(strstr(t.last, "cat/03.png"));
    assert_int_equal(at_picture_loader_figures(loader).broken, 1);
    at_loader_free(loader);

    spec.strict = true;
    check_ok(at_picture_loader_new(&spec, &loader));
    at_status st = AT_OK;
    at_batch batch;
    for (size_t i = 0; st == AT_OK && i < ALL; i++)
        st = at_loader_next(loader, NULL, &batch);
    check_fails(st, AT_EFORMAT, "cat/03.png");
    at_loader_free(loader);
    at_picture_split_free(&train);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(parts_are_held_out_of_each_class),
        cmocka_unit_test(nothing_to_hold_out_is_an_error),
        cmocka_unit_test(any_number_of_threads_gives_the_same_batches),
        cmocka_unit_test(broken_files_are_named_once_and_left_out),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

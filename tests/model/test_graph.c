/* The chain of every family: every parameter in exactly one step, shapes as they are. */
#include "model/graph.h"
#include <string.h>
#include "tests/check.h"

static at_model *new_model(const char *family, const char *options)
{
    const at_vocabulary v = {9, 9, 0, 1, 2, 3, 2};
    at_model *model;
    json_t *section = json_loads(options, 0, NULL);
    assert_non_null(section);
    check_ok(at_model_new(family, section, &v, &model));
    json_decref(section);
    return model;
}

static void every_parameter_has_its_step(void **state)
{
    (void)state;
    static const struct {
        const char *family, *options;
    } cases[] = {
        {"transformer", "{}"},
        {"transformer",
         "{\"positions\": \"learned\", \"norm\": \"pre\", \"tied\": \"none\", \"score\": \"general\"}"},
        {"transformer", "{\"tied\": \"target\", \"linformer_k\": 4}"},
        {"transformer", "{\"linformer_k\": 4, \"linformer_share_layers\": true}"},
        {"recurrent", "{}"},
        {"recurrent", "{\"attention\": \"luong\", \"score\": \"general\", \"align\": \"local-p\"}"},
        {"recurrent",
         "{\"attention\": \"none\", \"cell\": \"lstm\", \"use\": \"every\", \"context\": \"map\"}"},
        {"recurrent", "{\"tied\": \"all\", \"encoder_layers\": 2, \"bidirectional\": false}"},
        {"decoder", "{}"},
        {"decoder", "{\"norm\": \"rms\", \"positions\": \"learned\", \"tied\": false, \"groups\": 2}"},
        {"glimpse", "{}"},
        {"glimpse", "{\"combine\": \"product\", \"cell\": \"lstm\", \"scales\": 3}"},
        {"encoder", "{}"},
        {"encoder", "{\"body\": \"lstm\", \"pooling\": \"attention\", \"mask_loss\": 1}"},
        {"encoder",
         "{\"norm\": \"pre\", \"pooling\": \"mean\", \"linformer_k\": 8, \"linformer_share_layers\": true}"},
        {"vit", "{}"},
        {"vit", "{\"patch_norm\": true, \"pooling\": \"mean\", \"linformer_k\": 4}"},
        {"vit", "{\"shifted\": true, \"locality\": true, \"layer_scale\": 0.1}"},
        {"vit", "{\"stem\": 2, \"stem_norm\": true, \"pooling\": \"sequence\"}"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        at_model *model = new_model(cases[i].family, cases[i].options);
        at_graph graph;
        check_ok(at_graph_make(model, &graph));
        size_t all = at_params_numbers(&model->params), listed = 0;
        for (size_t s = 0; s < graph.count; s++) {
            listed += graph.steps[s].repeats * graph.steps[s].parameters;
            assert_true(graph.steps[s].shape[0] != '\0' && graph.steps[s].name[0] != '\0');
            assert_true(graph.steps[s].lane == 0 || graph.lanes[1]);
        }
        if (listed != all)
            fail_msg("%s %s: %zu parameters in the chain, %zu in the model", cases[i].family,
                     cases[i].options, listed, all);
        at_model_free(model);
    }
}

static void shapes_follow_the_options(void **state)
{
    (void)state;
    static const char *const want[] = {"n", "n×16", "n×16", "n×16", "16", "2"};
    at_model *model =
        new_model("encoder", "{\"d_model\": 16, \"heads\": 2, \"layers\": 5, \"ffn\": 7, \"norm\": "
                             "\"pre\", \"linformer_k\": 3, \"max_length\": 20}");
    at_graph graph;
    check_ok(at_graph_make(model, &graph));
    assert_int_equal(graph.count, sizeof want / sizeof *want);
    for (size_t i = 0; i < graph.count; i++)
        assert_string_equal(graph.steps[i].shape, want[i]);
    assert_int_equal(graph.steps[2].repeats, 5);
    assert_string_equal(graph.steps[2].detail, "2 heads of 8, over 3 sums of at most 20 rows (Linformer); "
                                               "feed-forward 7, GELU; LayerNorm before each");
    at_model_free(model);
}

static void all_families_have_one(void **state)
{
    (void)state;
    for (size_t i = 0; at_families[i]; i++)
        if (!at_families[i]->graph)
            fail_msg("family %s has no chain", at_families[i]->name);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_parameter_has_its_step),
        cmocka_unit_test(shapes_follow_the_options),
        cmocka_unit_test(all_families_have_one),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

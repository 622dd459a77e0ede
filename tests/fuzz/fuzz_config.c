#include "store/internal.h"
#include "tests/fuzz/fuzz.h"

/* A config that gives a model must be writable, and give the same model again. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    json_t *config, *written;
    at_model *model, *again;
    if (at_json_parse((const char *)data, size, "input", &config) != AT_OK)
        return 0;
    if (at_config_read(config, &model) == AT_OK) {
        at_folder_content content = {.model = model};
        written = at_config_write(&content);
        if (!written || at_config_read(written, &again) != AT_OK ||
            again->params.total != model->params.total || again->params.count != model->params.count)
            abort();
        json_decref(written);
        at_model_free(again);
        at_model_free(model);
    }
    json_decref(config);
    return 0;
}

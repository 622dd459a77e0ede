/* store/internal.h - what store's own files share and nobody else sees. */
#ifndef AT_STORE_INTERNAL_H
#define AT_STORE_INTERNAL_H
#include "store/folder.h"

enum { AT_CONFIG_MAX_BYTES = 16 << 20, AT_CONFIG_VERSION = 1 };

/* config.json's whole content for a model; NULL: no memory. */
json_t *at_config_write(const at_folder_content *content);
/* The model that config.json describes, parameters laid out, without numbers. Messages name the field. */
at_status at_config_read(const json_t *config, at_model **model);

/* causal.c: a decoder alone. Whether Hugging Face's LlamaForCausalLM computes the same; its keys or GPT-2's
 * written, and compared with the options; the options of a Llama that has no section of ours (a new
 * reference). */
bool at_config_is_llama(const json_t *options);
void at_config_put_causal(json_t *config, const json_t *options, bool *ok);
at_status at_config_check_causal(const json_t *config, const json_t *options);
at_status at_config_from_llama(const json_t *config, json_t **section);
at_status at_config_from_gpt2(const json_t *config, json_t **section);

/* gpt2.c: whether config.json is of Hugging Face's own GPT-2, whose products are stored as (in, out) and
 * whose queries, keys and values as one; and its numbers, split and turned, into the model's own block.
 * */
bool at_gpt2_is(const json_t *config);
at_status at_gpt2_bind(const at_safetensors *file, at_model *model);

/* vision.c: pictures. Whether Hugging Face's ViTForImageClassification computes the same; its keys written,
 * and compared with the options; the options of one that has no section of ours (a new reference). */
bool at_config_is_vit(const json_t *options);
void at_config_put_vit(json_t *config, const json_t *options, bool *ok);
at_status at_config_check_vit(const json_t *config, const json_t *options);
at_status at_config_from_vit(const json_t *config, json_t **section);

/* The files of a model folder into a folder that is there, each by its own rename. */
at_status at_folder_write_files(const char *path, const at_folder_content *content);

/* Tensors that Hugging Face's class wants in the file though they are not learned: position tables and a
 * bias of zeros. They are written for it, and recognised and checked when read. */
typedef struct at_extras {
    at_save_tensor list[4];
    size_t count;
    float *numbers; /* what the list points into; at_free */
} at_extras;
at_status at_extras_make(const at_model *model, at_extras *extras);
/* True if `tensor` is one of the class's own. Fails if it says something else than our model does. */
at_status at_extras_check(const at_model *model, const at_safetensors *file, const at_stored *tensor,
                          bool *known);
#endif

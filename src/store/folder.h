/* store/folder.h - a model as a folder, laid out as Hugging Face does.
 *
 * Role    config.json (flat keys of the nearest Hugging Face class, ours under "attend"),
 *         model.safetensors, tokenizer.json, README.md (the card).
 * Owns    at_folder owns model, tokenizer, config and the mapped file, which the parameters of the
 *         model point into: free the folder, never its parts.
 * Errors  AT_EIO, AT_EFORMAT, AT_ESHAPE, AT_ENOSUP, AT_ENOMEM; the message names file, field or tensor,
 *         both shapes, and the remedy. Unpickled formats (.bin, .pt) are refused: opening one runs code.
 * Threads Loading is one thread's; a loaded folder is const and may be shared.
 *
 *     at_folder *folder;
 *     at_status st = at_folder_load("models/tatoeba-en-zh", exec, &folder);
 *     at_model_logits(folder->model, …);
 *     at_folder_free(folder);
 */
#ifndef AT_STORE_FOLDER_H
#define AT_STORE_FOLDER_H
#include "base/json.h"
#include "model/model.h"
#include "store/safetensors.h"
#include "text/tokenizer.h"

typedef struct at_folder {
    at_model *model;
    at_tokenizer *tokenizer;
    json_t *config;           /* config.json whole */
    const json_t *preprocess; /* sections of config's "attend"; NULL when absent */
    const json_t *decode;
    const json_t *align; /* {"layer": 2, "head": 0}: whose cross attention aligns best */
    const json_t *data;  /* {"source": "en", "target": "de", …} */
    at_safetensors weights;
} at_folder;

/* exec not NULL: also packs what products read, for running (at_model_pack). Fp32 numbers stay in the
 * mapped file; so do matrices in BF16 when running, if products and embeddings alone read them (at_param's
 * `compact`). All else is widened into memory of the model's own. */
at_status at_folder_load(const char *path, at_exec *exec, at_folder **folder);
/* The same with the matrices kept as the file has them, in fp32, or in bf16: rounded to the nearest, half
 * the memory and its traffic. exec must not be NULL. */
at_status at_folder_load_as(const char *path, at_exec *exec, at_weights weights, at_folder **folder);
void at_folder_free(at_folder *folder);
/* AT_ENUMBER naming the first tensor that holds a NaN or an infinity; reads every number. */
at_status at_folder_check_finite(const at_folder *folder);

typedef struct at_folder_content {
    const at_model *model;
    const float *numbers; /* instead of the model's: a block with the same offsets (an average); or NULL */
    at_type type;         /* of the stored numbers: AT_F32 (0), AT_BF16 or AT_F16 */
    const at_tokenizer *tokenizer;
    const json_t *preprocess, *decode, *data, *align; /* sections for config.json; NULL: left out */
    const json_t *labels;                             /* id2label of config.json; NULL: no classifier */
    const char *card;                                 /* README.md; NULL: a short one is made */
    const char *origin; /* of the numbers, a line or more for the card that is made; or NULL */
} at_folder_content;

/* All that a loaded folder holds but its card, which says where the numbers came from. Borrowed. */
at_folder_content at_folder_contents(const at_folder *folder);
/* A new folder appears whole, by one rename. In a folder that is there (empty, a model, a training) each file
 * is replaced by its own rename and all else stays; a folder of anything else is refused. */
at_status at_folder_save(const char *path, const at_folder_content *content);

/* PATH/config.json names this layer and head of cross attention for alignments from now on; negative: the
 * mean. */
at_status at_folder_set_align(const char *path, int layer, int head);

/* Sets every parameter of `params` at out + offset from PATH/model.safetensors: same names, same shapes. */
at_status at_folder_numbers(const char *path, const at_params *params, float *out);
#endif

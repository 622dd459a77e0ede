/* cli/training.h - from a recipe, a data folder and flags to everything that train/loop.h asks for.
 *
 * Role    Reads the recipe's sections, changes single keys, learns or opens the tokenizer, reads the data,
 *         builds the model; scores it on the validation set while it trains; draws its curves.
 * Owns    All its parts; at_training_free, also after a failure. Zero-initialise.
 * Errors  AT_EARG for the recipe (the caller's exit code 2), others for files and memory.
 *
 *     at_training t = {0};
 *     at_status st = at_training_read(&t, "recipes/copy.json", NULL);
 *     st = at_training_change(&t, "lr", "0.002");
 *     st = at_training_prepare(&t, &place, &log);
 *     … at_train(&(at_train_task){.model = t.model, …}, &result) …
 *     at_training_free(&t);
 */
#ifndef AT_CLI_TRAINING_H
#define AT_CLI_TRAINING_H
#include "cli/textfile.h"
#include "data/pictures.h"
#include "data/tokens.h"
#include "decode/beam.h"
#include "text/train.h"
#include "train/loop.h"
#include "train/recipe.h"

enum { AT_TRAINING_SECTIONS = 6 }; /* the most; which there are, the family says */

typedef struct at_training {
    at_train_options train;
    at_data_options data;
    at_tokenizer_options pieces;
    at_preprocess preprocess;
    at_beam_options decode;
    at_picture_options pictures; /* of a family of pictures, instead of pieces, preprocess and decode */
    at_augment_options augment;
    const at_family *family;
    void *model_options;        /* what family->fields describes */
    char *description, *folder; /* folder: where the data lie */
    char *left_out;             /* keys of the recipe that another family does not know; NULL: none */
    at_section sections[AT_TRAINING_SECTIONS];
    at_recipe recipe;

    at_exec *exec;
    at_tokenizer *tokenizer;
    at_dataset train_set, valid_set;           /* of pairs */
    at_tokens train_tokens, valid_tokens;      /* of a text: mapped from OUT/data */
    at_picture_split train_split, valid_split; /* of pictures */
    at_image_cache *cache;
    at_prepare prepare;
    at_loader *train_loader, *valid_loader; /* valid_loader NULL: no validation */
    at_model *model;
    char data_mark[64];
    json_t *preprocess_section, *decode_section, *data_section, *labels_section,
        *align_section;              /* for config.json */
    at_textfile sources, references; /* of the validation set, as scoring wants them */
} at_training;

typedef struct at_training_place {
    const char *out;
    bool resume; /* OUT/tokenizer.json, if it is there, is used again */
    int threads;
    const char *kernels;
    const char *init; /* a model folder to start from: its tokenizer and weights; NULL: random ones */
} at_training_place;

/* Whether any section of a recipe, of any family of models, has this key: "lr", "train.lr". */
bool at_training_knows(const char *key);

/* family: instead of the recipe's; NULL: its own. */
at_status at_training_read(at_training *training, const char *path, const char *family);
at_status at_training_change(at_training *training, const char *key,
                             const char *value);                             /* a flag: --lr 0.002 */
at_status at_training_assign(at_training *training, const char *assignment); /* --set train.lr=0.002 */
at_status at_training_prepare(at_training *training, const at_training_place *place, const at_log *log);
/* The recipe with every default, as OUT/recipe.json. */
at_status at_training_save(const at_training *training, const char *path);
void at_training_free(at_training *training);

/* training_text.c: the parts of at_training_prepare that a text wants otherwise than pairs do. */
at_status at_training_learn_text(at_training *training, at_learner *learner);
at_status at_training_load_text(at_training *training, const at_training_place *place, const at_log *log);

/* training_pictures.c: for families of pictures. Finding them says which classes there are, which the model
 * must know before it is built; the model's size says how they are made ready. */
at_status at_training_find_pictures(at_training *training, const at_log *log);
at_status at_training_load_pictures(at_training *training, const at_log *log);

/* training_init.c: weights of another model in place of random ones. Heads that it does not have, or
 * has for other labels, stay random, and a line of the log names them; any other tensor that does not fit is
 * AT_ESHAPE. */
at_status at_training_take_weights(const at_folder *from, at_model *model, const at_log *log);

/* Section "data" of the model's config.json: layout, and what a text begins behind. NULL: no memory. */
json_t *at_training_text_section(const at_training *training);

/* at_train_hooks.score; context is the training. */
at_status at_training_score(void *training, const at_model *model, at_train_scores *scores);
/* FOLDER/log.jsonl -> FOLDER/curves.svg; nothing while the log is empty. */
at_status at_training_draw(const char *folder, const char *title);
#endif

/* model/internal.h - what families share; the families and operations that the tables list. */
#ifndef AT_MODEL_INTERNAL_H
#define AT_MODEL_INTERNAL_H
#include "layer/multi_head.h"
#include "model/model.h"

/* Whether `length` pieces are within `most` (0: any number); else AT_ENOSUP sticks and names `what`. */
bool at_length_fits(at_tape *tape, const char *what, size_t length, size_t most);
/* The same for every sequence. */
bool at_rows_fit(at_tape *tape, const char *what, const at_rows *rows, size_t most);
/* A family's max_length that sets no bound. */
size_t at_any_length(const at_model *model);
/* Pooled rows (B,D) -> logits (B,labels). A model without labels: AT_ENOSUP sticks. */
at_var *at_label_logits(at_tape *tape, const at_projection *classifier, at_var *pooled);
/* Why a causal stack has no Linformer. */
at_status at_linformer_refuse(void);

extern const at_family at_family_recurrent, at_family_transformer, at_family_decoder, at_family_encoder,
    at_family_glimpse, at_family_vit;
extern const at_op at_op_cross_entropy, at_op_logit_cross_entropy;
#endif

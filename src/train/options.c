#include "train/options.h"
#include <string.h>

#define AT(member) offsetof(at_train_options, member)

const at_field at_train_fields[] = {
    {"seed", AT_FIELD_INT, AT(seed), "1", 0, 4294967295.0, NULL, "of initial weights, order and dropout"},
    {"max_steps", AT_FIELD_INT, AT(max_steps), "0", 0, 1e12, NULL, "stop after so many updates; 0: no limit"},
    {"max_epochs", AT_FIELD_INT, AT(max_epochs), "0", 0, 1e9, NULL, "stop after so many passes; 0: no limit"},
    {"max_minutes", AT_FIELD_REAL, AT(max_minutes), "0", 0, 1e6, NULL, "stop after so long; 0: no limit"},
    {"patience", AT_FIELD_INT, AT(patience), "0", 0, 1e6, NULL,
     "stop after so many validations without a better one; 0: never"},
    {"lr", AT_FIELD_REAL, AT(lr), "0.001", 1e-12, 100, NULL, "highest learning rate"},
    {"schedule", AT_FIELD_CHOICE, AT(schedule), "inverse-sqrt", 0, 0, "inverse-sqrt|cosine|linear|constant",
     "how the learning rate moves after warm-up"},
    {"warmup", AT_FIELD_INT, AT(warmup), "0", 0, 1e9, NULL, "updates until the highest learning rate"},
    {"warmup_init_lr", AT_FIELD_REAL, AT(warmup_init_lr), "0", 0, 100, NULL,
     "learning rate before the first update"},
    {"min_lr", AT_FIELD_REAL, AT(min_lr), "0", 0, 100, NULL, "where cosine and linear end"},
    {"optimiser", AT_FIELD_CHOICE, AT(optimiser), "adam", 0, 0, "adam|adamw",
     "adamw: decay apart from the gradient"},
    {"beta1", AT_FIELD_REAL, AT(beta1), "0.9", 0, 0.99999, NULL, "of the mean of gradients"},
    {"beta2", AT_FIELD_REAL, AT(beta2), "0.98", 0, 0.9999999, NULL, "of the mean of their squares"},
    {"eps", AT_FIELD_REAL, AT(eps), "1e-9", 1e-20, 1, NULL, "added to the root of that mean"},
    {"weight_decay", AT_FIELD_REAL, AT(weight_decay), "0", 0, 10, NULL,
     "of matrices; not of biases and norms"},
    {"clip", AT_FIELD_REAL, AT(clip), "0", 0, 1e9, NULL, "longest gradient, all parameters together; 0: any"},
    {"label_smoothing", AT_FIELD_REAL, AT(label_smoothing), "0", 0, 0.5, NULL,
     "part of the probability spread over all pieces"},
    {"z_loss", AT_FIELD_REAL, AT(z_loss), "0", 0, 1, NULL,
     "times the squared log of the softmax's denominator, added to the loss; 1e-4 keeps logits small"},
    {"r_drop", AT_FIELD_REAL, AT(r_drop), "0", 0, 100, NULL,
     "see each example twice under different dropout, and bind what the model says of it with this weight; "
     "0: "
     "no; Liang et al. 2021: 1 to 5"},
    {"r_drop_from", AT_FIELD_INT, AT(r_drop_from), "0", 0, 1e12, NULL,
     "after so many updates: the first ones learn faster without"},
    {"guided_alignment", AT_FIELD_REAL, AT(guided_alignment), "0", 0, 100, NULL,
     "teach a head to align as data.alignment says, with this weight beside the loss; 0: no; Garg et al. "
     "2019: "
     "0.05"},
    {"guided_layer", AT_FIELD_INT, AT(guided_layer), "-1", -1, 63, NULL,
     "the decoder's layer of that head; -1: the last but one; recurrent: 0"},
    {"guided_head", AT_FIELD_INT, AT(guided_head), "0", 0, 255, NULL, "that head"},
    {"ema", AT_FIELD_REAL, AT(ema), "0", 0, 0.999999, NULL,
     "keep and judge a moving average of the weights that forgets so slowly; 0: none"},
    {"accumulate", AT_FIELD_INT, AT(accumulate), "1", 1, 4096, NULL, "batches an update"},
    {"precision", AT_FIELD_CHOICE, AT(precision), "fp32", 0, 0, "fp32|bf16",
     "of what linear layers multiply: bf16 rounds weights (from fp32 masters), inputs and gradients, and "
     "adds "
     "in fp32; all else stays fp32, but attention's products on a CPU with AVX512-BF16. No faster on a CPU "
     "without bf16 instructions"},
    {"report_every", AT_FIELD_INT, AT(report_every), "100", 1, 1e9, NULL, "updates between lines of the log"},
    {"valid_every", AT_FIELD_INT, AT(valid_every), "0", 0, 1e9, NULL,
     "updates between validations; 0: each epoch"},
    {"score_every", AT_FIELD_INT, AT(score_every), "0", 0, 1e6, NULL,
     "validations between translations of the validation set; 0: loss only"},
    {"score_from", AT_FIELD_INT, AT(score_from), "0", 0, 1e12, NULL, "no translation before this update"},
    {"score_beam", AT_FIELD_INT, AT(score_beam), "1", 1, 64, NULL, "beam of these translations"},
    {"score_lines", AT_FIELD_INT, AT(score_lines), "0", 0, 1e9, NULL,
     "translate only the first lines; 0: all"},
    {"best_by", AT_FIELD_TEXT, AT(best_by), "loss", 0, 0, NULL,
     "what makes a model the best: loss, or accuracy of an encoder, or bleu, chrf"},
    {"checkpoint_every", AT_FIELD_INT, AT(checkpoint_every), "0", 0, 1e9, NULL,
     "updates between checkpoints; 0: at each validation"},
    {"keep", AT_FIELD_INT, AT(keep), "3", 1, 10000, NULL, "checkpoints kept (at least average_last)"},
    {"average_last", AT_FIELD_INT, AT(average_last), "0", 0, 1000, NULL,
     "at the end, judge the mean of so many last checkpoints; 0 or 1: none"},
    {"average", AT_FIELD_CHOICE, AT(average), "better", 0, 0, "better|always",
     "that mean becomes the model if it is better, or always"},
    {0}};

at_schedule at_train_schedule(const at_train_options *o)
{
    return (at_schedule){
        (at_schedule_kind)o->schedule, o->lr, o->warmup, o->warmup_init_lr, o->min_lr, o->max_steps};
}

at_optimiser_options at_train_optimiser(const at_train_options *o)
{
    return (at_optimiser_options){
        (at_optimiser_kind)o->optimiser, o->beta1, o->beta2, o->eps, o->weight_decay, o->ema};
}

at_status at_train_options_check(const at_train_options *o)
{
    if (o->max_steps == 0 && o->max_epochs == 0 && o->max_minutes <= 0 && o->patience == 0)
        return at_fail(AT_EARG,
                       "this training would never end: give one of max_steps, max_epochs, max_minutes, "
                       "patience");
    if (o->r_drop > 0 && o->z_loss > 0)
        return at_fail(AT_EARG, "option 'train.r_drop': not together with z_loss");
    bool by_loss = !o->best_by || !strcmp(o->best_by, "loss");
    bool by_accuracy = o->best_by && !strcmp(o->best_by, "accuracy");
    if (!by_loss && !by_accuracy && strcmp(o->best_by, "bleu") != 0 && strcmp(o->best_by, "chrf") != 0)
        return at_fail(AT_EARG, "option 'best_by': '%s' is none of loss, accuracy, bleu, chrf", o->best_by);
    if (!by_loss && !by_accuracy && o->score_every == 0)
        return at_fail(AT_EARG,
                       "option 'best_by': %s is known only where the validation set is translated; set "
                       "score_every to 1",
                       o->best_by);
    at_schedule schedule = at_train_schedule(o);
    return at_schedule_check(&schedule);
}

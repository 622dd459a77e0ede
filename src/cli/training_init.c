/* A training that starts from the weights of a model that is there. */
#include <string.h>
#include "cli/training.h"

/* What stands above the body and is of a task: "classifier.weight". */
static bool is_head(const char *name)
{
    static const char *const heads[] = {"classifier.", "bert.pooler.", "vit.pooler.", "cls.predictions."};
    for (size_t i = 0; i < sizeof heads / sizeof heads[0]; i++)
        if (!strncmp(name, heads[i], strlen(heads[i])))
            return true;
    return false;
}

static at_status unfit(const at_folder *from, const at_param *p, const at_param *theirs)
{
    if (!theirs)
        return at_fail(AT_ESHAPE,
                       "--init %s: tensor '%s' %s is missing: its model is of another make; take over its "
                       "recipe's section model",
                       from->weights.path, p->name, at_shape_text(p->shape).s);
    return at_fail(
        AT_ESHAPE,
        "--init %s: tensor '%s' is %s there, and this recipe makes it %s; give the recipe the same "
        "sizes",
        from->weights.path, p->name, at_shape_text(theirs->shape).s, at_shape_text(p->shape).s);
}

at_status at_training_take_weights(const at_folder *from, at_model *model, const at_log *log)
{
    at_params *params = &model->params;
    at_buf fresh = {0};
    at_status st = AT_OK;
    for (size_t i = 0; i < params->count && st == AT_OK; i++) {
        const at_param *p = params->list[i], *theirs = at_params_find(&from->model->params, p->name);
        bool fits = theirs && at_shape_same(theirs->shape, p->shape);
        if (p->tied_to)
            continue;
        if (fits)
            memcpy(params->block + p->offset, theirs->data, at_shape_count(p->shape) * sizeof(float));
        else if (is_head(p->name))
            at_buf_printf(&fresh, "%s%s", fresh.length ? ", " : "", p->name);
        else
            st = unfit(from, p, theirs);
    }
    if (st == AT_OK)
        st = at_buf_status(&fresh);
    if (st == AT_OK)
        at_log_line(log, "starting from the weights of %s%s%s", from->weights.path,
                    fresh.length ? "; newly made: " : "", fresh.length ? fresh.data : "");
    at_buf_free(&fresh);
    return st;
}

/* Cross-entropy of logits that are there, and
 * linear + softmax + cross-entropy in one operation: logits exist for some rows at a time, and their gradient
 * is taken while they are there, so the (tokens x vocabulary) matrix is never held. */
#include <math.h>
#include <string.h>
#include "attention/guide.h"
#include "layer/layer.h"
#include "model/internal.h"
#include "model/twins.h"

enum { CHUNK = 192 }; /* rows of logits at a time: with 10,000 pieces 7.7 MB */

typedef struct cross_entropy {
    const at_kernels *k;
    const int32_t *targets;
    float *logits, *losses;         /* (CHUNK,V), (N) */
    size_t first, rows, vocabulary; /* rows: of this chunk, each once */
    float smoothing, scale, z;
    float *d_x, *d_w; /* (N,D), (V,D) for an upstream gradient of 1 */
    float twins;      /* rows are (T,D) twice, one target for both: the weight of what binds them; 0: (N,D) */
    float *ones;      /* of twins: (V), and behind them the workers' room; or NULL */
} cross_entropy;

/* What the loss's row will have overwritten. */
typedef struct z_row {
    double wanted; /* sum of logits weighted by the wanted probabilities: loss = log-sum-exp - wanted */
} z_row;

static z_row z_before(const cross_entropy *s, const float *row, size_t target)
{
    double wanted = (1.0 - (double)s->smoothing) * (double)row[target], sum = 0;
    for (size_t j = 0; s->smoothing > 0 && j < s->vocabulary; j++)
        sum += (double)row[j];
    return (z_row){wanted + (double)s->smoothing * sum / (double)s->vocabulary};
}

/* z * log-sum-exp^2, its gradient 2 z log-sum-exp * softmax added to the row, which holds
 * scale * (softmax - wanted probabilities). */
static float z_after(const cross_entropy *s, float *row, size_t target, const z_row *z, float loss)
{
    double log_sum = (double)loss + z->wanted;
    float factor = (float)(2 * (double)s->z * log_sum), share = s->smoothing / (float)s->vocabulary;
    for (size_t j = 0; s->scale != 0 && j < s->vocabulary; j++) {
        float want = (j == target ? 1 - s->smoothing : 0) + share;
        row[j] += factor * (row[j] + s->scale * want);
    }
    return (float)((double)s->z * log_sum * log_sum);
}

static void loss_rows(void *context, size_t first, size_t end, int worker)
{
    (void)worker;
    const cross_entropy *s = context;
    size_t v = s->vocabulary;
    for (size_t i = first; i < end; i++) {
        float *row = s->logits + i * v;
        size_t target = (size_t)s->targets[s->first + i];
        z_row z = s->z > 0 ? z_before(s, row, target) : (z_row){0};
        s->losses[s->first + i] = s->k->cross_entropy(row, v, target, s->smoothing, s->scale);
        if (s->z > 0)
            s->losses[s->first + i] += z_after(s, row, target, &z, s->losses[s->first + i]);
    }
}

static void twin_rows(void *context, size_t first, size_t end, int worker)
{
    const cross_entropy *s = context;
    size_t v = s->vocabulary;
    for (size_t i = first; i < end; i++) {
        at_twin_rows r = {.k = s->k,
                          .first = s->logits + i * v,
                          .second = s->logits + (s->rows + i) * v,
                          .room = s->ones + (1 + (size_t)worker * AT_TWIN_ROOM) * v,
                          .ones = s->ones,
                          .pieces = v,
                          .target = (size_t)s->targets[s->first + i],
                          .smoothing = s->smoothing,
                          .weight = s->twins,
                          .scale = s->scale};
        s->losses[s->first + i] = at_twin_loss(&r);
    }
}

typedef struct gradient_span {
    const at_kernels *k;
    float *to;
    const float *from;
    float factor;
} gradient_span;

static void scaled_add(void *context, size_t first, size_t end, int worker)
{
    (void)worker;
    const gradient_span *s = context;
    s->k->axpy(s->to + first, s->factor, s->from + first, end - first);
}

static void cross_entropy_backward(at_tape *tape, const at_node *node)
{
    cross_entropy *s = node->saved;
    AT_ASSERT(s->d_x); /* backward runs once a loss: the gradients go back below */
    const float *kept[] = {s->d_x, s->d_w};
    for (int i = 0; i < 2; i++) {
        float *d = at_tape_grad(tape, node->in[i], NULL);
        gradient_span span = {s->k, d, kept[i], node->out->grad[0]};
        if (d)
            at_exec_rows(tape->exec, at_shape_count(node->in[i]->shape), 16384, scaled_add, &span);
    }
    at_tape_return(tape, s->d_x);
    at_tape_return(tape, s->d_w);
    s->d_x = s->d_w = NULL;
}

const at_op at_op_cross_entropy = {"cross_entropy", cross_entropy_backward};

/* What the chunks' products read. */
typedef struct factors {
    const float *x; /* (N,D) */
    size_t d;
    at_panels panels, back; /* w^T; w, where gradients are wanted */
} factors;

/* Logits of `rows` rows of x, from `first` on. */
static void project(at_tape *tape, const factors *f, size_t first, size_t rows, float *logits, size_t v)
{
    at_gemm g = {.a = f->x + first * f->d,
                 .a_row = f->d,
                 .a_col = 1,
                 .c = logits,
                 .c_row = v,
                 .m = rows,
                 .n = v,
                 .k = f->d};
    at_gemm_panels(tape->exec, &g, &f->panels);
    at_exec_gemm(tape->exec, &g);
}

/* Their gradient -> those of x's rows and of w. */
static void project_back(at_tape *tape, const cross_entropy *s, const factors *f, size_t first, size_t rows,
                         const float *logits)
{
    size_t d = f->d, v = s->vocabulary;
    at_gemm back = {
        .a = logits, .a_row = v, .a_col = 1, .c = s->d_x + first * d, .c_row = d, .m = rows, .n = d, .k = v};
    at_gemm_panels(tape->exec, &back, &f->back);
    at_exec_gemm(tape->exec, &back);
    at_gemm weight = {.a = logits,
                      .a_row = 1,
                      .a_col = v,
                      .c = s->d_w,
                      .c_row = d,
                      .m = v,
                      .n = d,
                      .k = rows,
                      .accumulate = first > 0};
    at_panels panels;
    if (!at_panels_rows(tape, f->x + first * d, d, rows, d, &panels))
        return;
    at_gemm_panels(tape->exec, &weight, &panels);
    at_exec_gemm(tape->exec, &weight);
    at_panels_return(tape, &panels);
}

/* One chunk, of twins both: logits, losses, and while the logits' gradient is there, its two products. */
static void run_chunk(at_tape *tape, cross_entropy *s, const factors *f, size_t half)
{
    size_t rows = s->rows, v = s->vocabulary, copies = s->twins > 0 ? 2 : 1;
    for (size_t c = 0; c < copies; c++)
        project(tape, f, c * half + s->first, rows, s->logits + c * rows * v, v);
    at_exec_rows(tape->exec, rows, 8, s->twins > 0 ? twin_rows : loss_rows, s);
    if (!s->d_x)
        return;
    if (tape->mixed && !tape->exec->kernels->dots)
        at_exec_round_bf16(tape->exec, s->logits, s->logits, copies * rows * v);
    for (size_t c = 0; c < copies; c++)
        project_back(tape, s, f, c * half + s->first, rows, s->logits + c * rows * v);
}

/* All chunks; the logits are borrowed. `count` targets. */
static void run_chunks(at_tape *tape, cross_entropy *s, const at_var *x, const at_param *w, size_t count)
{
    size_t n = (size_t)x->shape.dim[0], most = s->twins > 0 ? CHUNK / 2 : CHUNK;
    float *rounded;
    factors f = {.d = (size_t)w->shape.dim[1]};
    f.x = at_rounded(tape, x->data, n * f.d, &rounded);
    if (at_panels_of(tape, w, &f.panels) && (!s->d_x || at_panels_back(tape, w, &f.back)) && f.x)
        for (s->first = 0; s->first < count; s->first += most) {
            s->rows = count - s->first < most ? count - s->first : most;
            run_chunk(tape, s, &f, count);
        }
    at_panels_return(tape, &f.panels);
    at_panels_return(tape, &f.back);
    at_tape_return(tape, rounded);
}

static float *room_for_twins(at_tape *tape, size_t v)
{
    float *ones = at_tape_borrow(tape, (1 + (size_t)tape->exec->threads * AT_TWIN_ROOM) * v);
    for (size_t j = 0; ones && j < v; j++)
        ones[j] = 1;
    return ones;
}

at_var *at_cross_entropy(at_tape *tape, at_var *x, const at_param *w, const int32_t *targets,
                         const at_loss_options *options, double *sum)
{
    size_t n = (size_t)x->shape.dim[0], d = (size_t)w->shape.dim[1], v = (size_t)w->shape.dim[0];
    if (!at_expect_shape(tape, w->name, x, at_shape2((int64_t)n, (int64_t)d)))
        return NULL;
    bool twins = options->twins > 0;
    size_t count = twins ? n / 2 : n;
    AT_ASSERT(!twins || (n % 2 == 0 && options->z == 0));
    for (size_t i = 0; i < count; i++)
        AT_ASSERT(targets[i] >= 0 && (size_t)targets[i] < v);
    /* No row or no scale, no gradient. */
    bool recording =
        tape->mode != AT_TAPE_RUN && (x->needs_grad || tape->grads) && n > 0 && options->scale != 0;
    at_var *out = at_tape_value(tape, at_shape1(1));
    cross_entropy *s = at_tape_saved(tape, 1, sizeof *s);
    float *losses = at_tape_saved(tape, count, sizeof *losses);
    float *logits = at_tape_borrow(tape, CHUNK * v);
    float *ones = twins ? room_for_twins(tape, v) : NULL;
    float *d_x = recording ? at_tape_borrow(tape, n * d + 1) : NULL;
    float *d_w = recording ? at_tape_borrow(tape, v * d) : NULL;
    if (tape->status != AT_OK)
        return NULL;
    *s = (cross_entropy){.k = tape->exec->kernels,
                         .targets = targets,
                         .logits = logits,
                         .losses = losses,
                         .vocabulary = v,
                         .smoothing = options->smoothing,
                         .scale = recording ? options->scale : 0,
                         .z = options->z,
                         .d_x = d_x,
                         .d_w = d_w,
                         .twins = options->twins,
                         .ones = ones};
    run_chunks(tape, s, x, w, count);
    at_tape_return(tape, logits);
    at_tape_return(tape, ones);
    if (tape->status != AT_OK)
        return NULL;
    *sum = 0;
    for (size_t i = 0; i < count; i++)
        *sum += (double)losses[i];
    out->data[0] = (float)(*sum * (double)options->scale);
    if (!recording)
        return out;
    return at_tape_record(tape, &at_op_cross_entropy, out, (at_var *[]){x, at_param_var(tape, w)}, 2, s);
}

/* ---------------------------------------------------------------- logits that are there */

typedef struct logit_loss {
    const at_kernels *k;
    float *gradient; /* (N,K) for an upstream gradient of 1 */
    size_t n;
} logit_loss;

/* What the rows should say. */
typedef struct wanted {
    const int32_t *targets;
    const float *shares; /* NULL: all of the target */
    float *room;         /* of twins: ones (K), and room to work in */
} wanted;

static void logit_backward(at_tape *tape, const at_node *node)
{
    const logit_loss *s = node->saved;
    float *d = at_tape_grad(tape, node->in[0], NULL);
    if (d)
        s->k->axpy(d, node->out->grad[0], s->gradient, s->n);
}

const at_op at_op_logit_cross_entropy = {"logit_cross_entropy", logit_backward};

static size_t largest(const float *row, size_t n)
{
    size_t best = 0;
    for (size_t j = 1; j < n; j++)
        if (row[j] > row[best])
            best = j;
    return best;
}

/* Cross-entropy with wanted probabilities: the row becomes scale * (softmax - wanted). */
static double share_row(const logit_loss *s, float *row, const float *shares, size_t classes,
                        const at_loss_options *how)
{
    float even = how->smoothing / (float)classes;
    double sum = 0;
    s->k->log_softmax(row, row, classes);
    for (size_t j = 0; j < classes; j++) {
        float want = (1 - how->smoothing) * shares[j] + even;
        sum -= want > 0 ? (double)want * (double)row[j] : 0;
        row[j] = how->scale * (expf(row[j]) - want);
    }
    return sum;
}

/* The loss of row i, of twins both rows of example i; they become their gradient. */
static double logit_row(const logit_loss *s, const wanted *want, size_t i, size_t examples, size_t classes,
                        const at_loss_options *how)
{
    float *row = s->gradient + i * classes;
    if (want->shares)
        return share_row(s, row, want->shares + i * classes, classes, how);
    if (how->twins <= 0)
        return (double)s->k->cross_entropy(row, classes, (size_t)want->targets[i], how->smoothing,
                                           how->scale);
    at_twin_rows both = {.k = s->k,
                         .first = row,
                         .second = row + examples * classes,
                         .room = want->room + classes,
                         .ones = want->room,
                         .pieces = classes,
                         .target = (size_t)want->targets[i],
                         .smoothing = how->smoothing,
                         .weight = how->twins,
                         .scale = how->scale};
    return (double)at_twin_loss(&both);
}

static at_var *logit_loss_of(at_tape *tape, at_var *logits, wanted want, const at_loss_options *options,
                             at_loss_report *report)
{
    if (!logits || !at_expect_rank(tape, "cross-entropy", logits, 2))
        return NULL;
    bool twins = options->twins > 0;
    size_t n = (size_t)logits->shape.dim[0], classes = (size_t)logits->shape.dim[1],
           examples = twins ? n / 2 : n;
    AT_ASSERT(!twins || (n % 2 == 0 && !want.shares));
    at_var *out = at_tape_value(tape, at_shape1(1));
    logit_loss *s = at_tape_saved(tape, 1, sizeof *s);
    float *gradient = at_tape_saved(tape, n * classes + 1, sizeof *gradient);
    want.room = twins ? at_tape_saved(tape, (1 + AT_TWIN_ROOM) * classes, sizeof *want.room) : NULL;
    if (tape->status != AT_OK)
        return NULL;
    for (size_t j = 0; twins && j < classes; j++)
        want.room[j] = 1;
    *s = (logit_loss){tape->exec->kernels, gradient, n * classes};
    memcpy(gradient, logits->data, n * classes * sizeof *gradient);
    double sum = 0;
    report->tokens += examples;
    report->judged += examples;
    for (size_t i = 0; i < examples; i++) {
        AT_ASSERT(want.targets[i] >= 0 && (size_t)want.targets[i] < classes);
        report->right += largest(gradient + i * classes, classes) == (size_t)want.targets[i];
        sum += logit_row(s, &want, i, examples, classes, options);
    }
    report->loss += sum;
    out->data[0] = (float)(sum * (double)options->scale);
    if (options->scale == 0) /* no gradient: the rows are still logits */
        return out;
    return at_tape_record(tape, &at_op_logit_cross_entropy, out, &logits, 1, s);
}

at_var *at_logit_cross_entropy(at_tape *tape, at_var *logits, const int32_t *targets,
                               const at_loss_options *options, at_loss_report *report)
{
    return logit_loss_of(tape, logits, (wanted){.targets = targets}, options, report);
}

at_var *at_label_loss(at_tape *tape, at_var *logits, const at_batch *batch, const at_loss_options *options,
                      at_loss_report *report)
{
    if (logits && !batch->labels) {
        at_tape_fail(tape, AT_EARG, "a batch without labels has no loss");
        return NULL;
    }
    return logit_loss_of(tape, logits, (wanted){.targets = batch->labels, .shares = batch->shares}, options,
                         report);
}

/* ---------------------------------------------------------------- the loss of a model */

at_var *at_model_loss(const at_model *model, at_tape *tape, const at_batch *batch,
                      const at_loss_options *options, at_loss_report *report)
{
    const at_family *f = model->family;
    at_loss_report own = {0};
    AT_ASSERT(options->twins <= 0 || !f->loss || (batch->labels && !f->pixels));
    at_batch twice;
    const at_batch *b = batch;
    if (options->twins > 0) {
        if (!at_twin_batch(tape, batch, &twice))
            return NULL;
        b = &twice;
    }
    if (f->loss) {
        at_var *sum = f->loss(model, tape, b, options, &own);
        if (report)
            *report = own;
        return sum;
    }
    if (tape->guide)
        at_guide_begin(tape->guide, &b->target, b->link_starts, b->link_keys);
    at_var *memory = f->encode ? f->encode(model, tape, b) : NULL;
    at_var *rows = memory || !f->encode ? f->decode(model, tape, b, memory) : NULL;
    double sum = 0;
    at_var *loss =
        rows ? at_cross_entropy(tape, rows, at_model_output(model), b->target_out, options, &sum) : NULL;
    if (report)
        *report = (at_loss_report){.loss = sum, .tokens = at_rows_total(&batch->target)};
    return at_guide_add(tape, loss);
}

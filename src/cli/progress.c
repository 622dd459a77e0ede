#include "cli/progress.h"
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>
#include "base/buf.h"
#include "base/clock.h"

enum { BAR = 24, LEAST_WIDTH = 20, USUAL_WIDTH = 80 };
static const double redraw_seconds = 0.1;

at_progress_bar at_progress_begin(bool quiet)
{
    return (at_progress_bar){.quiet = quiet, .unit = "tokens", .terminal = isatty(STDERR_FILENO) != 0};
}

static size_t terminal_width(void)
{
    struct winsize size;
    if (ioctl(STDERR_FILENO, TIOCGWINSZ, &size) != 0 || size.ws_col < LEAST_WIDTH)
        return USUAL_WIDTH;
    return size.ws_col;
}

/* 0 … 1 of the training done, or of its epoch when nobody knows its length. */
static double part_done(const at_train_progress *p)
{
    if (p->max_steps > 0)
        return fmin(1, (double)p->step / (double)p->max_steps);
    if (p->seconds_left >= 0 && p->seconds + p->seconds_left > 0)
        return p->seconds / (p->seconds + p->seconds_left);
    return p->epoch_part;
}

static void add_bar(at_buf *out, double part)
{
    int full = (int)(part * BAR + 0.5);
    at_buf_char(out, '[');
    for (int i = 0; i < BAR; i++)
        at_buf_char(out, (char)(i < full ? '=' : i == full ? '>' : ' '));
    at_buf_text(out, "] ");
}

static void add_left(at_buf *out, double seconds)
{
    char span[16];
    if (seconds < 0)
        return;
    at_clock_span(seconds, span);
    at_buf_printf(out, " %s left", span);
}

/* The bar goes first where the line would not fit, then the end of the line. */
static void draw(at_progress_bar *bar, const at_train_progress *p)
{
    at_buf numbers = {0}, line = {0};
    at_buf_printf(&numbers, "step %" PRId64, p->step);
    if (p->max_steps > 0)
        at_buf_printf(&numbers, "/%" PRId64, p->max_steps);
    at_buf_printf(&numbers, " epoch %" PRId64 " loss %.3f lr %.2g %.0f %s/s", p->epoch, p->loss, p->lr,
                  p->tokens_per_s, bar->unit);
    add_left(&numbers, p->seconds_left);
    if (bar->patience > 0 && bar->stall > 0)
        at_buf_printf(&numbers, " stall %" PRId64 "/%" PRId64, bar->stall, bar->patience);
    size_t width = terminal_width() - 1;
    if (numbers.length + BAR + 3 <= width)
        add_bar(&line, part_done(p));
    at_buf_bytes(&line, numbers.data, numbers.length);
    if (at_buf_status(&line) == AT_OK)
        fprintf(stderr, "\r%.*s\033[K", (int)(line.length < width ? line.length : width), line.data);
    fflush(stderr);
    bar->shown = true;
    at_buf_free(&numbers);
    at_buf_free(&line);
}

static void clear(at_progress_bar *bar)
{
    if (bar->shown)
        fputs("\r\033[K", stderr);
    bar->shown = false;
}

void at_progress_step(at_progress_bar *bar, const at_train_progress *p)
{
    double now = at_clock();
    if (bar->quiet)
        return;
    if (bar->terminal) {
        if (now - bar->last >= redraw_seconds) {
            bar->last = now;
            draw(bar, p);
        }
        return;
    }
    if (!p->logged)
        return;
    char span[16];
    at_clock_span(p->seconds, span);
    at_buf line = {0};
    at_buf_printf(&line, "step %" PRId64 " epoch %" PRId64 " loss %.4f lr %.3g grad %.3f %.0f %s/s %s gone",
                  p->step, p->epoch, p->loss, p->lr, p->grad_norm, p->tokens_per_s, bar->unit, span);
    add_left(&line, p->seconds_left);
    if (at_buf_status(&line) == AT_OK)
        fprintf(stderr, "%s\n", line.data);
    at_buf_free(&line);
}

void at_progress_validated(at_progress_bar *bar, const at_validation *v)
{
    bar->stall = v->stall;
    bar->patience = v->patience;
    if (bar->quiet)
        return;
    clear(bar);
    at_buf line = {0};
    if (v->averaged > 0)
        at_buf_printf(&line, "mean of the last %" PRId64 " checkpoints:", v->averaged);
    else
        at_buf_printf(&line, "step %" PRId64 " epoch %" PRId64, v->step, v->epoch);
    at_buf_printf(&line, " valid loss %.4f perplexity %.2f", v->loss, exp(v->loss));
    if (isfinite(v->scores.bleu))
        at_buf_printf(&line, " BLEU %.2f", v->scores.bleu);
    if (isfinite(v->scores.chrf))
        at_buf_printf(&line, " chrF %.2f", v->scores.chrf);
    if (isfinite(v->scores.accuracy))
        at_buf_printf(&line, " accuracy %.4f", v->scores.accuracy);
    if (v->best)
        at_buf_text(&line, ", the best so far");
    else if (v->patience > 0 && v->averaged == 0)
        at_buf_printf(&line, ", stall %" PRId64 "/%" PRId64, v->stall, v->patience);
    if (at_buf_status(&line) == AT_OK)
        fprintf(stderr, "%s\n", line.data);
    at_buf_free(&line);
}

void at_progress_remark(void *context, const char *text)
{
    at_progress_bar *bar = context;
    if (bar->quiet)
        return;
    clear(bar);
    for (; *text; text++)
        fputc((unsigned char)*text < 0x20 || *text == 0x7f ? '?' : *text, stderr);
    fputc('\n', stderr);
}

void at_progress_end(at_progress_bar *bar)
{
    if (bar->shown)
        fputc('\n', stderr);
    bar->shown = false;
}

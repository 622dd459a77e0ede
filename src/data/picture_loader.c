/* Batches of pictures, made ahead by threads of the loader's own. They take the pictures of an epoch one
 * after the other; the caller takes batches, and what is not yet whole it waits for. */
#include <errno.h>
#include <pthread.h>
#include <string.h>
#include "base/clock.h"
#include "base/memory.h"
#include "base/pool.h"
#include "data/internal.h"
#include "data/pictures.h"

enum { MOST_THREADS = 256, MESSAGE = 400 };

typedef enum made { NOT_YET, GOOD, BROKEN } made;

/* A batch on its way. */
typedef struct slot {
    float *pixels;  /* (batch, height, width, channels) */
    made *made;     /* (batch) */
    char *messages; /* (batch, MESSAGE) of broken ones */
    at_status *status;
    size_t done;
} slot;

typedef struct picture_loader {
    at_loader base;
    at_picture_loader_spec spec;
    uint32_t *order; /* (count) of the planned epoch */
    uint64_t epoch;
    size_t each; /* floats of a picture */
    slot *slots; /* (ring) */
    size_t ring;
    int32_t *labels, *offsets; /* (batch), (batch+1): of the batch that is handed out */
    uint32_t *examples;
    float *shares;
    bool *known; /* (pictures of the set) broken ones that were named */
    at_picture_figures figures;
    /* Below: under the lock. */
    pthread_mutex_t lock;
    pthread_cond_t work, whole;
    pthread_t threads[MOST_THREADS];
    int running;     /* threads that were started */
    size_t next;     /* place in the order that is made next */
    size_t limit;    /* places before this one may be made */
    size_t busy;     /* pictures being made */
    size_t expected; /* batch that the slots go on with */
    bool started, stop, has_lock, has_work, has_whole;
} picture_loader;

static size_t count_of(const picture_loader *l)
{
    return l->spec.split->count;
}

static size_t size_of(const picture_loader *l, size_t batch)
{
    size_t first = batch * l->spec.batch;
    return count_of(l) - first < l->spec.batch ? count_of(l) - first : l->spec.batch;
}

/* ---------------------------------------------------------------- making */

static void make(picture_loader *l, size_t place, slot *s, size_t at)
{
    uint32_t number = l->order[place];
    at_augment_key key = {.seed = l->spec.seed, .epoch = l->epoch, .example = number};
    s->status[at] = at_prepare_picture(l->spec.split->set, number, &l->spec.prepare, l->spec.augment, key,
                                       l->spec.cache, s->pixels + at * l->each);
    s->made[at] = s->status[at] == AT_OK ? GOOD : BROKEN;
    if (s->status[at] != AT_OK)
        snprintf(s->messages + at * MESSAGE, MESSAGE, "%s", at_error_message());
}

static void *reader(void *context)
{
    picture_loader *l = context;
    pthread_mutex_lock(&l->lock);
    while (!l->stop) {
        if (l->next >= l->limit) {
            pthread_cond_wait(&l->work, &l->lock);
            continue;
        }
        size_t place = l->next++, at = place % l->spec.batch;
        slot *s = &l->slots[place / l->spec.batch % l->ring];
        l->busy++;
        pthread_mutex_unlock(&l->lock);
        make(l, place, s, at);
        pthread_mutex_lock(&l->lock);
        l->busy--;
        s->done++;
        pthread_cond_broadcast(&l->whole);
    }
    pthread_mutex_unlock(&l->lock);
    return NULL;
}

/* Lets what is being made come to its end, and nothing new begin. Under the lock. */
static void settle(picture_loader *l)
{
    l->limit = 0;
    while (l->busy > 0)
        pthread_cond_wait(&l->whole, &l->lock);
    l->started = false;
}

static void allow(picture_loader *l, size_t from)
{
    size_t end = (from + l->ring) * l->spec.batch; /* the caller has `from`, the others follow */
    l->limit = end < count_of(l) ? end : count_of(l);
    pthread_cond_broadcast(&l->work);
}

static void begin_at(picture_loader *l, size_t batch)
{
    settle(l);
    for (size_t i = 0; i < l->ring; i++)
        l->slots[i].done = 0;
    l->next = batch * l->spec.batch;
    l->expected = batch;
    l->started = true;
    allow(l, batch);
}

/* ---------------------------------------------------------------- the loader */

static at_status plan(at_loader *loader, uint64_t epoch, size_t *batches)
{
    picture_loader *l = (picture_loader *)loader;
    at_rng rng = at_epoch_rng(l->spec.seed, epoch);
    pthread_mutex_lock(&l->lock);
    settle(l);
    l->epoch = epoch;
    memcpy(l->order, l->spec.split->index, count_of(l) * sizeof *l->order);
    if (l->spec.shuffle)
        at_rng_shuffle(&rng, l->order, count_of(l));
    pthread_mutex_unlock(&l->lock);
    *batches = (count_of(l) + l->spec.batch - 1) / l->spec.batch;
    return AT_OK;
}

/* Whole batch `number`; the one before goes back. */
static slot *wait_for(picture_loader *l, size_t number)
{
    double start = at_clock();
    slot *s = &l->slots[number % l->ring];
    pthread_mutex_lock(&l->lock);
    if (!l->started || l->expected != number) {
        begin_at(l, number);
    } else {
        if (number > 0)
            l->slots[(number - 1) % l->ring].done = 0;
        allow(l, number);
    }
    while (s->done < size_of(l, number))
        pthread_cond_wait(&l->whole, &l->lock);
    l->expected = number + 1;
    pthread_mutex_unlock(&l->lock);
    l->figures.waited += at_clock() - start;
    return s;
}

/* Names a file that is broken, the first time. */
static at_status note_broken(picture_loader *l, uint32_t number, const slot *s, size_t at)
{
    const char *message = s->messages + at * MESSAGE;
    if (l->spec.strict || s->status[at] == AT_ENOMEM)
        return at_fail(s->status[at], "%s", message);
    if (!l->known[number]) {
        l->known[number] = true;
        l->figures.broken++;
        at_log_line(l->spec.log, "left out, %zu so far: %s", l->figures.broken, message);
    }
    return AT_OK;
}

/* The good ones move together. */
static at_status gather(picture_loader *l, size_t batch, slot *s, size_t *count)
{
    const at_picture_set *set = l->spec.split->set;
    *count = 0;
    for (size_t i = 0; i < size_of(l, batch); i++) {
        uint32_t number = l->order[batch * l->spec.batch + i];
        if (s->made[i] == BROKEN) {
            at_status st = note_broken(l, number, s, i);
            if (st != AT_OK)
                return st;
            continue;
        }
        if (*count != i)
            memcpy(s->pixels + *count * l->each, s->pixels + i * l->each, l->each * sizeof *s->pixels);
        l->labels[*count] = set->label ? set->label[number] : 0;
        l->examples[(*count)++] = number;
    }
    l->figures.pictures += *count;
    return AT_OK;
}

static at_status fill(at_loader *loader, size_t number, at_arena *arena, at_batch *batch)
{
    (void)arena;
    picture_loader *l = (picture_loader *)loader;
    const at_prepare *how = &l->spec.prepare;
    slot *s = wait_for(l, number);
    size_t count;
    at_status st = gather(l, number, s, &count);
    if (st != AT_OK)
        return st;
    if (count == 0 && number + 1 < l->base.batches) { /* an empty batch would end the epoch */
        l->base.cursor.batch++;
        return fill(loader, number + 1, arena, batch);
    }
    *batch = (at_batch){.source = {count, l->offsets, l->examples},
                        .pixels = {how->height, how->width, how->channels, s->pixels},
                        .labels = l->spec.split->set->label ? l->labels : NULL};
    if (l->shares) {
        at_mix_batch mixed = {.pixels = s->pixels,
                              .count = count,
                              .height = how->height,
                              .width = how->width,
                              .channels = how->channels,
                              .labels = l->labels,
                              .classes = l->spec.classes,
                              .shares = l->shares};
        at_augment_key key = {.seed = l->spec.seed, .epoch = l->epoch, .example = number};
        if (at_mix(&mixed, l->spec.augment, key))
            batch->shares = l->shares;
    }
    return AT_OK;
}

static void free_slots(picture_loader *l)
{
    for (size_t i = 0; l->slots && i < l->ring; i++) {
        at_free(l->slots[i].pixels);
        at_free(l->slots[i].made);
        at_free(l->slots[i].messages);
        at_free(l->slots[i].status);
    }
    at_free(l->slots);
}

static void release(at_loader *loader)
{
    picture_loader *l = (picture_loader *)loader;
    if (l->running > 0) {
        pthread_mutex_lock(&l->lock);
        l->stop = true;
        pthread_cond_broadcast(&l->work);
        pthread_mutex_unlock(&l->lock);
    }
    for (int i = 0; i < l->running; i++)
        pthread_join(l->threads[i], NULL);
    if (l->has_whole)
        pthread_cond_destroy(&l->whole);
    if (l->has_work)
        pthread_cond_destroy(&l->work);
    if (l->has_lock)
        pthread_mutex_destroy(&l->lock);
    free_slots(l);
    at_free(l->order);
    at_free(l->labels);
    at_free(l->offsets);
    at_free(l->examples);
    at_free(l->shares);
    at_free(l->known);
}

static at_status make_room(picture_loader *l)
{
    size_t batch = l->spec.batch;
    bool mixes = l->spec.augment && (l->spec.augment->mixup > 0 || l->spec.augment->cutmix > 0);
    l->ring = l->spec.ahead + 1; /* one is the caller's */
    l->slots = at_alloc_zero(l->ring, sizeof *l->slots);
    l->order = at_alloc_array(count_of(l) + 1, sizeof *l->order);
    l->labels = at_alloc_zero(batch, sizeof *l->labels);
    l->offsets = at_alloc_array(batch + 1, sizeof *l->offsets);
    l->examples = at_alloc_zero(batch, sizeof *l->examples);
    l->known = at_alloc_zero(l->spec.split->set->count + 1, sizeof *l->known);
    l->shares = mixes ? at_alloc_zero(batch * l->spec.classes + 1, sizeof *l->shares) : NULL;
    if (!l->slots || !l->order || !l->labels || !l->offsets || !l->examples || !l->known ||
        (mixes && !l->shares))
        return AT_ENOMEM;
    for (size_t b = 0; b <= batch; b++)
        l->offsets[b] = (int32_t)b;
    for (size_t i = 0; i < l->ring; i++) {
        slot *s = &l->slots[i];
        s->pixels = at_alloc_array(batch * l->each, sizeof *s->pixels);
        s->made = at_alloc_zero(batch, sizeof *s->made);
        s->messages = at_alloc_zero(batch * MESSAGE, 1);
        s->status = at_alloc_zero(batch, sizeof *s->status);
        if (!s->pixels || !s->made || !s->messages || !s->status)
            return AT_ENOMEM;
    }
    return AT_OK;
}

static at_status start(picture_loader *l)
{
    l->has_lock = pthread_mutex_init(&l->lock, NULL) == 0;
    l->has_work = l->has_lock && pthread_cond_init(&l->work, NULL) == 0;
    l->has_whole = l->has_work && pthread_cond_init(&l->whole, NULL) == 0;
    if (!l->has_whole)
        return at_fail(AT_ENOMEM, "no memory for a lock");
    int want = l->spec.threads > 0 ? l->spec.threads : at_cores();
    for (int i = 0; i < want && i < MOST_THREADS; i++) {
        int error = pthread_create(&l->threads[i], NULL, reader, l);
        if (error != 0)
            return at_fail(AT_EIO, "cannot start a thread that reads pictures: %s", strerror(error));
        l->running++;
    }
    return AT_OK;
}

static const at_loader_kind kind = {plan, fill, release};

at_status at_picture_loader_new(const at_picture_loader_spec *spec, at_loader **loader)
{
    const at_prepare *how = &spec->prepare;
    *loader = NULL;
    AT_ASSERT(spec->batch > 0 && spec->ahead > 0 && spec->split->count > 0);
    picture_loader *l = at_alloc_zero(1, sizeof *l);
    if (!l)
        return AT_ENOMEM;
    l->base.kind = &kind;
    l->spec = *spec;
    l->each = how->height * how->width * how->channels;
    at_status st = make_room(l);
    if (st == AT_OK)
        st = start(l);
    if (st != AT_OK) {
        at_loader_free(&l->base);
        return st;
    }
    return at_loader_begin(&l->base, loader);
}

at_picture_figures at_picture_loader_figures(const at_loader *loader)
{
    return loader && loader->kind == &kind ? ((const picture_loader *)loader)->figures
                                           : (at_picture_figures){0};
}

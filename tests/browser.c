#include "tests/browser.h"
#include <fcntl.h>
#include <jansson.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>
#include "base/buf.h"
#include "base/clock.h"
#include "base/file.h"
#include "base/memory.h"

enum { START_SECONDS = 60, ANSWER_SECONDS = 60 };

struct browser {
    pid_t process;
    int to, from; /* messages end in a NUL */
    int number;   /* of the last command */
    at_buf in;    /* what has come and was not read yet */
    char session[64], profile[4096];
    at_buf answer;
};

static const char *find_program(char *path, size_t size)
{
    static const char *const names[] = {"chromium", "chromium-browser", "google-chrome", "chrome"};
    const char *chosen = getenv("AT_CHROMIUM"), *folders = getenv("PATH");
    if (chosen)
        return access(chosen, X_OK) == 0 ? chosen : NULL;
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        for (const char *p = folders; p && *p; p += strcspn(p, ":"), p += *p == ':') {
            snprintf(path, size, "%.*s/%s", (int)strcspn(p, ":"), p, names[i]);
            if (access(path, X_OK) == 0)
                return path;
        }
    }
    return NULL;
}

/* The next message, or NULL after that many seconds or at the end. */
static json_t *receive(browser *b, double seconds)
{
    double end = at_clock() + seconds;
    for (;;) {
        size_t length = b->in.data ? strnlen(b->in.data, b->in.length) : 0;
        if (length < b->in.length) {
            json_t *message = json_loadb(b->in.data, length, 0, NULL);
            b->in.length -= length + 1;
            memmove(b->in.data, b->in.data + length + 1, b->in.length);
            return message;
        }
        struct pollfd wait = {.fd = b->from, .events = POLLIN};
        double left = end - at_clock();
        char bytes[65536];
        if (left <= 0 || poll(&wait, 1, (int)(1000 * left) + 1) <= 0)
            return NULL;
        ssize_t n = read(b->from, bytes, sizeof bytes);
        if (n <= 0)
            return NULL;
        at_buf_bytes(&b->in, bytes, (size_t)n);
    }
}

/* Sends a command and waits for its result; takes the parameters. NULL: none came. */
static json_t *command(browser *b, const char *method, json_t *parameters, double seconds)
{
    json_t *message = json_pack("{s:i,s:s,s:o}", "id", ++b->number, "method", method, "params",
                                parameters ? parameters : json_object());
    if (*b->session)
        json_object_set_new(message, "sessionId", json_string(b->session));
    char *text = json_dumps(message, JSON_COMPACT);
    size_t length = strlen(text) + 1;
    for (size_t at = 0; at < length;) {
        ssize_t n = write(b->to, text + at, length - at);
        if (n <= 0)
            break;
        at += (size_t)n;
    }
    at_free(text);
    json_decref(message);
    for (json_t *m; (m = receive(b, seconds)); json_decref(m)) {
        json_t *result = json_object_get(m, "result"), *error = json_object_get(m, "error");
        if (json_integer_value(json_object_get(m, "id")) != b->number)
            continue;
        if (error)
            print_message("browser: %s: %s\n", method, json_string_value(json_object_get(error, "message")));
        json_incref(result);
        json_decref(m);
        return error ? NULL : result;
    }
    return NULL;
}

static json_t *demand(browser *b, const char *method, json_t *parameters)
{
    json_t *result = command(b, method, parameters, ANSWER_SECONDS);
    if (!result)
        fail_msg("browser: no answer to %s", method);
    return result;
}

static void order(browser *b, const char *method, json_t *parameters)
{
    json_decref(demand(b, method, parameters));
}

static void run_program(const char *program, const char *profile, int in, int out)
{
    char folder[4200];
    snprintf(folder, sizeof folder, "--user-data-dir=%s", profile);
    /* 3 and 4 are the protocol's; first out of their way. */
    int from = fcntl(in, F_DUPFD, 10), to = fcntl(out, F_DUPFD, 10);
    int nothing = fcntl(open("/dev/null", O_RDWR), F_DUPFD, 10);
    dup2(from, 3);
    dup2(to, 4);
    dup2(nothing, 1);
    dup2(nothing, 2);
    execl(program, program, "--headless", "--no-sandbox", "--disable-gpu", "--no-first-run",
          "--disable-background-networking", "--disable-dev-shm-usage", "--hide-scrollbars", "--mute-audio",
          "--remote-debugging-pipe", folder, "about:blank", (char *)NULL);
    _exit(127);
}

static bool open_page(browser *b)
{
    json_t *made = command(b, "Target.createTarget", json_pack("{s:s}", "url", "about:blank"), START_SECONDS);
    if (!made)
        return false;
    json_t *joined =
        demand(b, "Target.attachToTarget",
               json_pack("{s:O,s:b}", "targetId", json_object_get(made, "targetId"), "flatten", 1));
    snprintf(b->session, sizeof b->session, "%s", json_string_value(json_object_get(joined, "sessionId")));
    json_decref(made);
    json_decref(joined);
    return true;
}

browser *browser_open(void)
{
    char path[4096];
    const char *program = find_program(path, sizeof path);
    if (!program) {
        print_message("skipped: no Chromium here (AT_CHROMIUM names one)\n");
        return NULL;
    }
    browser *b = test_calloc(1, sizeof *b);
    int to[2], from[2];
    snprintf(b->profile, sizeof b->profile, "%s", check_path("browser"));
    assert_int_equal(pipe(to), 0);
    assert_int_equal(pipe(from), 0);
    signal(SIGPIPE, SIG_IGN);
    b->process = fork();
    assert_true(b->process >= 0);
    if (b->process == 0) {
        setpgid(0, 0);
        close(to[1]);
        close(from[0]);
        run_program(program, b->profile, to[0], from[1]);
    }
    close(to[0]);
    close(from[1]);
    b->to = to[1];
    b->from = from[0];
    if (open_page(b))
        return b;
    print_message("skipped: %s does not start\n", program);
    browser_close(b);
    return NULL;
}

void browser_close(browser *b)
{
    if (!b)
        return;
    *b->session = '\0';
    json_decref(command(b, "Browser.close", NULL, 5));
    close(b->to);
    close(b->from);
    for (int i = 0; i < 50 && waitpid(b->process, NULL, WNOHANG) == 0; i++)
        usleep(20000);
    kill(-b->process, SIGKILL); /* what it started may outlive it */
    waitpid(b->process, NULL, 0);
    at_remove_tree(b->profile);
    at_buf_free(&b->in);
    at_buf_free(&b->answer);
    test_free(b);
}

void browser_show(browser *b, const char *path, int width, int height, bool dark)
{
    char url[4200];
    snprintf(url, sizeof url, "file://%s", path);
    order(b, "Emulation.setDeviceMetricsOverride",
          json_pack("{s:i,s:i,s:i,s:b}", "width", width, "height", height, "deviceScaleFactor", 1, "mobile",
                    0));
    order(b, "Emulation.setEmulatedMedia",
          json_pack("{s:[{s:s,s:s}]}", "features", "name", "prefers-color-scheme", "value",
                    dark ? "dark" : "light"));
    order(b, "Page.navigate", json_pack("{s:s}", "url", "about:blank")); /* another fragment is no new page */
    order(b, "Page.navigate", json_pack("{s:s}", "url", url));
    double end = at_clock() + ANSWER_SECONDS;
    while (strcmp(browser_ask(b, "(document.documentElement || {dataset: {}}).dataset.drawn > 0"), "true") !=
           0) {
        if (at_clock() > end)
            fail_msg("browser: %s does not get drawn", path);
        usleep(20000);
    }
}

const char *browser_ask(browser *b, const char *expression)
{
    json_t *result =
        demand(b, "Runtime.evaluate",
               json_pack("{s:s,s:b,s:b}", "expression", expression, "returnByValue", 1, "awaitPromise", 1));
    json_t *thrown = json_object_get(result, "exceptionDetails");
    if (thrown)
        fail_msg("browser: %s: %s", expression,
                 json_string_value(json_object_get(json_object_get(thrown, "exception"), "description")));
    json_t *value = json_object_get(json_object_get(result, "result"), "value");
    at_buf_clear(&b->answer);
    if (json_is_string(value)) {
        at_buf_text(&b->answer, json_string_value(value));
    } else {
        char *text = json_dumps(value, JSON_ENCODE_ANY | JSON_COMPACT);
        at_buf_text(&b->answer, text ? text : "");
        at_free(text);
    }
    json_decref(result);
    return b->answer.data;
}

double browser_number(browser *b, const char *expression)
{
    return strtod(browser_ask(b, expression), NULL);
}

static void mouse(browser *b, const char *type, double x, double y, const char *button, int clicks)
{
    order(b, "Input.dispatchMouseEvent",
          json_pack("{s:s,s:f,s:f,s:s,s:i}", "type", type, "x", x, "y", y, "button", button, "clickCount",
                    clicks));
}

void browser_move(browser *b, double x, double y)
{
    mouse(b, "mouseMoved", x, y, "none", 0);
}

void browser_click(browser *b, double x, double y)
{
    browser_move(b, x, y);
    mouse(b, "mousePressed", x, y, "left", 1);
    mouse(b, "mouseReleased", x, y, "left", 1);
}

void browser_key(browser *b, const char *key)
{
    order(b, "Input.dispatchKeyEvent", json_pack("{s:s,s:s}", "type", "keyDown", "key", key));
    order(b, "Input.dispatchKeyEvent", json_pack("{s:s,s:s}", "type", "keyUp", "key", key));
}

void browser_shot(browser *b, const char *name)
{
    const char *folder = getenv("AT_TEST_SHOTS");
    if (!folder)
        return;
    json_t *shot = demand(b, "Page.captureScreenshot",
                          json_pack("{s:s,s:b}", "format", "png", "captureBeyondViewport", 1));
    const char *data = json_string_value(json_object_get(shot, "data"));
    char line[4400];
    snprintf(line, sizeof line, "base64 -d >'%s/%s'", folder, name);
    FILE *out = popen(line, "w");
    assert_non_null(out);
    fputs(data, out);
    pclose(out);
    json_decref(shot);
}

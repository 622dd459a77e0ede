/* tests/browser.h - a headless Chromium for tests of pages, driven over a pair of pipes (DevTools protocol).
 *
 * Role    Opens a file, moves and clicks the mouse, asks the page things, takes a picture of it.
 * Owns    browser_close ends the process and removes its profile.
 * Errors  browser_open gives NULL and prints why when there is no Chromium or it does not start: skip the
 *         test then. All others fail the cmocka test that calls them.
 *
 *     browser *b = browser_open();
 *     if (!b)
 *         skip();
 *     browser_show(b, check_path("a.html"), 1200, 900, false);
 *     browser_move(b, 100, 200);
 *     assert_string_equal(browser_ask(b, "document.title"), "Attention");
 *     browser_close(b);
 */
#ifndef AT_TESTS_BROWSER_H
#define AT_TESTS_BROWSER_H
#include "tests/check.h"

typedef struct browser browser;

browser *browser_open(void);
void browser_close(browser *b);
/* A file in a window of that size, by day or (dark) by night; returns when the page has drawn itself. */
void browser_show(browser *b, const char *path, int width, int height, bool dark);
/* Value of a JavaScript expression as text; valid until the next call. An exception fails the test. */
const char *browser_ask(browser *b, const char *expression);
double browser_number(browser *b, const char *expression);
void browser_move(browser *b, double x, double y);
void browser_click(browser *b, double x, double y);
void browser_key(browser *b, const char *key);
/* PNG of the whole page, only where the environment's AT_TEST_SHOTS names a folder: for people to look at. */
void browser_shot(browser *b, const char *name);
#endif

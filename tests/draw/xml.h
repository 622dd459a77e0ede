/* tests/draw/xml.h - a small check that a document is well-formed XML.
 *
 * Role    Tags nest and close, attributes are quoted and free of '<', entities are
 *         the five of XML or numbers, no control characters, valid UTF-8, one root.
 *         CDATA, comments and processing instructions do not occur in our files.
 * Errors  Fails the test with the text at the fault.
 */
#ifndef AT_TESTS_DRAW_XML_H
#define AT_TESTS_DRAW_XML_H
#include <string.h>
#include <utf8proc.h>

#include "tests/check.h"

enum { XML_DEPTH = 32, XML_NAME = 64 };

static void check_xml_characters(const char *text)
{
    size_t left = strlen(text);
    while (left > 0) {
        utf8proc_int32_t c;
        utf8proc_ssize_t used = utf8proc_iterate((const utf8proc_uint8_t *)text, (utf8proc_ssize_t)left, &c);
        if (used <= 0 || (c < 0x20 && c != '\n' && c != '\t') || c == 0xFFFE || c == 0xFFFF)
            fail_msg("no XML character at: %.40s", text);
        text += used;
        left -= (size_t)used;
    }
}

static const char *xml_entity(const char *p)
{
    static const char *const known[] = {"&amp;", "&lt;", "&gt;", "&quot;", "&#39;"};
    for (size_t i = 0; i < sizeof known / sizeof known[0]; i++)
        if (strncmp(p, known[i], strlen(known[i])) == 0)
            return p + strlen(known[i]);
    fail_msg("bare & at: %.40s", p);
    return p;
}

/* Behind the attributes, at '>' or "/>". */
static const char *xml_attributes(const char *p)
{
    for (;;) {
        p += strspn(p, " \n");
        if (*p == '>' || *p == '/')
            return p;
        size_t name = strcspn(p, "=<>/ \n");
        if (name == 0 || p[name] != '=' || p[name + 1] != '"')
            fail_msg("bad attribute at: %.40s", p);
        p += name + 2;
        while (*p != '"') {
            if (*p == '\0' || *p == '<')
                fail_msg("attribute not closed at: %.40s", p);
            p = *p == '&' ? xml_entity(p) : p + 1;
        }
        p++;
    }
}

static void check_xml(const char *text)
{
    char open[XML_DEPTH][XML_NAME];
    int depth = 0, roots = 0;
    check_xml_characters(text);
    for (const char *p = text; *p;) {
        if (*p == '&') {
            assert_true(depth > 0);
            p = xml_entity(p);
        } else if (*p != '<') {
            if (depth == 0 && *p != '\n')
                fail_msg("text outside the root: %.40s", p);
            if (strncmp(p, "]]>", 3) == 0)
                fail_msg("]]> in text: %.40s", p);
            p++;
        } else if (p[1] == '/') {
            assert_true(depth > 0);
            size_t length = strlen(open[--depth]);
            if (strncmp(p + 2, open[depth], length) != 0 || p[2 + length] != '>')
                fail_msg("</%s> missing at: %.40s", open[depth], p);
            p += length + 3;
        } else {
            size_t length = strcspn(p + 1, " >/\n");
            assert_true(length > 0 && length < XML_NAME && depth < XML_DEPTH);
            memcpy(open[depth], p + 1, length);
            open[depth][length] = '\0';
            roots += depth++ == 0;
            p = xml_attributes(p + 1 + length);
            if (*p == '/') {
                depth--;
                p++;
            }
            assert_int_equal(*p++, '>');
        }
    }
    assert_int_equal(depth, 0);
    assert_int_equal(roots, 1);
}
#endif

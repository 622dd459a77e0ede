#include "cli/output.h"
#include "cli/show_more.h"
#include "draw/positions.h"

static json_t *numbers(const double *list, size_t count)
{
    json_t *array = json_array();
    for (size_t i = 0; i < count; i++)
        json_array_append_new(array, json_real(list[i]));
    return array;
}

static at_status print_json(const at_positions *p)
{
    json_t *values = json_array();
    for (size_t i = 0; i < p->count; i++) {
        json_t *row = json_array();
        for (size_t j = 0; j < p->width; j++)
            json_array_append_new(row, json_real((double)p->values[i * p->width + j]));
        json_array_append_new(values, row);
    }
    json_t *all =
        json_pack("{s:I,s:I,s:o,s:o,s:o,s:o}", "positions", (json_int_t)p->count, "width",
                  (json_int_t)p->width, "dot", numbers(p->dot, p->count), "least",
                  numbers(p->least, p->count), "most", numbers(p->most, p->count), "values", values);
    return at_cli_print_json(all, JSON_COMPACT | JSON_REAL_PRECISION(6));
}

static at_status draw(const at_positions *p, const at_cli_positions *how, const at_cli_common *common)
{
    at_position_picture picture = {.values = p->values,
                                   .count = p->count,
                                   .width = p->width,
                                   .dot = p->dot,
                                   .least = p->least,
                                   .most = p->most,
                                   .title = how->target ? "position encoding of the decoder"
                                                        : "position encoding of the encoder"};
    at_buf out = {0};
    at_status st = AT_OK;
    if (how->svg)
        st = at_cli_save(at_positions_svg(&picture, &out), &out, how->svg);
    if (st == AT_OK && common->json) {
        st = print_json(p);
    } else if (st == AT_OK && (!how->svg || how->term)) {
        st = at_positions_terminal(&picture, how->columns, &out);
        if (st == AT_OK)
            st = at_cli_print(&out);
    }
    at_buf_free(&out);
    return st;
}

at_status at_cli_show_positions(at_translator *translator, const at_cli_positions *how,
                                const at_cli_common *common)
{
    at_positions *positions = NULL;
    at_status st = at_positions_new(translator, how->target, how->count, &positions);
    if (st == AT_OK)
        st = draw(positions, how, common);
    at_positions_free(positions);
    return st;
}

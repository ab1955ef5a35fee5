#include "base/image-size.h"

#include <stddef.h>

#define EDGE_DIGITS_MAX 5

static bool take_edge(const char **text, unsigned *ret) {
        const char *begin = *text;
        unsigned edge = 0;

        for (; **text >= '0' && **text <= '9' && *text - begin < EDGE_DIGITS_MAX; (*text)++)
                edge = edge * 10 + (unsigned) (**text - '0');
        *ret = edge;
        return *text > begin && *begin != '0';
}

bool image_size_parse(const char *text, unsigned *ret_width, unsigned *ret_height) {
        unsigned width, height;

        if (!take_edge(&text, &width) || *text++ != 'x' || !take_edge(&text, &height) || *text)
                return false;

        *ret_width = width;
        *ret_height = height;
        return true;
}

/* "WIDTHxHEIGHT" in pixels, as image APIs write it. */
#pragma once

#include <stdbool.h>

/* Edges of one to five digits without leading zero, and nothing else. */
bool image_size_parse(const char *text, unsigned *ret_width, unsigned *ret_height);

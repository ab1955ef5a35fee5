/* Whether a PNG shows nothing but one colour, which is what some services answer with when they fail. */
#pragma once

#include "images/image-store.h"

/* `fd` is a whole PNG, and *facts what it is. 1: all of its pixels are the same; 0: they are not, or it is not looked at:
 * interlaced, of less than 8 bits a sample, larger than PNG_COLOUR_BYTES_MAX unpacked, or not packed as what has one colour
 * is. A negative errno of reading it. */
int png_is_single_colour(int fd, const ImageFacts *facts);

#define PNG_COLOUR_BYTES_MAX (32 * 1024 * 1024)  /* 3840 × 2160 of 4 bytes */

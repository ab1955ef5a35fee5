/* The sandbox's pictures: a landscape of hills under a sun, drawn from a 64-bit seed by integer arithmetic, so that a
 * seed gives the same pixels on every machine. Colours, sun and hills differ from seed to seed. */
#pragma once

#include <stdint.h>

#include "base/macro.h"

typedef struct Landscape Landscape;

int landscape_new(Landscape **ret, uint64_t seed, unsigned width, unsigned height);
Landscape *landscape_free(Landscape *landscape);
DEFINE_CLEANUP(Landscape *, landscape_free);

/* Draws the next row from the top, as RGB triples. It is valid until the next call; rows past the last repeat it. */
uint8_t *landscape_next_row(Landscape *landscape);

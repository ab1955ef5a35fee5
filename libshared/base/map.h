/* A hash table from strings to pointers. Keys are not copied: they live in what they point to. */
#pragma once

#include <stddef.h>

#include "base/macro.h"

typedef struct Map Map;

int map_new(Map **ret);
Map *map_free(Map *map);  /* the values stay */
DEFINE_CLEANUP(Map *, map_free);

/* -EEXIST when the key is there already, -ENOMEM. */
int map_put(Map *map, const char *key, void *value);
void *map_get(const Map *map, const char *key);     /* NULL: not there */
void *map_remove(Map *map, const char *key);        /* what was there, or NULL */
size_t map_size(const Map *map);

/* Walks through the values: begin with *slot = 0, NULL ends it. A change of the map in between starts the walk afresh. */
void *map_next(const Map *map, size_t *slot);

/* Any one value, or NULL when empty: for emptying a map. */
void *map_first(const Map *map);

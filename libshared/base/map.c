#include "base/map.h"

#include <errno.h>
#include <string.h>
#include <sys/random.h>

#include "base/text.h"

/* Open addressing with linear probing and backward-shift deletion, at most two thirds full. Keys may come from peers, so
 * the hash begins with a random value: nobody can prepare keys that collide. */

#define MAP_SLOTS_FIRST 16

typedef struct Slot {
        const char *key;  /* NULL: empty */
        void *value;
} Slot;

struct Map {
        Slot *slots;
        size_t n_slots;   /* a power of two */
        size_t count;
        uint64_t seed;
};

int map_new(Map **ret) {
        _cleanup_(map_freep) Map *map = NULL;

        map = calloc(1, sizeof(*map));
        if (!map)
                return -ENOMEM;
        map->n_slots = MAP_SLOTS_FIRST;
        map->slots = calloc(map->n_slots, sizeof(*map->slots));
        if (!map->slots)
                return -ENOMEM;
        (void) !getrandom(&map->seed, sizeof(map->seed), 0);

        *ret = TAKE_PTR(map);
        return 0;
}

Map *map_free(Map *map) {
        if (!map)
                return NULL;
        free(map->slots);
        free(map);
        return NULL;
}

/* FNV-1a over the key, begun at the seed and mixed at the end. */
static size_t home_slot(const Map *map, const char *key) {
        uint64_t hash = map->seed ^ UINT64_C(0xcbf29ce484222325);

        for (; *key; key++)
                hash = (hash ^ (uint8_t) *key) * UINT64_C(0x100000001b3);
        hash ^= hash >> 32;
        return (size_t) hash & (map->n_slots - 1);
}

static Slot *find_slot(const Map *map, const char *key) {
        size_t i = home_slot(map, key);

        while (map->slots[i].key && strcmp(map->slots[i].key, key) != 0)
                i = (i + 1) & (map->n_slots - 1);
        return &map->slots[i];
}

static int grow(Map *map) {
        Map larger = { .n_slots = map->n_slots * 2, .seed = map->seed };

        larger.slots = calloc(larger.n_slots, sizeof(*larger.slots));
        if (!larger.slots)
                return -ENOMEM;
        for (size_t i = 0; i < map->n_slots; i++)
                if (map->slots[i].key)
                        *find_slot(&larger, map->slots[i].key) = map->slots[i];

        free(map->slots);
        map->slots = larger.slots;
        map->n_slots = larger.n_slots;
        return 0;
}

int map_put(Map *map, const char *key, void *value) {
        Slot *slot;
        int r;

        if (3 * (map->count + 1) > 2 * map->n_slots) {
                r = grow(map);
                if (r < 0)
                        return r;
        }

        slot = find_slot(map, key);
        if (slot->key)
                return -EEXIST;
        *slot = (Slot) { key, value };
        map->count++;
        return 0;
}

void *map_get(const Map *map, const char *key) {
        return find_slot(map, key)->value;
}

/* Entries behind the gap move up until one stands where it belongs. */
static void close_gap(Map *map, size_t gap) {
        size_t mask = map->n_slots - 1;

        for (size_t i = (gap + 1) & mask; map->slots[i].key; i = (i + 1) & mask) {
                size_t home = home_slot(map, map->slots[i].key);

                if (((i - home) & mask) >= ((i - gap) & mask)) {
                        map->slots[gap] = map->slots[i];
                        gap = i;
                }
        }
        map->slots[gap] = (Slot) {};
}

void *map_remove(Map *map, const char *key) {
        Slot *slot = find_slot(map, key);
        void *value = slot->value;

        if (!slot->key)
                return NULL;
        close_gap(map, (size_t) (slot - map->slots));
        map->count--;
        return value;
}

size_t map_size(const Map *map) {
        return map->count;
}

void *map_next(const Map *map, size_t *slot) {
        while (*slot < map->n_slots) {
                const Slot *here = &map->slots[(*slot)++];

                if (here->key)
                        return here->value;
        }
        return NULL;
}

void *map_first(const Map *map) {
        size_t slot = 0;

        return map_next(map, &slot);
}

/* Row by row, in one pass: a column shows the sky until its first hill begins, then the front-most hill that has
 * begun. `shown` and `until` keep that for each column, so that a pixel costs one comparison and one look-up. A row
 * has one colour for each layer, which draws fast and compresses well; only the sun's glow varies along a row. */
#include "providers/landscape.h"

#include <errno.h>
#include <string.h>

#define LAYERS_MIN 4  /* the sky and three hills */
#define LAYERS_MAX 6
#define HUES 1536     /* of the colour circle: six edges of 256 */
#define HILL_OCTAVES 3

typedef struct Colour {
        int red, green, blue;
} Colour;

struct Landscape {
        unsigned width, height, y;
        unsigned n_layers;         /* 0 is the sky, the last one the nearest hill */
        uint64_t seed;
        Colour sky_top, sky_low, hill_far, hill_near, sun;
        int sun_x, sun_y, sun_radius, glow_radius;

        uint8_t *row;
        uint8_t *shown;            /* layer of each column in this row */
        uint16_t *until;           /* row in which another one begins */
        uint16_t *edges;           /* [layer * width + x]: row in which the layer begins */
};

/* SplitMix64: a fixed scrambling of 64 bits. */
static uint64_t scramble(uint64_t x) {
        x += UINT64_C(0x9e3779b97f4a7c15);
        x = (x ^ x >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
        x = (x ^ x >> 27) * UINT64_C(0x94d049bb133111eb);
        return x ^ x >> 31;
}

/* The next number drawn from the seed, from `low` to `high`. */
static int draw_number(Landscape *landscape, int low, int high) {
        landscape->seed = scramble(landscape->seed);
        return low + (int) (landscape->seed % (uint64_t) (high - low + 1));
}

static int mix_channel(int a, int b, int part, int whole) {
        return a + (b - a) * part / whole;
}

static Colour mix(Colour a, Colour b, int part, int whole) {
        return (Colour) {
                mix_channel(a.red, b.red, part, whole),
                mix_channel(a.green, b.green, part, whole),
                mix_channel(a.blue, b.blue, part, whole),
        };
}

static Colour colour_of(int hue, int saturation, int value) {
        int edge = hue % HUES / 256, along = hue % 256;
        int low = value * (255 - saturation) / 255;
        int rising = low + (value - low) * along / 255, falling = value - (value - low) * along / 255;

        switch (edge) {
        case 0:
                return (Colour) { value, rising, low };
        case 1:
                return (Colour) { falling, value, low };
        case 2:
                return (Colour) { low, value, rising };
        case 3:
                return (Colour) { low, falling, value };
        case 4:
                return (Colour) { rising, low, value };
        default:
                return (Colour) { value, low, falling };
        }
}

static void choose_colours(Landscape *l) {
        int sky = draw_number(l, 0, HUES - 1), hill = sky + draw_number(l, 300, HUES - 300);

        l->sky_top = colour_of(sky, draw_number(l, 120, 230), draw_number(l, 70, 220));
        l->sky_low = colour_of(sky + draw_number(l, 60, 420), draw_number(l, 50, 150), draw_number(l, 215, 255));
        l->sun = colour_of(draw_number(l, 40, 300), draw_number(l, 30, 150), 255);
        l->hill_far = mix(colour_of(hill, 150, 190), l->sky_low, draw_number(l, 30, 70), 100);
        l->hill_near = colour_of(hill + draw_number(l, 0, 150), draw_number(l, 120, 220), draw_number(l, 35, 80));
}

static void choose_sun(Landscape *l) {
        int edge = (int) MIN(l->width, l->height);

        l->sun_x = (int) l->width * draw_number(l, 12, 88) / 100;
        l->sun_y = (int) l->height * draw_number(l, 10, 50) / 100;
        l->sun_radius = MAX(edge * draw_number(l, 4, 11) / 100, 1);
        l->glow_radius = l->sun_radius * draw_number(l, 25, 40) / 10;
}

/* Smooth noise along a line, 0 to 65535. `position` has 16 bits of fraction; its knots come from the seed. */
static uint32_t noise_at(uint64_t seed, uint32_t position) {
        uint64_t f = position & 0xffff, eased = (f * f >> 16) * (3 * 65536 - 2 * f) >> 16;
        int64_t a = (int64_t) (scramble(seed + (position >> 16)) & 0xffff);
        int64_t b = (int64_t) (scramble(seed + (position >> 16) + 1) & 0xffff);

        return (uint32_t) (a + (b - a) * (int64_t) eased / 65536);
}

static void shape_hill(Landscape *l, unsigned layer) {
        uint16_t *edge = l->edges + (size_t) layer * l->width;
        int base = (int) l->height * (35 + 55 * (int) layer / (int) l->n_layers) / 100;
        int amplitude = (int) l->height * (30 - 3 * (int) layer) / 100;
        uint32_t knots = (uint32_t) draw_number(l, 2, 5);
        uint64_t seed = scramble(l->seed);

        for (unsigned x = 0; x < l->width; x++) {
                uint32_t height = 0;

                for (unsigned octave = 0; octave < HILL_OCTAVES; octave++) {
                        uint64_t position = ((uint64_t) x << 16) * (knots << octave) / l->width;

                        height += noise_at(seed + octave * 1000, (uint32_t) position) >> (octave + 1);
                }
                edge[x] = (uint16_t) (base + amplitude - (int) ((int64_t) amplitude * height / 65536));
        }
}

int landscape_new(Landscape **ret, uint64_t seed, unsigned width, unsigned height) {
        _cleanup_(landscape_freep) Landscape *l = NULL;

        assert(width > 0 && height > 0 && height < UINT16_MAX);

        l = calloc(1, sizeof(*l));
        if (!l)
                return -ENOMEM;
        l->width = width;
        l->height = height;
        l->seed = seed;
        l->n_layers = (unsigned) draw_number(l, LAYERS_MIN, LAYERS_MAX);

        l->row = calloc((size_t) width + 1, 3);  /* the last pixel is written as four bytes */
        l->shown = calloc(width, sizeof(*l->shown));
        l->until = calloc(width, sizeof(*l->until));
        l->edges = calloc((size_t) width * l->n_layers, sizeof(*l->edges));
        if (!l->row || !l->shown || !l->until || !l->edges)
                return -ENOMEM;

        choose_colours(l);
        choose_sun(l);
        for (unsigned layer = 1; layer < l->n_layers; layer++)
                shape_hill(l, layer);

        *ret = TAKE_PTR(l);
        return 0;
}

Landscape *landscape_free(Landscape *l) {
        if (!l)
                return NULL;
        free(l->edges);
        free(l->until);
        free(l->shown);
        free(l->row);
        free(l);
        return NULL;
}

/* The front-most layer that has begun in column x, and the row in which a nearer one will. */
static void turn_column(Landscape *l, unsigned x) {
        unsigned shown = l->shown[x];
        uint16_t until = UINT16_MAX;

        for (unsigned layer = shown + 1; layer < l->n_layers; layer++)
                if (l->edges[(size_t) layer * l->width + x] <= l->y)
                        shown = layer;
        for (unsigned layer = shown + 1; layer < l->n_layers; layer++)
                until = MIN(until, l->edges[(size_t) layer * l->width + x]);

        l->shown[x] = (uint8_t) shown;
        l->until[x] = until;
}

static void choose_row_colours(const Landscape *l, uint8_t colours[LAYERS_MAX][4]) {
        int y = (int) l->y, height = (int) l->height;

        for (unsigned layer = 0; layer < l->n_layers; layer++) {
                Colour c = layer == 0 ? mix(l->sky_top, l->sky_low, MIN(y * 10, height * 7), height * 7)
                                      : mix(l->hill_far, l->hill_near, (int) layer - 1, (int) l->n_layers - 2);

                if (layer > 0)  /* the mist of the valleys */
                        c = mix(c, l->hill_far, y, height * 4);
                colours[layer][0] = (uint8_t) c.red;
                colours[layer][1] = (uint8_t) c.green;
                colours[layer][2] = (uint8_t) c.blue;
                colours[layer][3] = 0;
        }
}

static void light_pixel(const Landscape *l, uint8_t *pixel, int part, int whole) {
        pixel[0] = (uint8_t) mix_channel(pixel[0], l->sun.red, part, whole);
        pixel[1] = (uint8_t) mix_channel(pixel[1], l->sun.green, part, whole);
        pixel[2] = (uint8_t) mix_channel(pixel[2], l->sun.blue, part, whole);
}

/* The sun and its glow, where nothing stands before the sky. */
static void light_row(Landscape *l) {
        int dy = (int) l->y - l->sun_y;
        int disc = l->sun_radius * l->sun_radius, glow = l->glow_radius * l->glow_radius;
        int begin = MAX(l->sun_x - l->glow_radius, 0), end = MIN(l->sun_x + l->glow_radius, (int) l->width);

        if (dy * dy >= glow)
                return;
        for (int x = begin; x < end; x++) {
                int dx = x - l->sun_x, distance = dx * dx + dy * dy;

                if (l->shown[x] != 0 || distance >= glow)
                        continue;
                light_pixel(l, l->row + 3 * x, distance <= disc ? 255 : (glow - distance) * 130 / glow, 255);
        }
}

uint8_t *landscape_next_row(Landscape *l) {
        const uint16_t *until = l->until;
        const uint8_t *shown = l->shown;
        unsigned y = l->y, width = l->width;
        uint8_t colours[LAYERS_MAX][4], *pixel = l->row;

        if (y == l->height)
                return l->row;

        choose_row_colours(l, colours);
        for (unsigned x = 0; x < width; x++, pixel += 3) {
                if (y >= until[x])
                        turn_column(l, x);
                memcpy(pixel, colours[shown[x]], 4);
        }
        light_row(l);
        l->y++;
        return l->row;
}

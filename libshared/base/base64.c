#include "base/base64.h"

#include <errno.h>
#include <stdbool.h>

static const char encode_table[64] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

#define BAD 0xff

static const uint8_t decode_table[256] = {
        [0 ... '+' - 1] = BAD, ['+' + 1 ... '/' - 1] = BAD, ['9' + 1 ... 'A' - 1] = BAD,
        ['Z' + 1 ... 'a' - 1] = BAD, ['z' + 1 ... 255] = BAD,
        ['A'] = 0,  ['B'] = 1,  ['C'] = 2,  ['D'] = 3,  ['E'] = 4,  ['F'] = 5,  ['G'] = 6,  ['H'] = 7,
        ['I'] = 8,  ['J'] = 9,  ['K'] = 10, ['L'] = 11, ['M'] = 12, ['N'] = 13, ['O'] = 14, ['P'] = 15,
        ['Q'] = 16, ['R'] = 17, ['S'] = 18, ['T'] = 19, ['U'] = 20, ['V'] = 21, ['W'] = 22, ['X'] = 23,
        ['Y'] = 24, ['Z'] = 25, ['a'] = 26, ['b'] = 27, ['c'] = 28, ['d'] = 29, ['e'] = 30, ['f'] = 31,
        ['g'] = 32, ['h'] = 33, ['i'] = 34, ['j'] = 35, ['k'] = 36, ['l'] = 37, ['m'] = 38, ['n'] = 39,
        ['o'] = 40, ['p'] = 41, ['q'] = 42, ['r'] = 43, ['s'] = 44, ['t'] = 45, ['u'] = 46, ['v'] = 47,
        ['w'] = 48, ['x'] = 49, ['y'] = 50, ['z'] = 51, ['0'] = 52, ['1'] = 53, ['2'] = 54, ['3'] = 55,
        ['4'] = 56, ['5'] = 57, ['6'] = 58, ['7'] = 59, ['8'] = 60, ['9'] = 61, ['+'] = 62, ['/'] = 63,
};

static void encode_group(uint32_t bits, char *text) {
        text[0] = encode_table[bits >> 18];
        text[1] = encode_table[(bits >> 12) & 63];
        text[2] = encode_table[(bits >> 6) & 63];
        text[3] = encode_table[bits & 63];
}

size_t base64_encode(const uint8_t *data, size_t size, char *text) {
        char *p = text;

        for (; size >= 3; data += 3, size -= 3, p += 4)
                encode_group((uint32_t) data[0] << 16 | (uint32_t) data[1] << 8 | data[2], p);

        if (size > 0) {
                encode_group((uint32_t) data[0] << 16 | (size > 1 ? (uint32_t) data[1] << 8 : 0), p);
                p[3] = '=';
                if (size == 1)
                        p[2] = '=';
                p += 4;
        }
        return (size_t) (p - text);
}

/* Whole groups without padding, which is all of a picture but its end. Returns the characters consumed. */
static size_t decode_groups(const char *text, size_t size, uint8_t *data) {
        const uint8_t *p = (const uint8_t *) text;
        size_t i;

        for (i = 0; i + 4 <= size; i += 4, data += 3) {
                uint8_t a = decode_table[p[i]], b = decode_table[p[i + 1]];
                uint8_t c = decode_table[p[i + 2]], d = decode_table[p[i + 3]];

                if ((a | b | c | d) & 0xc0)
                        break;
                data[0] = (uint8_t) (a << 2 | b >> 4);
                data[1] = (uint8_t) (b << 4 | c >> 2);
                data[2] = (uint8_t) (c << 6 | d);
        }
        return i;
}

/* Padding ends a group of two or three characters, and the text: what bits are left over is not looked at. Returns
 * the bytes of that group when it is full. */
static int decode_padding(Base64Decoder *decoder, uint8_t *data) {
        unsigned n_bytes;

        if (decoder->count < 2)
                return -EBADMSG;
        decoder->padding++;
        decoder->count++;
        decoder->bits <<= 6;
        if (decoder->count < 4)
                return 0;

        n_bytes = 3 - decoder->padding;
        data[0] = (uint8_t) (decoder->bits >> 16);
        if (n_bytes > 1)
                data[1] = (uint8_t) (decoder->bits >> 8);
        decoder->count = 0;
        decoder->bits = 0;
        return (int) n_bytes;
}

static int decode_character(Base64Decoder *decoder, uint8_t character, uint8_t *data) {
        bool ended = decoder->padding > 0 && decoder->count == 0;
        uint8_t value = decode_table[character];

        if (character == '=')
                return ended ? -EBADMSG : decode_padding(decoder, data);
        if (value == BAD || decoder->padding > 0)
                return -EBADMSG;

        decoder->bits = decoder->bits << 6 | value;
        if (++decoder->count < 4)
                return 0;

        data[0] = (uint8_t) (decoder->bits >> 16);
        data[1] = (uint8_t) (decoder->bits >> 8);
        data[2] = (uint8_t) decoder->bits;
        decoder->count = 0;
        decoder->bits = 0;
        return 3;
}

ssize_t base64_decode(Base64Decoder *decoder, const char *text, size_t size, uint8_t *data) {
        size_t written = 0;

        for (size_t i = 0; i < size;) {
                int r;

                if (decoder->count == 0 && decoder->padding == 0) {
                        size_t n = decode_groups(text + i, size - i, data + written);

                        i += n;
                        written += n / 4 * 3;
                        if (i == size)
                                break;
                }

                r = decode_character(decoder, (uint8_t) text[i++], data + written);
                if (r < 0)
                        return r;
                written += (size_t) r;
        }
        return (ssize_t) written;
}

int base64_decode_finish(const Base64Decoder *decoder) {
        return decoder->count == 0 ? 0 : -EBADMSG;
}

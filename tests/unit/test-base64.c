/* Base64 in both directions, whole and in pieces. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>
#include <errno.h>
#include <string.h>

#include "base/base64.h"

/* RFC 4648, section 10. */
static const struct {
        const char *plain, *encoded;
} vectors[] = {
        { "", "" },
        { "f", "Zg==" },
        { "fo", "Zm8=" },
        { "foo", "Zm9v" },
        { "foob", "Zm9vYg==" },
        { "fooba", "Zm9vYmE=" },
        { "foobar", "Zm9vYmFy" },
};

static ssize_t decode(const char *text, uint8_t *data, int *finish) {
        Base64Decoder decoder = {};
        ssize_t n = base64_decode(&decoder, text, strlen(text), data);

        *finish = base64_decode_finish(&decoder);
        return n;
}

static void test_vectors(void **state) {
        (void) state;
        for (size_t i = 0; i < ELEMENTS(vectors); i++) {
                size_t size = strlen(vectors[i].plain);
                char text[16];
                uint8_t data[16];
                int finish;

                assert_int_equal(base64_encode((const uint8_t *) vectors[i].plain, size, text),
                                 BASE64_ENCODED_SIZE(size));
                assert_memory_equal(text, vectors[i].encoded, BASE64_ENCODED_SIZE(size));
                assert_int_equal(decode(vectors[i].encoded, data, &finish), size);
                assert_memory_equal(data, vectors[i].plain, size);
                assert_int_equal(finish, 0);
        }
}

static void test_every_byte_in_every_fragmentation(void **state) {
        uint8_t data[256], decoded[300];
        char text[BASE64_ENCODED_SIZE(sizeof(data))];

        (void) state;
        for (size_t i = 0; i < sizeof(data); i++)
                data[i] = (uint8_t) (i * 167);
        assert_int_equal(base64_encode(data, sizeof(data), text), sizeof(text));

        for (size_t piece = 1; piece <= sizeof(text); piece++) {
                Base64Decoder decoder = {};
                size_t written = 0;

                for (size_t i = 0; i < sizeof(text); i += piece) {
                        ssize_t n = base64_decode(&decoder, text + i, MIN(piece, sizeof(text) - i), decoded + written);

                        assert_true(n >= 0);
                        written += (size_t) n;
                }
                assert_int_equal(base64_decode_finish(&decoder), 0);
                assert_int_equal(written, sizeof(data));
                assert_memory_equal(decoded, data, sizeof(data));
        }
}

static void test_what_is_not_base64(void **state) {
        static const char *const texts[] = {
                "Zg=a",  "Zg==Zg==", "Zg===",  "=",    "Z===", "=Zg=",
                "Zm9v=", "Zm 9v",    "Zm9v\n", "Zm-v", "Zm_v", "Zm9\xc3\xa9",
        };

        (void) state;
        for (size_t i = 0; i < ELEMENTS(texts); i++) {
                uint8_t data[32];
                int finish;

                assert_int_equal(decode(texts[i], data, &finish), -EBADMSG);
        }
}

static void test_cut_groups(void **state) {
        static const char *const texts[] = { "Z", "Zg", "Zg=", "Zm9", "Zm9vY" };

        (void) state;
        for (size_t i = 0; i < ELEMENTS(texts); i++) {
                uint8_t data[32];
                int finish;

                assert_true(decode(texts[i], data, &finish) >= 0);
                assert_int_equal(finish, -EBADMSG);
        }
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_vectors),
                cmocka_unit_test(test_every_byte_in_every_fragmentation),
                cmocka_unit_test(test_what_is_not_base64),
                cmocka_unit_test(test_cut_groups),
        };

        return cmocka_run_group_tests_name("base64", tests, NULL, NULL);
}

/* SHA-256 against the examples of FIPS 180-4, and comparisons. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>
#include <string.h>

#include "base/hash.h"

#define EMPTY "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
#define ABC "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
#define TWO_BLOCKS "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1"
#define MILLION_A "cdc76e5c9914fb9281a1c7e284d73e67f1809a48a497200e046d39ccc7112cd0"

static void test_all_at_once(void **state) {
        static const char two_blocks[] = "abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq";
        char text[SHA256_TEXT_MAX];

        (void) state;
        assert_int_equal(sha256_text("", 0, text), 0);
        assert_string_equal(text, EMPTY);
        assert_int_equal(sha256_text("abc", 3, text), 0);
        assert_string_equal(text, ABC);
        assert_int_equal(sha256_text(two_blocks, strlen(two_blocks), text), 0);
        assert_string_equal(text, TWO_BLOCKS);
}

static void test_in_pieces(void **state) {
        _cleanup_(sha256_freep) Sha256 *hash = NULL;
        char text[SHA256_TEXT_MAX], piece[1000];

        (void) state;
        memset(piece, 'a', sizeof(piece));
        assert_int_equal(sha256_new(&hash), 0);
        for (int i = 0; i < 1000; i++)
                assert_int_equal(sha256_add(hash, piece, sizeof(piece)), 0);
        assert_int_equal(sha256_finish(hash, text), 0);
        assert_string_equal(text, MILLION_A);
}

static void test_finished_hash_starts_afresh(void **state) {
        _cleanup_(sha256_freep) Sha256 *hash = NULL;
        char text[SHA256_TEXT_MAX];

        (void) state;
        assert_int_equal(sha256_new(&hash), 0);
        assert_int_equal(sha256_add(hash, "x", 1), 0);
        assert_int_equal(sha256_finish(hash, text), 0);
        assert_int_equal(sha256_add(hash, "abc", 3), 0);
        assert_int_equal(sha256_finish(hash, text), 0);
        assert_string_equal(text, ABC);
        assert_int_equal(sha256_finish(hash, text), 0);
        assert_string_equal(text, EMPTY);
}

static void test_text_valid(void **state) {
        char text[SHA256_TEXT_MAX + 1] = ABC;

        (void) state;
        assert_true(sha256_text_valid(text));
        text[63] = 0;
        assert_false(sha256_text_valid(text));
        text[63] = 'A';
        assert_false(sha256_text_valid(text));
        text[63] = '/';
        assert_false(sha256_text_valid(text));
        text[63] = '0';
        text[64] = '0';
        text[65] = 0;
        assert_false(sha256_text_valid(text));
        assert_false(sha256_text_valid(""));
}

/* RFC 4231, test cases 2 and 6: a short key, and one longer than a block. */
static void test_hmac(void **state) {
        static const uint8_t first[] = { 0x5b, 0xdc, 0xc1, 0x46, 0xbf, 0x60, 0x75, 0x4e },
                             sixth[] = { 0x60, 0xe4, 0x31, 0x59, 0x1e, 0xe0, 0xb6, 0x7f };
        static const char text[] = "what do ya want for nothing?",
                          other[] = "Test Using Larger Than Block-Size Key - Hash Key First";
        uint8_t key[131], digest[SHA256_BYTES];

        (void) state;
        memset(key, 0xaa, sizeof(key));
        assert_int_equal(hmac_sha256("Jefe", 4, text, strlen(text), digest), 0);
        assert_memory_equal(digest, first, sizeof(first));
        assert_int_equal(hmac_sha256(key, sizeof(key), other, strlen(other), digest), 0);
        assert_memory_equal(digest, sixth, sizeof(sixth));
}

static void test_comparison(void **state) {
        (void) state;
        assert_true(memory_equal_constant_time("abc", "abc", 3));
        assert_false(memory_equal_constant_time("abc", "abd", 3));
        assert_false(memory_equal_constant_time("xbc", "abc", 3));
        assert_true(memory_equal_constant_time("abc", "abd", 2));
        assert_true(memory_equal_constant_time("", "", 0));
}

static void test_free_takes_null(void **state) {
        (void) state;
        assert_null(sha256_free(NULL));
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_all_at_once),
                cmocka_unit_test(test_in_pieces),
                cmocka_unit_test(test_finished_hash_starts_afresh),
                cmocka_unit_test(test_text_valid),
                cmocka_unit_test(test_hmac),
                cmocka_unit_test(test_comparison),
                cmocka_unit_test(test_free_takes_null),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}

/* Signed links: what is signed, and that nothing else than that opens the image, until the second in which it expires. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>
#include <stdio.h>
#include <string.h>

#include "base/text.h"
#include "keys/image-link.h"

#define SHA256 "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"
#define OTHER_SHA256 "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdee"
#define EXPIRES UINT64_C(1795478400)
#define EXPIRES_TEXT "1795478400"
/* By openssl(1):  printf 'atelier-image-link-1\n/v1/images/%s.png\n%s\n' $SHA256 $EXPIRES |
 *     openssl dgst -sha256 -mac HMAC -macopt hexkey:000102…1f */
#define SIGNATURE "6bb89eb1c4cf7c5140f16d54ec17fcc02923a442bfe068022cbbcc683c46fdb3"
#define BEFORE (EXPIRES * USEC_PER_SEC - 1)

static uint8_t secret[IMAGE_LINK_SECRET_BYTES];

static int set_up(_unused_ void **state) {
        for (size_t i = 0; i < sizeof(secret); i++)
                secret[i] = (uint8_t) i;
        return 0;
}

static int check(const char *expires, const char *signature) {
        return image_link_check(secret, SHA256, IMAGE_PNG, expires, signature, BEFORE);
}

static void test_text_is_as_documented(_unused_ void **state) {
        char path[IMAGE_LINK_PATH_MAX];

        assert_int_equal(image_link_format(secret, SHA256, IMAGE_PNG, EXPIRES, path), 0);
        assert_string_equal(path, "/v1/images/" SHA256 ".png?expires=" EXPIRES_TEXT "&signature=" SIGNATURE);
        assert_int_equal(check(EXPIRES_TEXT, SIGNATURE), 0);
}

static void test_longest_path_fits(_unused_ void **state) {
        char path[IMAGE_LINK_PATH_MAX];

        assert_int_equal(image_link_format(secret, SHA256, IMAGE_JPEG, UINT64_MAX, path), 0);
        assert_true(strlen(path) < IMAGE_LINK_PATH_MAX);
}

static void test_expires_at_the_second(_unused_ void **state) {
        assert_int_equal(image_link_check(secret, SHA256, IMAGE_PNG, EXPIRES_TEXT, SIGNATURE, 0), 0);
        assert_int_equal(image_link_check(secret, SHA256, IMAGE_PNG, EXPIRES_TEXT, SIGNATURE, BEFORE), 0);
        assert_int_equal(image_link_check(secret, SHA256, IMAGE_PNG, EXPIRES_TEXT, SIGNATURE, BEFORE + 1),
                         IMAGE_LINK_EXPIRED);
        assert_int_equal(image_link_check(secret, SHA256, IMAGE_PNG, EXPIRES_TEXT, SIGNATURE, USEC_INFINITY),
                         IMAGE_LINK_EXPIRED);
}

/* A wrong one is wrong, and not merely old. */
static void test_wrong_link_does_not_expire(_unused_ void **state) {
        assert_int_equal(image_link_check(secret, OTHER_SHA256, IMAGE_PNG, EXPIRES_TEXT, SIGNATURE, USEC_INFINITY),
                         IMAGE_LINK_INVALID);
}

static void test_every_bit_of_the_signature_counts(_unused_ void **state) {
        for (size_t i = 0; i < strlen(SIGNATURE); i++)
                for (unsigned bit = 0; bit < 8; bit++) {
                        char flipped[] = SIGNATURE;

                        flipped[i] = (char) (flipped[i] ^ (1 << bit));
                        assert_int_equal(check(EXPIRES_TEXT, flipped), IMAGE_LINK_INVALID);
                }
}

static void test_signature_of_another_length_is_none(_unused_ void **state) {
        char cut[] = SIGNATURE;

        assert_int_equal(check(EXPIRES_TEXT, SIGNATURE "0"), IMAGE_LINK_INVALID);
        assert_int_equal(check(EXPIRES_TEXT, ""), IMAGE_LINK_INVALID);
        assert_int_equal(check(EXPIRES_TEXT, NULL), IMAGE_LINK_INVALID);
        cut[strlen(cut) - 1] = 0;
        assert_int_equal(check(EXPIRES_TEXT, cut), IMAGE_LINK_INVALID);
}

static void test_nothing_else_is_opened(_unused_ void **state) {
        assert_int_equal(image_link_check(secret, OTHER_SHA256, IMAGE_PNG, EXPIRES_TEXT, SIGNATURE, BEFORE),
                         IMAGE_LINK_INVALID);
        assert_int_equal(image_link_check(secret, SHA256, IMAGE_JPEG, EXPIRES_TEXT, SIGNATURE, BEFORE),
                         IMAGE_LINK_INVALID);
        assert_int_equal(image_link_check(secret, SHA256, IMAGE_WEBP, EXPIRES_TEXT, SIGNATURE, BEFORE),
                         IMAGE_LINK_INVALID);
        assert_int_equal(check("1795478401", SIGNATURE), IMAGE_LINK_INVALID);
        assert_int_equal(check("1795478399", SIGNATURE), IMAGE_LINK_INVALID);
}

static void test_every_bit_of_the_secret_counts(_unused_ void **state) {
        for (size_t i = 0; i < sizeof(secret) * 8; i++) {
                secret[i / 8] ^= (uint8_t) (1 << i % 8);
                assert_int_equal(check(EXPIRES_TEXT, SIGNATURE), IMAGE_LINK_INVALID);
                secret[i / 8] ^= (uint8_t) (1 << i % 8);
        }
}

/* One number has one form. */
static void test_other_forms_of_the_number_are_none(_unused_ void **state) {
        static const char *const forms[] = { "01795478400", "+1795478400", " 1795478400", "1795478400 ", "1795478400.0",
                                             "0x6b04a580", "-1", "0", "", "x" };

        for (size_t i = 0; i < ELEMENTS(forms); i++)
                assert_int_equal(check(forms[i], SIGNATURE), IMAGE_LINK_INVALID);
        assert_int_equal(check(NULL, SIGNATURE), IMAGE_LINK_INVALID);
}

/* The last second that a time can say, and one past it. */
static void test_latest_expiry(_unused_ void **state) {
        _cleanup_free_ char *last = text_format("%llu", (unsigned long long) IMAGE_LINK_EXPIRES_MAX);
        _cleanup_free_ char *past = text_format("%llu", (unsigned long long) IMAGE_LINK_EXPIRES_MAX + 1);
        char path[IMAGE_LINK_PATH_MAX];

        assert_int_equal(image_link_format(secret, SHA256, IMAGE_PNG, IMAGE_LINK_EXPIRES_MAX, path), 0);
        assert_int_equal(check(last, strrchr(path, '=') + 1), 0);
        assert_int_equal(image_link_format(secret, SHA256, IMAGE_PNG, IMAGE_LINK_EXPIRES_MAX + 1, path), 0);
        assert_int_equal(check(past, strrchr(path, '=') + 1), IMAGE_LINK_INVALID);
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_text_is_as_documented),
                cmocka_unit_test(test_longest_path_fits),
                cmocka_unit_test(test_expires_at_the_second),
                cmocka_unit_test(test_wrong_link_does_not_expire),
                cmocka_unit_test(test_every_bit_of_the_signature_counts),
                cmocka_unit_test(test_signature_of_another_length_is_none),
                cmocka_unit_test(test_nothing_else_is_opened),
                cmocka_unit_test(test_every_bit_of_the_secret_counts),
                cmocka_unit_test(test_other_forms_of_the_number_are_none),
                cmocka_unit_test(test_latest_expiry),
        };

        return cmocka_run_group_tests(tests, set_up, NULL);
}

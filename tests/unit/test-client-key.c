/* A client's key as text: made, taken apart, hashed. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "keys/client-key.h"

/* As sha256sum has it, so that the form cannot change unseen: printf %s atl_..._... | sha256sum | head -c 8 */
#define ID "0123456789abcdef"
#define SECRET "000102030405060708090a0b0c0d0e0f10111213"
#define TOKEN "atl_" ID "_" SECRET "c96c2814"

static const uint8_t server_secret[CLIENT_KEY_SERVER_SECRET_BYTES] = "this is the secret of one server";
static const uint8_t other_secret[CLIENT_KEY_SERVER_SECRET_BYTES] = "this is the secret of the other!";

static void assert_refused(const char *token) {
        char id[CLIENT_KEY_ID_MAX];

        if (client_key_parse(token, id))
                fail_msg("taken: %s", token ?: "nothing");
}

static void test_known_key_is_taken(void **state) {
        char id[CLIENT_KEY_ID_MAX];

        (void) state;
        assert_true(client_key_parse(TOKEN, id));
        assert_string_equal(id, ID);
        assert_int_equal(strlen(TOKEN), CLIENT_KEY_TOKEN_MAX - 1);
}

static void test_minted_keys_are_well_formed_and_differ(void **state) {
        char first[CLIENT_KEY_TOKEN_MAX], second[CLIENT_KEY_TOKEN_MAX], a[CLIENT_KEY_ID_MAX], b[CLIENT_KEY_ID_MAX];

        (void) state;
        assert_int_equal(client_key_mint(NULL, first), 0);
        assert_int_equal(client_key_mint(NULL, second), 0);
        assert_true(client_key_parse(first, a));
        assert_true(client_key_parse(second, b));
        assert_string_not_equal(a, b);
        assert_string_not_equal(strrchr(first, '_'), strrchr(second, '_'));
}

/* Whichever character is another one. */
static void test_one_wrong_character_is_refused(void **state) {
        char token[] = TOKEN;

        (void) state;
        for (size_t i = 0; token[i]; i++) {
                char right = token[i];

                token[i] = right == '0' ? '1' : '0';
                assert_refused(token);
                token[i] = 'A';
                assert_refused(token);
                token[i] = right;
        }
}

static void test_other_forms_are_refused(void **state) {
        char shorter[] = TOKEN;

        (void) state;
        shorter[sizeof(shorter) - 2] = 0;
        assert_refused(shorter);
        assert_refused(TOKEN "0");
        assert_refused(TOKEN " ");
        assert_refused(" " TOKEN);
        assert_refused("");
        assert_refused("atl_");
        assert_refused("sk-nothing-behind-it");
        assert_refused(NULL);
}

static void test_ours_by_the_beginning(void **state) {
        (void) state;
        assert_true(client_key_is_ours("atl_"));
        assert_true(client_key_is_ours("atl_x"));
        assert_false(client_key_is_ours("sk-atl_"));
        assert_false(client_key_is_ours(""));
        assert_false(client_key_is_ours(NULL));
}

static void test_hash_depends_on_server_id_and_secret(void **state) {
        uint8_t hash[SHA256_BYTES], same[SHA256_BYTES], other[SHA256_BYTES];
        char token[] = TOKEN;

        (void) state;
        assert_int_equal(client_key_hash(token, server_secret, hash), 0);
        assert_int_equal(client_key_hash(token, server_secret, same), 0);
        assert_memory_equal(hash, same, sizeof(hash));
        assert_int_equal(client_key_hash(token, other_secret, other), 0);
        assert_memory_not_equal(hash, other, sizeof(hash));
        token[strlen("atl_")]++;
        assert_int_equal(client_key_hash(token, server_secret, other), 0);
        assert_memory_not_equal(hash, other, sizeof(hash));
        token[strlen("atl_")]--;
        token[strlen("atl_" ID "_" SECRET) - 1]++;
        assert_int_equal(client_key_hash(token, server_secret, other), 0);
        assert_memory_not_equal(hash, other, sizeof(hash));
}

static void test_names(void **state) {
        char name[CLIENT_KEY_NAME_BYTES_MAX + 2];

        (void) state;
        memset(name, 'n', sizeof(name));
        name[CLIENT_KEY_NAME_BYTES_MAX] = 0;
        assert_true(client_key_name_valid(name));
        name[CLIENT_KEY_NAME_BYTES_MAX] = 'n';
        name[CLIENT_KEY_NAME_BYTES_MAX + 1] = 0;
        assert_false(client_key_name_valid(name));
        assert_true(client_key_name_valid("the caf\xc3\xa9"));
        assert_false(client_key_name_valid(""));
        assert_false(client_key_name_valid(NULL));
        assert_false(client_key_name_valid("a\nb"));
        assert_false(client_key_name_valid("a\x7f"));
        assert_false(client_key_name_valid("a\xc2\x9b"));
        assert_false(client_key_name_valid("a\xff"));
}

static void test_ids(void **state) {
        (void) state;
        assert_true(client_key_id_valid(ID));
        assert_false(client_key_id_valid(ID "0"));
        assert_false(client_key_id_valid("0123456789abcde"));
        assert_false(client_key_id_valid("0123456789abcdeF"));
        assert_false(client_key_id_valid(NULL));
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_known_key_is_taken),
                cmocka_unit_test(test_minted_keys_are_well_formed_and_differ),
                cmocka_unit_test(test_one_wrong_character_is_refused),
                cmocka_unit_test(test_other_forms_are_refused),
                cmocka_unit_test(test_ours_by_the_beginning),
                cmocka_unit_test(test_hash_depends_on_server_id_and_secret),
                cmocka_unit_test(test_names),
                cmocka_unit_test(test_ids),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}

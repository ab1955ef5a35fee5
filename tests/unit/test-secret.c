/* References to secrets and what they lead to. */
#include "conf-folder.h"

static char *resolve(const char *reference) {
        char *secret = NULL;

        assert_int_equal(secret_resolve(reference, &secret), 0);
        return secret;
}

static int failure(const char *reference) {
        char *secret = NULL;
        int r;

        r = secret_resolve(reference, &secret);
        assert_null(secret);
        return r;
}

static char *file_reference(const ConfFolder *folder, const char *name) {
        return text_format("file:%s/%s", folder->path, name);
}

static void test_credential(void **state) {
        ConfFolder *folder = *state;
        _cleanup_(secret_freep) char *secret = NULL;

        folder_write(folder, "openai-api-key", "sk-1");
        assert_int_equal(setenv("CREDENTIALS_DIRECTORY", folder->path, 1), 0);
        secret = resolve("credential:openai-api-key");
        assert_string_equal(secret, "sk-1");
        assert_int_equal(failure("credential:other"), -ENOENT);
}

static void test_credential_without_a_folder(void **state) {
        (void) state;
        assert_int_equal(unsetenv("CREDENTIALS_DIRECTORY"), 0);
        assert_int_equal(failure("credential:openai-api-key"), -ENOENT);
        assert_int_equal(setenv("CREDENTIALS_DIRECTORY", "", 1), 0);
        assert_int_equal(failure("credential:openai-api-key"), -ENOENT);
}

static void test_file_loses_one_final_newline(void **state) {
        _cleanup_free_ char *reference = file_reference(*state, "key");
        _cleanup_(secret_freep) char *one = NULL, *two = NULL;

        folder_write(*state, "key", "sk-2\n");
        one = resolve(reference);
        folder_write(*state, "key", "sk-2\n\n");
        two = resolve(reference);
        assert_string_equal(one, "sk-2");
        assert_string_equal(two, "sk-2\n");
}

static void test_variable(void **state) {
        _cleanup_(secret_freep) char *secret = NULL;

        (void) state;
        assert_int_equal(setenv("TEST_SECRET", "sk-3", 1), 0);
        secret = resolve("env:TEST_SECRET");
        assert_string_equal(secret, "sk-3");
        assert_int_equal(unsetenv("TEST_SECRET"), 0);
        assert_int_equal(failure("env:TEST_SECRET"), -ENOENT);
}

static void test_nothing_in_it_is_none(void **state) {
        _cleanup_free_ char *reference = file_reference(*state, "key");

        folder_write(*state, "key", "");
        assert_int_equal(failure(reference), -ENOENT);
        folder_write(*state, "key", "\n");
        assert_int_equal(failure(reference), -ENOENT);
        assert_int_equal(setenv("TEST_SECRET", "", 1), 0);
        assert_int_equal(failure("env:TEST_SECRET"), -ENOENT);
}

static void test_size_limit(void **state) {
        _cleanup_free_ char *reference = file_reference(*state, "key");
        _cleanup_(secret_freep) char *secret = NULL;
        static char text[SECRET_BYTES_MAX + 2];

        memset(text, 'x', sizeof(text));
        text[SECRET_BYTES_MAX] = '\n';
        folder_write_bytes(*state, "key", text, SECRET_BYTES_MAX + 1);
        secret = resolve(reference);
        assert_int_equal(strlen(secret), SECRET_BYTES_MAX);
        text[SECRET_BYTES_MAX] = 'x';
        folder_write_bytes(*state, "key", text, SECRET_BYTES_MAX + 1);
        assert_int_equal(failure(reference), -EFBIG);
        folder_write_bytes(*state, "key", text, SECRET_BYTES_MAX + 2);
        assert_int_equal(failure(reference), -EFBIG);
}

static void test_size_limit_of_a_variable(void **state) {
        _cleanup_(secret_freep) char *secret = NULL;
        static char text[SECRET_BYTES_MAX + 2];

        (void) state;
        memset(text, 'x', SECRET_BYTES_MAX);
        assert_int_equal(setenv("TEST_SECRET", text, 1), 0);
        secret = resolve("env:TEST_SECRET");
        text[SECRET_BYTES_MAX] = 'x';
        assert_int_equal(setenv("TEST_SECRET", text, 1), 0);
        assert_int_equal(failure("env:TEST_SECRET"), -EFBIG);
}

static void test_nul_byte(void **state) {
        _cleanup_free_ char *reference = file_reference(*state, "key");

        folder_write_bytes(*state, "key", "sk\0-4", 5);
        assert_int_equal(failure(reference), -EBADMSG);
}

static void test_errors_of_reading(void **state) {
        ConfFolder *folder = *state;
        _cleanup_free_ char *missing = file_reference(folder, "missing"), *directory = file_reference(folder, "");

        assert_int_equal(failure(missing), -ENOENT);
        assert_int_equal(failure(directory), -EISDIR);
}

static void test_names_cannot_lead_elsewhere(void **state) {
        static const char *const references[] = {
                "credential:", "credential:../shadow", "credential:..", "credential:.", "credential:.hidden",
                "credential:a/b", "credential:/etc/shadow", "credential:a b", "credential:a\n", "env:", "env:1A",
                "env:A=B", "env:A-B", "file:", "file:etc/shadow", "file:../etc/shadow", "sk-1234", "", "vault:a",
                "Credential:a", " env:A",
        };

        (void) state;
        for (size_t i = 0; i < ELEMENTS(references); i++) {
                if (secret_reference_valid(references[i]))
                        fail_msg("taken: %s", references[i]);
                assert_int_equal(failure(references[i]), -EINVAL);
        }
}

static void test_valid_references(void **state) {
        (void) state;
        assert_true(secret_reference_valid("credential:openai-api_key.v2"));
        assert_true(secret_reference_valid("env:_OPENAI_API_KEY2"));
        assert_true(secret_reference_valid("file:/run/secrets/..data/key"));
}

static void test_name_length_limit(void **state) {
        char reference[sizeof("credential:") + SECRET_NAME_BYTES_MAX + 1] = "credential:";
        size_t prefix = strlen(reference);

        (void) state;
        memset(reference + prefix, 'a', SECRET_NAME_BYTES_MAX);
        assert_true(secret_reference_valid(reference));
        reference[prefix + SECRET_NAME_BYTES_MAX] = 'a';
        assert_false(secret_reference_valid(reference));
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, folder_setup, folder_teardown)

int main(void) {
        const struct CMUnitTest tests[] = {
                TEST(test_credential),
                TEST(test_credential_without_a_folder),
                TEST(test_file_loses_one_final_newline),
                TEST(test_variable),
                TEST(test_nothing_in_it_is_none),
                TEST(test_size_limit),
                TEST(test_size_limit_of_a_variable),
                TEST(test_nul_byte),
                TEST(test_errors_of_reading),
                TEST(test_names_cannot_lead_elsewhere),
                TEST(test_valid_references),
                TEST(test_name_length_limit),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}

/* References to secrets: which are taken, and what they lead to. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>
#include <errno.h>
#include <string.h>

#include "base/macro.h"
#include "conf/secret-reference.h"

static void test_each_place(_unused_ void **state) {
        static const struct {
                const char *text;
                SecretReference reference;
        } rows[] = {
                { "credential:openai-api-key", { SECRET_CREDENTIAL, "", "openai-api-key", "" } },
                { "file:/etc/secrets/api key", { SECRET_FILE, "", "/etc/secrets/api key", "" } },
                { "env:OPENAI_API_KEY", { SECRET_VARIABLE, "", "OPENAI_API_KEY", "" } },
                { "aws-sm:prod/gateway/openai", { SECRET_AWS, "", "prod/gateway/openai", "" } },
                { "aws-sm:prod/gateway#api.key", { SECRET_AWS, "", "prod/gateway", "api.key" } },
                { "aws-sm:arn:aws:secretsmanager:eu-west-3:123456789012:secret:openai-AbCdEf#key",
                  { SECRET_AWS, "", "arn:aws:secretsmanager:eu-west-3:123456789012:secret:openai-AbCdEf", "key" } },
                { "azure-kv:pictures/openai-key", { SECRET_AZURE, "pictures", "openai-key", "" } },
                { "vault:secret/openai#key", { SECRET_VAULT, "secret", "openai", "key" } },
                { "vault:kv-2/teams/images/openai#api_key", { SECRET_VAULT, "kv-2", "teams/images/openai", "api_key" } },
        };

        for (size_t i = 0; i < ELEMENTS(rows); i++) {
                SecretReference reference;

                assert_int_equal(secret_reference_parse(rows[i].text, &reference), 0);
                assert_int_equal(reference.place, rows[i].reference.place);
                assert_string_equal(reference.folder, rows[i].reference.folder);
                assert_string_equal(reference.name, rows[i].reference.name);
                assert_string_equal(reference.member, rows[i].reference.member);
                assert_true(secret_reference_valid(rows[i].text));
                assert_int_equal(secret_reference_is_remote(rows[i].text), reference.place >= SECRET_AWS);
        }
}

/* What could lead out of a folder, or into another part of a URL or of JSON. */
static void test_what_is_none(_unused_ void **state) {
        static const char *const texts[] = {
                "",
                "sk-not-a-reference",
                "credential:",
                "credential:.hidden",
                "credential:../up",
                "credential:a/b",
                "file:relative",
                "file:",
                "env:",
                "env:1ST",
                "env:A-B",
                "aws-sm:",
                "aws-sm:#key",
                "aws-sm:name#",
                "aws-sm:na\"me",
                "aws-sm:name with blank",
                "aws-sm:name#key\"",
                "aws-sm:a?b",
                "azure-kv:vault",
                "azure-kv:/name",
                "azure-kv:vault/",
                "azure-kv:ab/name",
                "azure-kv:a-vault-of-25-characters-/name",
                "azure-kv:vault.evil.example/name",
                "azure-kv:vault/na_me",
                "azure-kv:vault/name/version",
                "azure-kv:vault/../name",
                "vault:secret/openai",
                "vault:secret/openai#",
                "vault:secret#key",
                "vault:secret/#key",
                "vault:/openai#key",
                "vault:secret//openai#key",
                "vault:secret/../sys/raw#key",
                "vault:secret/.hidden#key",
                "vault:secret/a?version=1#key",
                "vault:secret/a%2f#key",
                "VAULT:secret/openai#key",
        };

        for (size_t i = 0; i < ELEMENTS(texts); i++) {
                SecretReference reference;

                if (secret_reference_parse(texts[i], &reference) != -EINVAL)
                        fail_msg("\"%s\" is taken", texts[i]);
                assert_false(secret_reference_valid(texts[i]));
                assert_false(secret_reference_is_remote(texts[i]));
        }
}

static void test_limits(_unused_ void **state) {
        char text[SECRET_NAME_BYTES_MAX + 32] = "aws-sm:";
        SecretReference reference;
        size_t prefix = strlen(text);

        memset(text + prefix, 'a', SECRET_NAME_BYTES_MAX);
        assert_int_equal(secret_reference_parse(text, &reference), 0);
        text[prefix + SECRET_NAME_BYTES_MAX] = 'a';
        assert_int_equal(secret_reference_parse(text, &reference), -EINVAL);
        assert_true(secret_reference_valid("azure-kv:abc/n"));
        assert_true(secret_reference_valid("azure-kv:a-vault-of-24-characters/n"));
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_each_place),
                cmocka_unit_test(test_what_is_none),
                cmocka_unit_test(test_limits),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}

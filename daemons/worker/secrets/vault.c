/* HashiCorp Vault, KV version 2: GET ADDRESS/v1/MOUNT/data/PATH with X-Vault-Token.
 *
 * Source: "KV secrets engine - version 2 (API)", developer.hashicorp.com/vault/api-docs/secret/kv/kv-v2. */
#include <errno.h>

#include "base/text.h"
#include "secrets/secret-manager-kind.h"

#define WHOM "Vault"

/* {"errors":["permission denied"]} */
static void fail_with_errors(SecretManager *manager, const SecretAnswer *answer) {
        _cleanup_(secret_json_freep) JsonValue *object = NULL;
        const JsonValue *errors;

        (void) json_parse(answer->text, answer->size, &object, NULL);
        errors = json_get_array(object, "errors");
        secret_manager_fail_status(manager, answer, errors && errors->child ? errors->child->valuestring : NULL);
}

static void on_answered(SecretManager *manager, const SecretAnswer *answer) {
        _cleanup_(secret_json_freep) JsonValue *object = NULL;
        const JsonValue *data;

        if (answer->status != 200) {
                fail_with_errors(manager, answer);
                return;
        }
        object = secret_manager_parse(manager, answer);
        if (!object)
                return;
        data = json_get_object(json_get_object(object, "data"), "data");
        if (data)
                secret_manager_succeed_member(manager, data);
        else
                secret_manager_fail(manager, -EBADMSG, WHOM " answers without data.data; is %s a KV engine of version 2?",
                                    manager->reference->folder);
}

static void begin(SecretManager *manager) {
        const SecretsSettings *settings = manager->settings;
        const SecretReference *reference = manager->reference;
        _cleanup_(secret_freep) char *token = NULL, *token_header = NULL;
        _cleanup_free_ char *url = text_format("%s/v1/%s/data/%s", settings->vault_address, reference->folder, reference->name);
        _cleanup_free_ char *namespace = settings->vault_namespace
                                                 ? text_format("X-Vault-Namespace: %s", settings->vault_namespace)
                                                 : NULL;
        int r;

        r = secret_resolve(settings->vault_token, &token);
        if (r < 0) {
                secret_manager_fail(manager, r == -ENOMEM ? r : -EACCES, "there is no token for " WHOM
                                    ": %s (secrets.vault_token) can't be read: %s", settings->vault_token, strerror(-r));
                return;
        }
        token_header = secret_header("X-Vault-Token", token);
        if (!token_header) {
                secret_manager_fail(manager, -EACCES, "%s (secrets.vault_token) is no token", settings->vault_token);
                return;
        }
        secret_manager_request(manager, &(SecretRequest) {
                .whom = WHOM,
                .method = "GET",
                .url = url,
                .headers = (const char *const[]) { token_header, "X-Vault-Request: true", namespace, NULL },
        }, on_answered);
}

const SecretManagerKind secret_manager_vault = {
        .name = "HashiCorp Vault",
        .begin = begin,
};

/* Azure Key Vault: GET https://VAULT.vault.azure.net/secrets/NAME with a token of Entra ID, which an application's client
 * secret or the machine's managed identity gives.
 *
 * Sources: "Get Secret", learn.microsoft.com/rest/api/keyvault/secrets; "How to use managed identities on a VM to acquire an
 * access token"; "OAuth 2.0 client credentials flow". */
#include <ctype.h>
#include <errno.h>

#include "base/text.h"
#include "secrets/secret-manager-kind.h"

#define WHOM_VAULT "Key Vault"
#define WHOM_LOGIN "Entra ID"
#define WHOM_METADATA "the metadata service"
#define API_VERSION "7.4"
#define FORM_BYTES 1024                         /* of the form, but for the secret, each of whose bytes may take three */
#define TOKEN_AHEAD_USEC (5 * USEC_PER_MINUTE)  /* before it expires a new one is got */

typedef struct AzureState {
        char *token;
        usec_t until;            /* monotonic */
} AzureState;

static void get_token(SecretManager *manager);

static void drop_token(AzureState *state) {
        state->token = secret_free(state->token);
        state->until = 0;
}

static int init(SecretManager *manager) {
        manager->state = calloc(1, sizeof(AzureState));
        return manager->state ? 0 : -ENOMEM;
}

static void done(SecretManager *manager) {
        drop_token(manager->state);
        free(manager->state);
}

/* ------------------------------------------------------------------ the secret */

/* {"error":{"code":"SecretNotFound","message":"…"}} */
static void on_secret(SecretManager *manager, const SecretAnswer *answer) {
        _cleanup_(secret_json_freep) JsonValue *object = NULL;
        const char *value;

        if (answer->status == 401 && !manager->renewed) {
                manager->renewed = true;
                drop_token(manager->state);
                get_token(manager);
                return;
        }
        if (answer->status != 200) {
                (void) json_parse(answer->text, answer->size, &object, NULL);
                secret_manager_fail_status(manager, answer, json_get_string(json_get_object(object, "error"), "message"));
                return;
        }
        object = secret_manager_parse(manager, answer);
        if (!object)
                return;
        value = json_get_string(object, "value");
        if (value)
                secret_manager_succeed(manager, value);
        else
                secret_manager_fail(manager, -EBADMSG, WHOM_VAULT " answers without a value");
}

static void get_secret(SecretManager *manager) {
        const SecretsSettings *settings = manager->settings;
        const SecretReference *reference = manager->reference;
        const AzureState *state = manager->state;
        _cleanup_(secret_freep) char *bearer = text_format("Authorization: Bearer %s", state->token);
        _cleanup_free_ char *base = settings->azure_endpoint
                                            ? strdup(settings->azure_endpoint)
                                            : text_format("https://%s.%s", reference->folder, settings->azure_domain);
        _cleanup_free_ char *url =
                base && bearer ? text_format("%s/secrets/%s?api-version=" API_VERSION, base, reference->name) : NULL;

        secret_manager_request(manager, &(SecretRequest) {
                .whom = WHOM_VAULT,
                .method = "GET",
                .url = url,
                .headers = (const char *const[]) { bearer, "Accept: application/json", NULL },
        }, on_secret);
}

/* ------------------------------------------------------------------ the token */

/* A number, or a text of one: the two services do not agree. */
static usec_t get_lifetime(const JsonValue *object) {
        const char *text = json_get_string(object, "expires_in");
        uint64_t seconds = 0;

        if (text)
                (void) text_to_unsigned(text, UINT32_MAX, &seconds);
        else
                seconds = (uint64_t) MAX(json_get_integer(object, "expires_in", 0), INT64_C(0));
        return MIN(seconds, (uint64_t) UINT32_MAX) * USEC_PER_SEC;
}

static void on_token(SecretManager *manager, const SecretAnswer *answer) {
        _cleanup_(secret_json_freep) JsonValue *object = NULL;
        AzureState *state = manager->state;
        const char *token;
        usec_t lifetime;

        if (answer->status != 200) {
                (void) json_parse(answer->text, answer->size, &object, NULL);
                /* Of its own text the first line, since what follows are ids of its trace. */
                secret_manager_fail_status(manager, answer, json_get_string(object, "error"));
                return;
        }
        object = secret_manager_parse(manager, answer);
        if (!object)
                return;
        token = json_get_string(object, "access_token");
        if (text_empty(token) || strpbrk(token, "\r\n")) {
                secret_manager_fail(manager, -EBADMSG, "%s answers without an access_token", manager->whom);
                return;
        }
        lifetime = get_lifetime(object);
        drop_token(state);
        state->token = strdup(token);
        state->until = time_now_monotonic() + (lifetime > TOKEN_AHEAD_USEC ? lifetime - TOKEN_AHEAD_USEC : 0);
        if (state->token)
                get_secret(manager);
        else
                secret_manager_fail(manager, -ENOMEM, "memory is short");
}

/* As application/x-www-form-urlencoded, but for the blank, has it. */
static int append_escaped(Buffer *buffer, const char *text) {
        int r = 0;

        for (; *text && r >= 0; text++)
                r = isalnum((unsigned char) *text) || strchr("-._~", *text)
                            ? buffer_append(buffer, text, 1)
                            : buffer_printf(buffer, "%%%02X", (unsigned char) *text);
        return r;
}

static int append_field(Buffer *buffer, const char *name, const char *value, const char *value_end) {
        int r = buffer_printf(buffer, "%s%s=", buffer->size > 0 ? "&" : "", name);

        if (r >= 0)
                r = append_escaped(buffer, value);
        return r < 0 ? r : append_escaped(buffer, value_end);
}

static void ask_login(SecretManager *manager) {
        const SecretsSettings *settings = manager->settings;
        _cleanup_(secret_freep) char *client_secret = NULL, *form = NULL;
        _cleanup_free_ char *scope = text_format("https://%s", settings->azure_domain), *url = NULL;
        Buffer body = {};
        int r;

        r = secret_resolve(settings->azure_client_secret, &client_secret);
        if (r < 0 || !settings->azure_client) {
                secret_manager_fail(manager, -EACCES, "the application of secrets.azure_tenant needs %s", !settings->azure_client
                                    ? "secrets.azure_client" : "secrets.azure_client_secret, which can't be read");
                return;
        }
        /* At once, so that no copy of the secret is left behind by growing. */
        r = scope ? buffer_reserve(&body, 3 * strlen(client_secret) + FORM_BYTES) : -ENOMEM;
        if (r >= 0)
                r = append_field(&body, "client_id", settings->azure_client, "");
        if (r >= 0)
                r = append_field(&body, "scope", scope, "/.default");
        if (r >= 0)
                r = append_field(&body, "client_secret", client_secret, "");
        if (r >= 0)
                r = append_field(&body, "grant_type", "client_credentials", "");
        if (r >= 0 && (form = buffer_take_text(&body)))
                url = text_format("%s/%s/oauth2/v2.0/token", settings->azure_authority, settings->azure_tenant);
        if (body.data)
                explicit_bzero(body.data, body.size);
        buffer_done(&body);
        secret_manager_request(manager, &(SecretRequest) {
                .whom = WHOM_LOGIN,
                .method = "POST",
                .url = url,
                .headers = (const char *const[]) { "Content-Type: application/x-www-form-urlencoded",
                                                   "Accept: application/json", NULL },
                .body = form,
        }, on_token);
}

static void ask_metadata(SecretManager *manager) {
        const SecretsSettings *settings = manager->settings;
        _cleanup_(buffer_done) Buffer query = {};
        _cleanup_free_ char *resource = text_format("https://%s", settings->azure_domain), *text = NULL, *url = NULL;
        int r;

        r = resource ? append_field(&query, "api-version", "2018-02-01", "") : -ENOMEM;
        if (r >= 0)
                r = append_field(&query, "resource", resource, "");
        if (r >= 0 && settings->azure_client)
                r = append_field(&query, "client_id", settings->azure_client, "");
        if (r >= 0 && (text = buffer_take_text(&query)))
                url = text_format("%s/metadata/identity/oauth2/token?%s", settings->azure_metadata, text);
        secret_manager_request(manager, &(SecretRequest) {
                .whom = WHOM_METADATA,
                .method = "GET",
                .url = url,
                .headers = (const char *const[]) { "Metadata: true", NULL },
                .metadata = true,
        }, on_token);
}

static void get_token(SecretManager *manager) {
        if (manager->settings->azure_tenant)
                ask_login(manager);
        else
                ask_metadata(manager);
}

static void begin(SecretManager *manager) {
        const AzureState *state = manager->state;

        if (state->token && time_now_monotonic() < state->until)
                get_secret(manager);
        else
                get_token(manager);
}

const SecretManagerKind secret_manager_azure = {
        .name = "Azure Key Vault",
        .init = init,
        .done = done,
        .begin = begin,
};

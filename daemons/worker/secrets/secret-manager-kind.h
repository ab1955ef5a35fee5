/* What the kinds of secret managers are written with: a fetch is a chain of requests, each begun by the step that takes the
 * answer before it, and ended by secret_manager_succeed() or secret_manager_fail(). */
#pragma once

#include "base/buffer.h"
#include "base/json.h"
#include "secrets/secret-manager.h"

/* Answers of the manager have a status; what went wrong on the way is told without asking a step. */
typedef struct SecretAnswer {
        long status;
        const char *text;   /* the body, ended by NUL */
        size_t size;
} SecretAnswer;

typedef void (*SecretStep)(SecretManager *manager, const SecretAnswer *answer);

typedef struct SecretManagerKind {
        const char *name;
        int (*init)(SecretManager *manager);     /* makes `state`; NULL: there is none */
        void (*done)(SecretManager *manager);    /* wipes and frees it */
        void (*begin)(SecretManager *manager);   /* starts with the first request, or fails */
} SecretManagerKind;

struct SecretManager {
        const SecretManagerKind *kind;
        void *state;                             /* what the kind keeps between fetches */

        /* The fetch under way. */
        HttpClient *http;
        const SecretsSettings *settings;
        const SecretReference *reference;        /* NULL: none */
        SecretFetched done;
        void *userdata;
        bool renewed;                            /* credentials were refused, and are new by now */

        /* Its request. */
        HttpTransfer *transfer;
        SecretStep step;
        const char *whom;                        /* "Vault", for messages; static */
        Buffer body;
        usec_t retry_after;
};

extern const SecretManagerKind secret_manager_aws, secret_manager_azure, secret_manager_vault;

typedef struct SecretRequest {
        const char *whom;                        /* static */
        const char *method, *url;
        const char *const *headers;              /* ended by NULL; wiped after use */
        const char *body;                        /* NULL: none */
        bool metadata;                           /* asked with the shorter times */
} SecretRequest;

/* Goes on with `step`. Takes `url` NULL for memory that was short. What goes wrong ends the fetch. */
void secret_manager_request(SecretManager *manager, const SecretRequest *request, SecretStep step);

void secret_manager_succeed(SecretManager *manager, const char *value);
void secret_manager_fail(SecretManager *manager, int error, const char *format, ...) _printf_(3, 4);

/* Ends the fetch by an answer that is no success: 403 and 401 are -EACCES, 404 is -ENOENT, all others -EAGAIN. `said` is what
 * it says of itself, or NULL. */
void secret_manager_fail_status(SecretManager *manager, const SecretAnswer *answer, const char *said);

/* The answer as JSON, to be freed by secret_json_free(); NULL: the fetch has ended, since it is none. */
JsonValue *secret_manager_parse(SecretManager *manager, const SecretAnswer *answer);
JsonValue *secret_json_free(JsonValue *value);   /* wipes its texts */
DEFINE_CLEANUP(JsonValue *, secret_json_free);

/* Succeeds with the reference's member of an object, whose value is a text. */
void secret_manager_succeed_member(SecretManager *manager, const JsonValue *object);

/* A header "NAME: VALUE" that secret_free() frees; NULL without memory, or where the value has a control character. */
char *secret_header(const char *name, const char *value);

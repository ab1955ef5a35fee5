#include "secrets/secret-manager.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/text-clean.h"
#include "base/text.h"
#include "secrets/secret-manager-kind.h"

#define MESSAGE_BYTES_MAX 320
#define SAID_BYTES_MAX 160
#define RETRY_AFTER_MAX USEC_PER_HOUR

int secret_manager_new(SecretManager **ret, SecretPlace place) {
        static const SecretManagerKind *const kinds[] = {
                [SECRET_AWS] = &secret_manager_aws,
                [SECRET_AZURE] = &secret_manager_azure,
                [SECRET_VAULT] = &secret_manager_vault,
        };
        _cleanup_(secret_manager_freep) SecretManager *manager = NULL;
        int r;

        if (place >= ELEMENTS(kinds) || !kinds[place])
                return -EINVAL;
        manager = calloc(1, sizeof(*manager));
        if (!manager)
                return -ENOMEM;
        manager->kind = kinds[place];
        manager->body.size_max = SECRET_ANSWER_BYTES_MAX;
        if (manager->kind->init) {
                r = manager->kind->init(manager);
                if (r < 0)
                        return r;
        }
        *ret = TAKE_PTR(manager);
        return 0;
}

SecretManager *secret_manager_free(SecretManager *manager) {
        if (!manager)
                return NULL;
        secret_manager_cancel(manager);
        if (manager->state)
                manager->kind->done(manager);
        free(manager);
        return NULL;
}

const char *secret_manager_name(const SecretManager *manager) {
        return manager->kind->name;
}

bool secret_manager_busy(const SecretManager *manager) {
        return manager->reference;
}

int secret_manager_fetch(SecretManager *manager, HttpClient *http, const SecretsSettings *settings,
                         const SecretReference *reference, SecretFetched done, void *userdata) {
        if (manager->reference)
                return -EBUSY;
        manager->http = http;
        manager->settings = settings;
        manager->reference = reference;
        manager->done = done;
        manager->userdata = userdata;
        manager->renewed = false;
        manager->retry_after = 0;
        manager->kind->begin(manager);
        return 0;
}

static void drop_body(SecretManager *manager) {
        if (manager->body.data)
                explicit_bzero(manager->body.data, manager->body.allocated);
        buffer_done(&manager->body);
}

void secret_manager_cancel(SecretManager *manager) {
        manager->reference = NULL;
        if (manager->transfer)
                http_transfer_cancel(manager->transfer);
        drop_body(manager);
}

/* ------------------------------------------------------------------ requests */

/* Seconds; the other form, a date, is not worth its clock. */
static void on_header(_unused_ HttpTransfer *transfer, const char *name, const char *value, void *userdata) {
        SecretManager *manager = userdata;
        uint64_t seconds;

        if (text_equal(name, "retry-after") && text_to_unsigned(value, UINT32_MAX, &seconds) >= 0)
                manager->retry_after = MIN(seconds * USEC_PER_SEC, RETRY_AFTER_MAX);
}

/* As large as it may be from the start, so that no copy of it is left behind by growing. */
static int on_body(_unused_ HttpTransfer *transfer, const void *data, size_t size, void *userdata) {
        SecretManager *manager = userdata;
        int r = 0;

        if (!manager->body.data)
                r = buffer_reserve(&manager->body, SECRET_ANSWER_BYTES_MAX);
        return r < 0 ? r : buffer_append(&manager->body, data, size);
}

static void on_done(_unused_ HttpTransfer *transfer, const HttpResult *result, void *userdata) {
        SecretManager *manager = userdata;
        Buffer body = manager->body;
        SecretAnswer answer = { .status = result->status, .text = "" };

        manager->transfer = NULL;
        manager->body = (Buffer) { .size_max = SECRET_ANSWER_BYTES_MAX };
        if (!manager->reference)
                goto finish;
        if (result->error == -ENOMEM)
                secret_manager_fail(manager, -ENOMEM, "memory is short");
        else if (result->error == -EFBIG)
                secret_manager_fail(manager, -EBADMSG, "%s answers with more than %d bytes", manager->whom,
                                    SECRET_ANSWER_BYTES_MAX);
        else if (result->error < 0)
                secret_manager_fail(manager, -EAGAIN, "%s can't be asked: %s", manager->whom, result->message);
        else {
                if (body.size > 0) {
                        body.data[body.size] = 0;
                        answer.text = (char *) body.data;
                        answer.size = body.size;
                }
                manager->step(manager, &answer);
        }
finish:
        if (body.data)
                explicit_bzero(body.data, body.allocated);
        buffer_done(&body);
}

void secret_manager_request(SecretManager *manager, const SecretRequest *request, SecretStep step) {
        static const HttpHandlers handlers = { .header = on_header, .body = on_body, .done = on_done };
        HttpRequest http = {
                .method = request->method,
                .url = request->url,
                .headers = request->headers,
                .body = request->body,
                .body_size = request->body ? strlen(request->body) : 0,
                .connect_timeout = request->metadata ? SECRET_METADATA_CONNECT_USEC : 0,
                .timeout = request->metadata ? SECRET_METADATA_USEC : SECRET_REQUEST_USEC,
                .body_bytes_max = SECRET_ANSWER_BYTES_MAX - 1,
        };
        int r;

        manager->step = step;
        manager->whom = request->whom;
        r = request->url ? http_client_start(manager->http, &http, &handlers, manager, &manager->transfer) : -ENOMEM;
        if (r == -ENOMEM)
                secret_manager_fail(manager, r, "memory is short");
        else if (r < 0)
                secret_manager_fail(manager, -EAGAIN, "%s can't be asked: %s", request->whom, strerror(-r));
}

char *secret_header(const char *name, const char *value) {
        for (const char *p = value; p && *p; p++)
                if ((unsigned char) *p < ' ' || *p == 0x7f)
                        return NULL;
        return value ? text_format("%s: %s", name, value) : NULL;
}

/* ------------------------------------------------------------------ ends */

static void end(SecretManager *manager, const SecretResult *result) {
        SecretFetched done = manager->done;

        assert(manager->reference && !manager->transfer);
        manager->reference = NULL;
        done(result, manager->userdata);
}

void secret_manager_succeed(SecretManager *manager, const char *value) {
        if (text_empty(value))
                secret_manager_fail(manager, -ENOENT, "the secret is empty");
        else if (strlen(value) > SECRET_BYTES_MAX)
                secret_manager_fail(manager, -EBADMSG, "the secret has more than %d bytes", SECRET_BYTES_MAX);
        else
                end(manager, &(SecretResult) { .value = value });
}

void secret_manager_fail(SecretManager *manager, int error, const char *format, ...) {
        char message[MESSAGE_BYTES_MAX];
        va_list arguments;

        va_start(arguments, format);
        (void) vsnprintf(message, sizeof(message), format, arguments);
        va_end(arguments);
        end(manager, &(SecretResult) { .error = error, .message = message, .retry_after = manager->retry_after });
}

void secret_manager_fail_status(SecretManager *manager, const SecretAnswer *answer, const char *said) {
        _cleanup_free_ char *clean = said ? text_clean(said, MIN(strlen(said), (size_t) SAID_BYTES_MAX)) : NULL;
        int error = answer->status == 404                            ? -ENOENT
                    : answer->status == 401 || answer->status == 403 ? -EACCES
                                                                     : -EAGAIN;

        secret_manager_fail(manager, error, "%s answers HTTP %ld%s%s", manager->whom, answer->status, clean ? ": " : "",
                            clean ?: "");
}

/* ------------------------------------------------------------------ answers */

static void wipe(JsonValue *value) {
        for (JsonValue *child = value->child; child; child = child->next)
                wipe(child);
        if (value->valuestring)
                explicit_bzero(value->valuestring, strlen(value->valuestring));
}

JsonValue *secret_json_free(JsonValue *value) {
        if (value)
                wipe(value);
        return json_free(value);
}

JsonValue *secret_manager_parse(SecretManager *manager, const SecretAnswer *answer) {
        JsonValue *value;
        JsonError error;
        int r;

        r = json_parse(answer->text, answer->size, &value, &error);
        if (r >= 0)
                return value;
        if (r == -ENOMEM)
                secret_manager_fail(manager, r, "memory is short");
        else
                secret_manager_fail(manager, -EBADMSG, "%s answers with what is no JSON: %s at byte %zu", manager->whom,
                                    error.reason, error.offset);
        return NULL;
}

void secret_manager_succeed_member(SecretManager *manager, const JsonValue *object) {
        const char *member = manager->reference->member, *value = json_get_string(object, member);

        if (value)
                secret_manager_succeed(manager, value);
        else
                secret_manager_fail(manager, -ENOENT, "the secret has no text \"%s\" in it", member);
}

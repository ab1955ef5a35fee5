#include "io/varlink-message.h"

#include <errno.h>
#include <string.h>

#include "base/text.h"
#include "io/varlink.h"

static const JsonValue empty_object = { .type = cJSON_Object };

/* Members of a message and where they go. */
typedef struct Member {
        const char *name;
        const JsonValue **value;
} Member;

/* Sorts the members of a message; one that is not in the table (ended by {}) makes it no message. Doubled names have
 * been refused by json_parse(). */
static int message_parse(const char *text, size_t size, const Member *members, JsonValue **ret) {
        _cleanup_(json_freep) JsonValue *root = NULL;
        const JsonValue *value;
        int r;

        r = json_parse(text, size, &root, NULL);
        if (r < 0)
                return r;
        if (!cJSON_IsObject(root))
                return -EBADMSG;

        cJSON_ArrayForEach(value, root) {
                const Member *m = members;

                while (m->name && strcmp(m->name, value->string) != 0)
                        m++;
                if (!m->name)
                        return -EBADMSG;
                *m->value = value;
        }

        *ret = TAKE_PTR(root);
        return 0;
}

static bool take_bool(const JsonValue *value, bool *ret) {
        *ret = cJSON_IsTrue(value);
        return !value || cJSON_IsBool(value);
}

static bool take_object(const JsonValue *value, const JsonValue **ret) {
        *ret = !value || cJSON_IsNull(value) ? &empty_object : value;
        return cJSON_IsObject(*ret);
}

void varlink_request_done(VarlinkRequest *request) {
        request->root = json_free(request->root);
}

int varlink_request_parse(VarlinkRequest *ret, const char *text, size_t size) {
        const JsonValue *method = NULL, *parameters = NULL, *oneway = NULL, *more = NULL, *upgrade = NULL;
        const Member members[] = {
                { "method", &method }, { "parameters", &parameters }, { "more", &more },
                { "oneway", &oneway }, { "upgrade", &upgrade },       {},
        };
        _cleanup_(varlink_request_done) VarlinkRequest request = {};
        bool upgrading;
        int r;

        r = message_parse(text, size, members, &request.root);
        if (r < 0)
                return r;

        if (!cJSON_IsString(method) || !take_object(parameters, &request.parameters) ||
            !take_bool(oneway, &request.oneway) || !take_bool(more, &request.more) ||
            !take_bool(upgrade, &upgrading))
                return -EBADMSG;
        if (upgrading || (request.oneway && request.more))
                return -EBADMSG;

        request.method = method->valuestring;
        *ret = request;
        request.root = NULL;
        return 0;
}

void varlink_response_done(VarlinkResponse *response) {
        response->root = json_free(response->root);
}

int varlink_response_parse(VarlinkResponse *ret, const char *text, size_t size) {
        const JsonValue *error = NULL, *parameters = NULL, *continues = NULL;
        const Member members[] = {
                { "parameters", &parameters },
                { "continues", &continues },
                { "error", &error },
                {},
        };
        _cleanup_(varlink_response_done) VarlinkResponse response = {};
        int r;

        r = message_parse(text, size, members, &response.root);
        if (r < 0)
                return r;

        if ((error && !cJSON_IsString(error)) || !take_object(parameters, &response.parameters) ||
            !take_bool(continues, &response.continues))
                return -EBADMSG;
        if (error && response.continues)
                return -EBADMSG;

        response.error = error ? error->valuestring : NULL;
        *ret = response;
        response.root = NULL;
        return 0;
}

/* ---------------------------------------------------------------- writing */

/* Names go out unescaped: they may hold nothing that would need it. */
static bool qualified_name_valid(const char *name) {
        size_t length = strspn(name, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789.-");

        return length > 0 && name[length] == 0 && strchr(name, '.');
}

static int append_all(Buffer *buffer, const char *const *texts) {
        for (; *texts; texts++) {
                int r = buffer_append_text(buffer, *texts);
                if (r < 0)
                        return r;
        }
        return buffer_append(buffer, "", 1);
}

/* Writes {"NAME":"TEXT","parameters":PARAMETERS,"FLAG":true} without the parts that are NULL. */
static int message_format(Buffer *buffer, const char *name, const char *text, const JsonValue *parameters,
                          const char *flag) {
        _cleanup_free_ char *formatted = NULL;
        size_t before = buffer->size;
        int r;

        if (text && !qualified_name_valid(text))
                return -EINVAL;
        if (parameters) {
                formatted = json_format(parameters);
                if (!formatted)
                        return -ENOMEM;
        }

        /* A reply always shows its parameters, as systemd's do. */
        const char *texts[] = {
                text ? "{\"" : "{", text ? name : "", text ? "\":\"" : "", text ?: "",
                text ? "\",\"parameters\":" : "\"parameters\":", formatted ?: "{}",
                flag ? ",\"" : "", flag ?: "", flag ? "\":true}" : "}", NULL,
        };
        r = append_all(buffer, texts);
        if (r >= 0 && buffer->size - before - 1 > VARLINK_MESSAGE_BYTES_MAX)
                r = -EMSGSIZE;
        if (r < 0)
                buffer->size = before;
        return r;
}

int varlink_request_format(Buffer *buffer, const char *method, const JsonValue *parameters, bool more) {
        return message_format(buffer, "method", method, parameters, more ? "more" : NULL);
}

int varlink_response_format(Buffer *buffer, const char *error, const JsonValue *parameters, bool continues) {
        return message_format(buffer, "error", error, parameters, continues ? "continues" : NULL);
}

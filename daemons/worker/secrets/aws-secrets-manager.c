/* AWS Secrets Manager: GetSecretValue, a POST that is signed (aws-signature.h).
 *
 * Source: "GetSecretValue", docs.aws.amazon.com/secretsmanager/latest/apireference. */
#include <errno.h>
#include <stdio.h>

#include "base/text.h"
#include "secrets/aws-credentials.h"

#define WHOM "Secrets Manager"
#define SERVICE "secretsmanager"
#define CONTENT_TYPE "application/x-amz-json-1.1"
#define TARGET "secretsmanager.GetSecretValue"
#define ARN_REGION 3 /* arn:aws:secretsmanager:REGION:… */
#define REGION_BYTES_MAX 64

static void get_value(SecretManager *manager);

static int init(SecretManager *manager) {
        manager->state = calloc(1, sizeof(AwsCredentials));
        return manager->state ? 0 : -ENOMEM;
}

static void done(SecretManager *manager) {
        aws_credentials_drop(manager->state);
        free(manager->state);
}

/* ------------------------------------------------------------------ where */

/* What stands between two colons of an ARN; NULL: it is none. The caller frees it. */
static char *region_of_arn(const char *name) {
        if (!text_after(name, "arn:"))
                return NULL;
        for (unsigned i = 0; i < ARN_REGION && name; i++) {
                name = strchr(name, ':');
                name = name ? name + 1 : NULL;
        }
        return name && *name != ':' ? strndup(name, strcspn(name, ":")) : NULL;
}

/* It becomes part of a host's name. */
static bool is_region(const char *region) {
        size_t length = strlen(region);

        return length > 0 && length <= REGION_BYTES_MAX && strspn(region, "abcdefghijklmnopqrstuvwxyz0123456789-") == length;
}

/* NULL: the fetch has ended. */
static char *find_region(SecretManager *manager) {
        const char *fallback = getenv("AWS_DEFAULT_REGION");
        char *region = NULL;

        if (manager->settings->aws_region)
                region = strdup(manager->settings->aws_region);
        else if (!(region = region_of_arn(manager->reference->name)) && !text_empty(fallback))
                region = strdup(fallback);
        if (region && is_region(region))
                return region;
        secret_manager_fail(manager, -EACCES, region ? "the region \"%s\" is none" :
                            "no region is known: secrets.aws_region, AWS_REGION or an ARN name it", region);
        free(region);
        return NULL;
}

/* "https://host:port/path" → "host:port" as it stands in Host. */
static char *host_of(const char *url) {
        const char *host = strstr(url, "://") + 3;

        return strndup(host, strcspn(host, "/"));
}

/* ------------------------------------------------------------------ the answer */

/* {"__type":"namespace#ResourceNotFoundException","Message":"…"} */
static void fail_with_type(SecretManager *manager, const SecretAnswer *answer) {
        static const struct {
                const char *type;
                int error;
        } types[] = {
                { "ResourceNotFoundException", -ENOENT },     { "AccessDeniedException", -EACCES },
                { "DecryptionFailure", -EACCES },             { "UnrecognizedClientException", -EACCES },
                { "InvalidSignatureException", -EACCES },     { "InvalidRequestException", -ENOENT },
                { "InvalidParameterException", -ENOENT },     { "InvalidClientTokenId", -EACCES },
                { "ExpiredTokenException", -EACCES },
        };
        _cleanup_(secret_json_freep) JsonValue *object = NULL;
        const char *type, *hash;

        (void) json_parse(answer->text, answer->size, &object, NULL);
        type = json_get_string(object, "__type");
        hash = type ? strchr(type, '#') : NULL;
        type = hash ? hash + 1 : type;
        if (!manager->renewed && (text_equal(type, "ExpiredTokenException") || text_equal(type, "UnrecognizedClientException"))) {
                manager->renewed = true;
                aws_credentials_drop(manager->state);
                aws_credentials_get(manager, get_value);
                return;
        }
        for (size_t i = 0; i < ELEMENTS(types); i++)
                if (text_equal(type, types[i].type)) {
                        secret_manager_fail(manager, types[i].error, WHOM " answers %s", type);
                        return;
                }
        secret_manager_fail_status(manager, answer, type);
}

/* A secret that is a JSON object has members; one without a member named is taken as it is. */
static void on_value(SecretManager *manager, const SecretAnswer *answer) {
        _cleanup_(secret_json_freep) JsonValue *object = NULL, *members = NULL;
        const char *text;

        if (answer->status != 200) {
                fail_with_type(manager, answer);
                return;
        }
        object = secret_manager_parse(manager, answer);
        if (!object)
                return;
        text = json_get_string(object, "SecretString");
        if (!text)
                secret_manager_fail(manager, -EBADMSG, "the secret is no text (SecretString)");
        else if (!manager->reference->member[0])
                secret_manager_succeed(manager, text);
        else if (json_parse(text, strlen(text), &members, NULL) < 0 || !cJSON_IsObject(members))
                secret_manager_fail(manager, -ENOENT, "the secret is no JSON object, and has no \"%s\"", manager->reference->member);
        else
                secret_manager_succeed_member(manager, members);
}

/* ------------------------------------------------------------------ the request */

/* Headers as they are signed, and the same as they are sent: "name:value" is a header too. */
static void send_signed(SecretManager *manager, const char *url, const char *host, const char *region, const char *body) {
        const AwsCredentials *credentials = manager->state;
        const char *path = strchr(strstr(url, "://") + 3, '/');
        _cleanup_(secret_freep) char *token = NULL;
        _cleanup_free_ char *host_header = text_format("host:%s", host), *authorization = NULL, *signature = NULL;
        char time[AWS_TIME_MAX], date[sizeof("x-amz-date:") + AWS_TIME_MAX];
        const char *headers[8];
        size_t n = 0;

        aws_format_time(time_now_realtime(), time);
        (void) snprintf(date, sizeof(date), "x-amz-date:%s", time);
        headers[n++] = "content-type:" CONTENT_TYPE;
        headers[n++] = host_header;
        headers[n++] = date;
        if (credentials->key.session_token)
                headers[n++] = token = text_format("x-amz-security-token:%s", credentials->key.session_token);
        headers[n++] = "x-amz-target:" TARGET;
        headers[n] = NULL;
        if (host_header && (token || !credentials->key.session_token))
                signature = aws_sign(&(AwsRequest) { .method = "POST", .path = path ?: "/", .query = "", .headers = headers,
                                                     .body = body, .region = region, .service = SERVICE },
                                     &credentials->key, time);
        authorization = signature ? text_format("authorization:%s", signature) : NULL;
        headers[n++] = authorization;
        headers[n] = NULL;
        secret_manager_request(manager, &(SecretRequest) {
                .whom = WHOM,
                .method = "POST",
                .url = authorization ? url : NULL,
                .headers = headers,
                .body = body,
        }, on_value);
}

static void get_value(SecretManager *manager) {
        const SecretsSettings *settings = manager->settings;
        _cleanup_free_ char *region = find_region(manager), *url = NULL, *host = NULL, *body = NULL;

        if (!region)
                return;
        if (settings->aws_endpoint)
                url = text_format("%s/", settings->aws_endpoint);
        else
                url = text_format("https://" SERVICE ".%s.amazonaws.com%s/", region, text_after(region, "cn-") ? ".cn" : "");
        host = url ? host_of(url) : NULL;
        /* No character of a name needs an escape in JSON. */
        body = text_format("{\"SecretId\":\"%s\"}", manager->reference->name);
        if (host && body)
                send_signed(manager, url, host, region, body);
        else
                secret_manager_fail(manager, -ENOMEM, "memory is short");
}

static void begin(SecretManager *manager) {
        aws_credentials_get(manager, get_value);
}

const SecretManagerKind secret_manager_aws = {
        .name = "AWS Secrets Manager",
        .init = init,
        .done = done,
        .begin = begin,
};

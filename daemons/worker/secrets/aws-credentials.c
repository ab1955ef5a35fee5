#include "secrets/aws-credentials.h"

#include <errno.h>
#include <fcntl.h>
#include <time.h>

#include "base/file.h"
#include "base/text.h"

#define WHOM_METADATA "the metadata service"
#define WHOM_CONTAINER "the container's credentials service"
#define CONTAINER_HOST "http://169.254.170.2"
#define METADATA_ROLES "/latest/meta-data/iam/security-credentials/"
#define ROLE_BYTES_MAX 64
#define TOKEN_BYTES_MAX 8192
#define EXPIRY_AHEAD_USEC (10 * USEC_PER_MINUTE)

void aws_credentials_drop(AwsCredentials *credentials) {
        aws_key_done(&credentials->key);
        credentials->metadata_token = secret_free(credentials->metadata_token);
        credentials->until = 0;
}

/* ------------------------------------------------------------------ temporary ones */

/* "2026-11-22T16:00:00Z". 0: it is none. */
static usec_t parse_expiration(const char *text) {
        struct tm tm = {};
        const char *end = text ? strptime(text, "%Y-%m-%dT%H:%M:%S", &tm) : NULL;
        time_t seconds = end ? timegm(&tm) : 0;

        return seconds > 0 ? (usec_t) seconds * USEC_PER_SEC : 0;
}

static char *copy(const JsonValue *object, const char *name) {
        const char *text = json_get_string(object, name);

        return text_empty(text) || strpbrk(text, "\r\n") ? NULL : strdup(text);
}

/* A 200 of the metadata service may carry another code than Success. */
static void on_credentials(SecretManager *manager, const SecretAnswer *answer) {
        _cleanup_(secret_json_freep) JsonValue *object = NULL;
        AwsCredentials *credentials = manager->state;
        const char *code;
        usec_t expiration;

        if (answer->status != 200) {
                secret_manager_fail_status(manager, answer, NULL);
                return;
        }
        object = secret_manager_parse(manager, answer);
        if (!object)
                return;
        code = json_get_string(object, "Code");
        if (code && !text_equal(code, "Success")) {
                secret_manager_fail_status(manager, answer, code);
                return;
        }
        aws_credentials_drop(credentials);
        credentials->key = (AwsKey) { copy(object, "AccessKeyId"), copy(object, "SecretAccessKey"), copy(object, "Token") };
        if (!credentials->key.id || !credentials->key.secret) {
                aws_credentials_drop(credentials);
                secret_manager_fail(manager, -EBADMSG, "%s answers without AccessKeyId and SecretAccessKey", manager->whom);
                return;
        }
        expiration = parse_expiration(json_get_string(object, "Expiration"));
        credentials->until = expiration > EXPIRY_AHEAD_USEC ? expiration - EXPIRY_AHEAD_USEC : 0;
        credentials->ready(manager);
}

/* ------------------------------------------------------------------ an instance */

static void ask_metadata(SecretManager *manager, const char *path, SecretStep step) {
        const AwsCredentials *credentials = manager->state;
        _cleanup_(secret_freep) char *token =
                text_format("X-aws-ec2-metadata-token: %s", credentials->metadata_token);
        _cleanup_free_ char *url = token ? text_format("%s%s", manager->settings->aws_metadata, path) : NULL;

        secret_manager_request(manager, &(SecretRequest) {
                .whom = WHOM_METADATA,
                .method = "GET",
                .url = url,
                .headers = (const char *const[]) { token, NULL },
                .metadata = true,
        }, step);
}

/* The first line is the role's name. */
static void on_role(SecretManager *manager, const SecretAnswer *answer) {
        size_t length = strcspn(answer->text, "\r\n");
        _cleanup_free_ char *path = NULL;

        if (answer->status != 200) {
                secret_manager_fail_status(manager, answer, answer->status == 404 ? "the instance has no role" : NULL);
                return;
        }
        if (length == 0 || length > ROLE_BYTES_MAX ||
            strspn(answer->text, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789+=,.@_-") < length) {
                secret_manager_fail(manager, -EBADMSG, WHOM_METADATA " answers with what is no name of a role");
                return;
        }
        path = text_format(METADATA_ROLES "%.*s", (int) length, answer->text);
        if (path)
                ask_metadata(manager, path, on_credentials);
        else
                secret_manager_fail(manager, -ENOMEM, "memory is short");
}

static void on_metadata_token(SecretManager *manager, const SecretAnswer *answer) {
        AwsCredentials *credentials = manager->state;

        if (answer->status != 200) {
                secret_manager_fail_status(manager, answer, NULL);
                return;
        }
        if (answer->size == 0 || answer->size > TOKEN_BYTES_MAX || strlen(answer->text) != answer->size ||
            strpbrk(answer->text, "\r\n")) {
                secret_manager_fail(manager, -EBADMSG, WHOM_METADATA " answers with what is no token");
                return;
        }
        (void) secret_free(credentials->metadata_token);
        credentials->metadata_token = strdup(answer->text);
        if (credentials->metadata_token)
                ask_metadata(manager, METADATA_ROLES, on_role);
        else
                secret_manager_fail(manager, -ENOMEM, "memory is short");
}

static void ask_instance(SecretManager *manager) {
        const char *disabled = getenv("AWS_EC2_METADATA_DISABLED");
        _cleanup_free_ char *url = NULL;

        if (disabled && strcasecmp(disabled, "true") == 0) {
                secret_manager_fail(manager, -EACCES, "there is no access key for AWS: secrets.aws_access_key can't be read, and "
                                    "AWS_EC2_METADATA_DISABLED is set");
                return;
        }
        url = text_format("%s/latest/api/token", manager->settings->aws_metadata);
        secret_manager_request(manager, &(SecretRequest) {
                .whom = WHOM_METADATA,
                .method = "PUT",
                .url = url,
                .headers = (const char *const[]) { "X-aws-ec2-metadata-token-ttl-seconds: 21600", NULL },
                .metadata = true,
        }, on_metadata_token);
}

/* ------------------------------------------------------------------ a container */

/* Plain HTTP only to where it does not leave the machine. */
static bool is_container_url(const char *url) {
        static const char *const hosts[] = { "127.0.0.1", "[::1]", "localhost", "169.254.170.2", "169.254.170.23",
                                             "[fd00:ec2::23]" };
        const char *rest = text_after(url, "http://");

        if (text_after(url, "https://"))
                return true;
        for (size_t i = 0; rest && i < ELEMENTS(hosts); i++) {
                const char *after = text_after(rest, hosts[i]);

                if (after && (*after == ':' || *after == '/'))
                        return true;
        }
        return false;
}

/* -ENOENT: none is needed. The file is read anew each time. */
static int get_container_token(char **ret) {
        const char *path = getenv("AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE");
        const char *token = getenv("AWS_CONTAINER_AUTHORIZATION_TOKEN");
        size_t size;

        if (!text_empty(path))
                return file_read(AT_FDCWD, path, TOKEN_BYTES_MAX, ret, &size);
        if (text_empty(token))
                return -ENOENT;
        *ret = strdup(token);
        return *ret ? 0 : -ENOMEM;
}

static void ask_container(SecretManager *manager, const char *url) {
        _cleanup_(secret_freep) char *token = NULL, *header = NULL;
        int r;

        if (!is_container_url(url)) {
                secret_manager_fail(manager, -EACCES, "AWS_CONTAINER_CREDENTIALS_FULL_URI is neither https nor of this machine");
                return;
        }
        r = get_container_token(&token);
        if (r >= 0)
                token[strcspn(token, "\n")] = 0;
        if (r < 0 && r != -ENOENT) {
                secret_manager_fail(manager, -EACCES, "AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE can't be read: %s", strerror(-r));
                return;
        }
        if (token && !(header = secret_header("Authorization", token))) {
                secret_manager_fail(manager, -EACCES, "AWS_CONTAINER_AUTHORIZATION_TOKEN is no token");
                return;
        }
        secret_manager_request(manager, &(SecretRequest) {
                .whom = WHOM_CONTAINER,
                .method = "GET",
                .url = url,
                .headers = (const char *const[]) { "Accept: application/json", header, NULL },
                .metadata = true,
        }, on_credentials);
}

/* ------------------------------------------------------------------ which */

/* 1: there is one; 0: there is none; negative: the fetch has ended. */
static int take_named_key(SecretManager *manager) {
        const SecretsSettings *settings = manager->settings;
        AwsCredentials *credentials = manager->state;
        const struct {
                const char *reference;
                char **ret;
        } parts[] = {
                { settings->aws_access_key, &credentials->key.id },
                { settings->aws_secret_key, &credentials->key.secret },
                { settings->aws_session_token, &credentials->key.session_token },
        };

        for (size_t i = 0; i < ELEMENTS(parts); i++) {
                int r = parts[i].reference ? secret_resolve(parts[i].reference, parts[i].ret) : -ENOENT;

                if (r >= 0 && strpbrk(*parts[i].ret, "\r\n"))
                        r = -EBADMSG;
                if (r < 0 && r != -ENOENT) {
                        secret_manager_fail(manager, -EACCES, "%s can't be read: %s", parts[i].reference, strerror(-r));
                        return r;
                }
        }
        return credentials->key.id && credentials->key.secret;
}

void aws_credentials_get(SecretManager *manager, void (*ready)(SecretManager *manager)) {
        const char *relative = getenv("AWS_CONTAINER_CREDENTIALS_RELATIVE_URI");
        const char *full = getenv("AWS_CONTAINER_CREDENTIALS_FULL_URI");
        AwsCredentials *credentials = manager->state;
        int r;

        credentials->ready = ready;
        if (credentials->until > time_now_realtime()) {
                ready(manager);
                return;
        }
        aws_credentials_drop(credentials);
        r = take_named_key(manager);
        if (r > 0)
                ready(manager);
        if (r != 0)
                return;
        if (!text_empty(relative)) {
                _cleanup_free_ char *url = text_format(CONTAINER_HOST "%s%s", relative[0] == '/' ? "" : "/", relative);

                if (url)
                        ask_container(manager, url);
                else
                        secret_manager_fail(manager, -ENOMEM, "memory is short");
        } else if (!text_empty(full))
                ask_container(manager, full);
        else
                ask_instance(manager);
}

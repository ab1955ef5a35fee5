#include "secrets/aws-signature.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "base/buffer.h"
#include "base/hash.h"
#include "base/text.h"
#include "conf/conf.h"

#define DAY_CHARS 8 /* of the time: "20150830" */

void aws_key_done(AwsKey *key) {
        key->id = secret_free(key->id);
        key->secret = secret_free(key->secret);
        key->session_token = secret_free(key->session_token);
}

void aws_format_time(usec_t realtime, char ret[static AWS_TIME_MAX]) {
        time_t seconds = (time_t) (realtime / USEC_PER_SEC);
        struct tm tm;

        (void) gmtime_r(&seconds, &tm);
        (void) strftime(ret, AWS_TIME_MAX, "%Y%m%dT%H%M%SZ", &tm);
}

/* "host;x-amz-date" */
static char *list_headers(const AwsRequest *request) {
        _cleanup_(buffer_done) Buffer names = {};

        for (const char *const *header = request->headers; *header; header++)
                if (buffer_printf(&names, "%s%.*s", names.size > 0 ? ";" : "", (int) strcspn(*header, ":"), *header) < 0)
                        return NULL;
        return buffer_take_text(&names);
}

/* The hash of the canonical request. */
static int hash_request(const AwsRequest *request, const char *names, char ret[static SHA256_TEXT_MAX]) {
        _cleanup_(buffer_done) Buffer text = {};
        char body[SHA256_TEXT_MAX];
        int r;

        r = sha256_text(request->body, strlen(request->body), body);
        if (r >= 0)
                r = buffer_printf(&text, "%s\n%s\n%s\n", request->method, request->path, request->query);
        for (const char *const *header = request->headers; *header && r >= 0; header++)
                r = buffer_printf(&text, "%s\n", *header);
        if (r >= 0)
                r = buffer_printf(&text, "\n%s\n%s", names, body);
        return r < 0 ? r : sha256_text(text.data, text.size, ret);
}

/* HMAC in HMAC: each step's result is the key of the next one. */
static int derive_key(const AwsRequest *request, const AwsKey *key, const char *time, uint8_t ret[static SHA256_BYTES]) {
        _cleanup_(secret_freep) char *first = text_format("AWS4%s", key->secret);
        const struct {
                const char *text;
                size_t size;
        } steps[] = {
                { request->region, strlen(request->region) },
                { request->service, strlen(request->service) },
                { "aws4_request", strlen("aws4_request") },
        };
        int r;

        if (!first)
                return -ENOMEM;
        r = hmac_sha256(first, strlen(first), time, DAY_CHARS, ret);
        for (size_t i = 0; i < ELEMENTS(steps) && r >= 0; i++) {
                uint8_t previous[SHA256_BYTES];

                memcpy(previous, ret, sizeof(previous));
                r = hmac_sha256(previous, sizeof(previous), steps[i].text, steps[i].size, ret);
                explicit_bzero(previous, sizeof(previous));
        }
        return r;
}

char *aws_sign(const AwsRequest *request, const AwsKey *key, const char time[static AWS_TIME_MAX]) {
        _cleanup_free_ char *names = list_headers(request), *scope = NULL, *text = NULL;
        char hash[SHA256_TEXT_MAX], signature[SHA256_TEXT_MAX];
        uint8_t derived[SHA256_BYTES], digest[SHA256_BYTES];
        int r;

        if (!names || hash_request(request, names, hash) < 0)
                return NULL;
        scope = text_format("%.*s/%s/%s/aws4_request", DAY_CHARS, time, request->region, request->service);
        text = scope ? text_format("AWS4-HMAC-SHA256\n%s\n%s\n%s", time, scope, hash) : NULL;
        if (!text)
                return NULL;
        r = derive_key(request, key, time, derived);
        if (r >= 0)
                r = hmac_sha256(derived, sizeof(derived), text, strlen(text), digest);
        explicit_bzero(derived, sizeof(derived));
        if (r < 0)
                return NULL;
        sha256_format(digest, signature);
        return text_format("AWS4-HMAC-SHA256 Credential=%s/%s, SignedHeaders=%s, Signature=%s", key->id, scope, names,
                           signature);
}

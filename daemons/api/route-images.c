/* GET and HEAD /v1/images/SHA256.FORMAT: a stored image, which never changes. With `expires` and `signature` in the query
 * those decide whether it is shown, and no key does. */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "base/fd.h"
#include "base/hash.h"
#include "base/text.h"
#include "exchange.h"
#include "http-range.h"
#include "signed-link.h"

#define OPEN_DEADLINE_USEC (30 * USEC_PER_SEC)
#define ETAG_BYTES_MAX (SHA256_TEXT_MAX + 2)

typedef struct ImageName {
        char sha256[SHA256_TEXT_MAX];
        char etag[ETAG_BYTES_MAX];
        const char *format;
        const char *content_type;
} ImageName;

/* "SHA256.FORMAT" */
static bool parse_name(const char *text, ImageName *ret) {
        static const char *const types[][2] = {
                { "png", "image/png" },
                { "jpeg", "image/jpeg" },
                { "webp", "image/webp" },
        };
        size_t digits = SHA256_TEXT_MAX - 1;

        if (strlen(text) <= digits || text[digits] != '.')
                return false;
        memcpy(ret->sha256, text, digits);
        ret->sha256[digits] = '\0';
        (void) snprintf(ret->etag, sizeof(ret->etag), "\"%s\"", ret->sha256);

        for (size_t i = 0; i < ELEMENTS(types); i++)
                if (text_equal(types[i][0], text + digits + 1)) {
                        ret->format = types[i][0];
                        ret->content_type = types[i][1];
                        return sha256_text_valid(ret->sha256);
                }
        return false;
}

static int build_open(HttpRequest *request, JsonValue *parameters, _unused_ JsonValue *prepared) {
        ImageName name = {};
        int r;

        if (!parse_name(http_request_match(request)->argument, &name))
                return -EINVAL;
        r = json_add_string(parameters, "sha256", name.sha256);
        if (r >= 0)
                r = json_add_string(parameters, "format", name.format);
        if (r >= 0 && signed_link_is_shown(http_request_uri(request)))
                r = signed_link_add(http_request_uri(request), parameters);
        return r;
}

static int answer_unsatisfiable(uint64_t size, HttpReply **ret) {
        _cleanup_(http_reply_freep) HttpReply *reply = NULL;
        char field[64];
        ApiError error;
        int r;

        api_error_set(&error, 416, ERROR_TYPE_REQUEST, "range_not_satisfiable", NULL, "The image has only %llu bytes.",
                      (unsigned long long) size);
        (void) snprintf(field, sizeof(field), "bytes */%llu", (unsigned long long) size);
        r = http_reply_new_error(&reply, &error);
        if (r >= 0)
                r = http_reply_add_header(reply, MHD_HTTP_HEADER_CONTENT_RANGE, field);
        if (r < 0)
                return r;

        *ret = TAKE_PTR(reply);
        return 0;
}

/* Range counts for GET alone, and under If-Range only for the very image that it names. */
static HttpRange range_of(const HttpRequest *request, const ImageName *name, uint64_t size, uint64_t *ret_start,
                          uint64_t *ret_length) {
        const char *condition = http_request_header(request, MHD_HTTP_HEADER_IF_RANGE);

        *ret_start = 0;
        *ret_length = size;
        if (!text_equal(http_request_method(request), "GET") ||
            (condition && !http_etag_listed(condition, name->etag, false)))
                return HTTP_RANGE_WHOLE;
        return http_range_parse(http_request_header(request, MHD_HTTP_HEADER_RANGE), size, ret_start, ret_length);
}

static int add_validators(HttpReply *reply, const HttpRequest *request, const ImageName *name) {
        char cache[SIGNED_LINK_CACHE_MAX];
        int r;

        signed_link_format_cache(http_request_uri(request), time_now_realtime(), cache);
        r = http_reply_add_header(reply, MHD_HTTP_HEADER_ETAG, name->etag);
        return r < 0 ? r : http_reply_add_header(reply, MHD_HTTP_HEADER_CACHE_CONTROL, cache);
}

static int answer_bytes(const HttpRequest *request, const ImageName *name, int fd, uint64_t size, HttpReply **ret) {
        _cleanup_(http_reply_freep) HttpReply *reply = NULL;
        _cleanup_close_ int owned = fd;
        uint64_t start, length;
        char field[96];
        HttpRange range;
        int r;

        range = range_of(request, name, size, &start, &length);
        if (range == HTTP_RANGE_UNSATISFIABLE)
                return answer_unsatisfiable(size, ret);

        r = http_reply_new_file(&reply, range == HTTP_RANGE_PART ? MHD_HTTP_PARTIAL_CONTENT : MHD_HTTP_OK,
                                name->content_type, TAKE_FD(owned), start, length);
        if (r >= 0 && range == HTTP_RANGE_PART) {
                (void) snprintf(field, sizeof(field), "bytes %llu-%llu/%llu", (unsigned long long) start,
                                (unsigned long long) (start + length - 1), (unsigned long long) size);
                r = http_reply_add_header(reply, MHD_HTTP_HEADER_CONTENT_RANGE, field);
        }
        if (r >= 0)
                r = http_reply_add_header(reply, MHD_HTTP_HEADER_ACCEPT_RANGES, "bytes");
        if (r >= 0)
                r = add_validators(reply, request, name);
        if (r < 0)
                return r;

        *ret = TAKE_PTR(reply);
        return 0;
}

/* Made from the whole image, whose length a 304 names (RFC 9110, 8.6); libmicrohttpd leaves the bytes out. */
static int answer_unchanged(const HttpRequest *request, const ImageName *name, int fd, uint64_t size,
                            HttpReply **ret) {
        _cleanup_(http_reply_freep) HttpReply *reply = NULL;
        int r;

        r = http_reply_new_file(&reply, MHD_HTTP_NOT_MODIFIED, NULL, fd, 0, size);
        if (r >= 0)
                r = add_validators(reply, request, name);
        if (r < 0)
                return r;

        *ret = TAKE_PTR(reply);
        return 0;
}

static int answer_image(_unused_ ApiManager *manager, HttpRequest *request, const VarlinkReply *reply,
                        HttpReply **ret) {
        const char *known = http_request_header(request, MHD_HTTP_HEADER_IF_NONE_MATCH);
        ImageName name = {};
        struct stat st;

        if (reply->n_fds != 1 || !parse_name(http_request_match(request)->argument, &name))
                return -EBADMSG;
        if (fstat(reply->fds[0], &st) < 0)
                return -errno;

        if (http_etag_listed(known, name.etag, true))
                return answer_unchanged(request, &name, TAKE_FD(reply->fds[0]), (uint64_t) st.st_size, ret);
        return answer_bytes(request, &name, TAKE_FD(reply->fds[0]), (uint64_t) st.st_size, ret);
}

static const ExchangeKind open_image = {
        .method = { "io.atelier.Store.Open", .deadline = OPEN_DEADLINE_USEC },
        .build = build_open,
        .answer = answer_image,
};

void route_get_image(ApiManager *manager, HttpRequest *request) {
        ImageName name = {};
        ApiError error;

        if (parse_name(http_request_match(request)->argument, &name)) {
                exchange_start(manager, request, &open_image, NULL);
                return;
        }
        api_error_set(&error, 404, ERROR_TYPE_REQUEST, "image_not_found", NULL, "No such image.");
        http_request_answer_error(request, &error);
}

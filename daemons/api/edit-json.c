/* The problem: a body of JSON whose pictures are base64 inside of it, hundreds of megabytes perhaps.
 *
 * The model: bytes are collected, up to EDIT_TEXT_BYTES_MAX, but for the base64 of a string that is the value of a member
 * "image_url" and begins as a data URL: that is decoded to the spool as it comes, and a mark of ours stands for it in what
 * is collected. At the end that is parsed, strictly, and each mark must be found where a picture may be, once. So what
 * is followed on the way needs not be judged: only strings are told from what is between them, and the last of them that
 * a colon follows. */
#include "edit-json.h"

#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/base64.h"
#include "base/buffer.h"
#include "base/text.h"
#include "image-request.h"

#define KEY "image_url"
#define SCHEME "data:"
#define ENCODING ";base64"
#define EXPECTED "expected image_url with a data URL: data:image/png;base64,…"
#define URL_HEAD_BYTES_MAX 128 /* of a data URL, before its comma */
#define MARK_BYTES_MAX 96
#define DECODE_CHARS 8192

typedef enum State {
        STATE_BETWEEN, /* strings */
        STATE_STRING,
        STATE_URL_HEAD, /* a string that may become a data URL */
        STATE_BASE64,
} State;

struct EditJson {
        UploadSpool *spool;
        const char *nonce;
        Buffer text;
        State state;
        bool escaped; /* the byte before was a backslash that counts */
        char last[sizeof(KEY) + 1]; /* the beginning of the last string */
        size_t last_size;
        bool is_value; /* a colon came after it */
        size_t head_start; /* of the URL, in text */
        Base64Decoder decoder;
};

int edit_json_new(EditJson **ret, UploadSpool *spool, const char *nonce) {
        EditJson *json = calloc(1, sizeof(*json));

        if (!json)
                return -ENOMEM;
        json->spool = spool;
        json->nonce = nonce;
        json->text.size_max = EDIT_TEXT_BYTES_MAX;
        *ret = json;
        return 0;
}

EditJson *edit_json_free(EditJson *json) {
        if (!json)
                return NULL;
        buffer_done(&json->text);
        free(json);
        return NULL;
}

static int refuse(ApiError *error, unsigned status, const char *code, const char *param, const char *message) {
        api_error_set(error, status, ERROR_TYPE_REQUEST, code, param, "%s", message);
        return EDIT_REFUSED;
}

/* ---------------------------------------------------------------- following */

static int collect(EditJson *json, const char *data, size_t size, ApiError *error) {
        int r = buffer_append(&json->text, data, size);

        return r == -EMSGSIZE ? refuse(error, 413, "body_too_large", NULL,
                                       "The body, its pictures apart, is larger than 524288 bytes.")
                              : r;
}

static void begin_string(EditJson *json) {
        bool is_url = json->is_value && json->last_size == strlen(KEY) && memcmp(json->last, KEY, strlen(KEY)) == 0;

        json->state = is_url ? STATE_URL_HEAD : STATE_STRING;
        json->head_start = json->text.size;
        json->last_size = 0;
        json->is_value = false;
        json->escaped = false;
}

static void follow_between(EditJson *json, char c) {
        if (c == '"')
                begin_string(json);
        else if (c == ':')
                json->is_value = true;
        else if (!isspace((unsigned char) c))
                json->is_value = false;
}

/* True at its end. */
static bool follow_string(EditJson *json, char c) {
        if (!json->escaped && c == '"') {
                json->state = STATE_BETWEEN;
                return true;
        }
        json->escaped = !json->escaped && c == '\\';
        if (json->last_size < sizeof(json->last))
                json->last[json->last_size++] = c;
        return false;
}

static size_t mark(const EditJson *json, size_t index, char text[static MARK_BYTES_MAX]) {
        return (size_t) snprintf(text, MARK_BYTES_MAX, "%s picture %zu", json->nonce, index);
}

/* The comma has come: what was collected of the URL becomes the mark. */
static int begin_picture(EditJson *json, ApiError *error) {
        char text[MARK_BYTES_MAX];
        int r;

        r = upload_spool_begin(json->spool, error);
        if (r != 0)
                return r;
        json->text.size = json->head_start;
        json->decoder = (Base64Decoder){};
        json->state = STATE_BASE64;
        return collect(json, text, mark(json, upload_spool_count(json->spool) - 1, text), error);
}

static bool is_data_url(const EditJson *json) {
        const char *head = (const char *) json->text.data + json->head_start;
        size_t size = json->text.size - json->head_start;

        return size >= strlen(SCHEME) + strlen(ENCODING) && memcmp(head, SCHEME, strlen(SCHEME)) == 0 &&
               memcmp(head + size - strlen(ENCODING), ENCODING, strlen(ENCODING)) == 0;
}

/* What turns out to be another string is collected as it is. */
static int follow_url_head(EditJson *json, char c, ApiError *error) {
        if (c == ',' && is_data_url(json))
                return begin_picture(json, error);
        if (json->text.size - json->head_start >= URL_HEAD_BYTES_MAX)
                json->state = STATE_STRING;
        (void) follow_string(json, c);
        return collect(json, &c, 1, error);
}

static int decode(EditJson *json, const char *text, size_t size, ApiError *error) {
        uint8_t data[DECODE_CHARS / 4 * 3 + 3];
        ssize_t n;
        int r;

        n = base64_decode(&json->decoder, text, size, data);
        if (n < 0)
                return refuse(error, 400, "invalid_base64", "image_url", "The base64 of an image_url is wrong.");
        r = n > 0 ? upload_spool_write(json->spool, data, (size_t) n, error) : 0;
        return r > 0 ? EDIT_REFUSED : r;
}

static int end_picture(EditJson *json, ApiError *error) {
        size_t last = upload_spool_count(json->spool) - 1;

        if (base64_decode_finish(&json->decoder) < 0 || upload_spool_size(json->spool, last) == 0)
                return refuse(error, 400, "invalid_base64", "image_url", "The base64 of an image_url is cut short.");
        json->state = STATE_BETWEEN;
        return collect(json, "\"", 1, error);
}

/* Some write JSON with "\/" for "/". Returns the bytes consumed. */
static size_t follow_base64(EditJson *json, const char *text, size_t size, int *ret, ApiError *error) {
        size_t n = 0;

        if (json->escaped || *text == '\\') {
                json->escaped = !json->escaped;
                if (json->escaped)
                        return 1;
                *ret = *text == '/' ? decode(json, text, 1, error)
                                    : refuse(error, 400, "invalid_base64", "image_url",
                                             "The base64 of an image_url is wrong.");
                return 1;
        }
        if (*text == '"') {
                *ret = end_picture(json, error);
                return 1;
        }
        while (n < size && n < DECODE_CHARS && text[n] != '"' && text[n] != '\\')
                n++;
        *ret = decode(json, text, n, error);
        return n;
}

/* Strings and what is between them: as many bytes as stay in one state. */
static size_t follow_text(EditJson *json, const char *text, size_t size, int *ret, ApiError *error) {
        size_t n = 0;

        for (bool over = false; n < size && !over; n++)
                if (json->state == STATE_STRING)
                        over = follow_string(json, text[n]);
                else {
                        follow_between(json, text[n]);
                        over = json->state != STATE_BETWEEN;
                }
        *ret = collect(json, text, n, error);
        json->head_start = json->text.size;
        return n;
}

int edit_json_write(EditJson *json, const void *data, size_t size, ApiError *error) {
        const char *text = data;
        int r = 0;

        while (size > 0 && r == 0) {
                size_t n = 1;

                if (json->state == STATE_URL_HEAD)
                        r = follow_url_head(json, *text, error);
                else if (json->state == STATE_BASE64)
                        n = follow_base64(json, text, size, &r, error);
                else
                        n = follow_text(json, text, size, &r, error);
                text += n;
                size -= n;
        }
        return r;
}

/* ---------------------------------------------------------------- the tree */

/* The spool's number of the picture that the reference stands for. */
static int read_reference(const EditJson *json, const JsonValue *reference, const char *param, size_t *ret,
                          ApiError *error) {
        const char *url = json_get_string(reference, KEY);
        char text[MARK_BYTES_MAX];

        for (size_t i = 0; url && i < upload_spool_count(json->spool); i++) {
                (void) mark(json, i, text);
                if (text_equal(url, text) && cJSON_GetArraySize(reference) == 1) {
                        *ret = i;
                        return 0;
                }
        }
        return refuse(error, 400, "invalid_value", param,
                      json_has(reference, "file_id")
                              ? "A file_id is not known here; " EXPECTED
                              : "Links are not fetched; " EXPECTED);
}

static int read_images(const EditJson *json, const JsonValue *body, ApiError *error) {
        const JsonValue *images = json_get_array(body, "images");
        size_t index;
        int r = 0;

        if (!images || !images->child)
                return refuse(error, 400, "missing_required_parameter", "images",
                              "Missing required parameter: 'images', an array of objects with image_url.");
        for (const JsonValue *image = images->child; image && r == 0; image = image->next)
                r = read_reference(json, image, "images", &index, error);
        return r;
}

static int read_mask(const EditJson *json, const JsonValue *body, ApiError *error) {
        size_t index;
        int r;

        if (!json_has(body, "mask"))
                return 0;
        r = read_reference(json, json_member(body, "mask"), "mask", &index, error);
        if (r == 0)
                upload_spool_set_mask(json->spool, index);
        return r;
}

/* A picture that stands elsewhere is a member that nobody knows. */
static int check_all_found(const EditJson *json, const JsonValue *body, ApiError *error) {
        size_t found = (size_t) cJSON_GetArraySize(json_get_array(body, "images")) + json_has(body, "mask");

        return found == upload_spool_count(json->spool)
                       ? 0
                       : refuse(error, 400, "unknown_parameter", KEY,
                                "Unknown parameter: 'image_url', but in images and mask.");
}

int edit_json_finish(EditJson *json, JsonValue **ret, ApiError *error) {
        _cleanup_(json_freep) JsonValue *body = NULL;
        int r;

        if (json->state != STATE_BETWEEN)
                return refuse(error, 400, NULL, NULL, "The body is not valid JSON: it ends in a string.");
        r = image_request_parse_object((const char *) json->text.data, json->text.size, &body, error);
        if (r == 0)
                r = read_images(json, body, error);
        if (r == 0)
                r = read_mask(json, body, error);
        if (r == 0)
                r = check_all_found(json, body, error);
        if (r != 0)
                return MIN(r, EDIT_REFUSED);

        cJSON_DeleteItemFromObjectCaseSensitive(body, "images");
        cJSON_DeleteItemFromObjectCaseSensitive(body, "mask");
        *ret = TAKE_PTR(body);
        return 0;
}

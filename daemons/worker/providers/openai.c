/* OpenAI's images API, and every server that speaks it: POST {base_url}/images/generations, without streaming.
 *
 * Money hangs on how an attempt is told to have ended. Completed: the reply held as many whole images as were asked
 * for, of the size asked for. Refused: the provider itself said no, in an error it wrote. Unsent: no byte left.
 * Everything else is unknown: it was sent, and what came back is no answer or not what was paid for.
 *
 * What a provider writes is passed on only with its secrets masked. */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "base/buffer.h"
#include "base/text.h"
#include "provider-kind.h"
#include "reply-sink.h"
#include "upstream-error.h"
#include "upstream-headers.h"

#define CHECK_TIMEOUT (5 * USEC_PER_SEC)
#define CHECK_BYTES_MAX (4 * 1024 * 1024)     /* of GET /models, which nobody reads */
#define IMAGE_BASE64_BYTES_MAX (((uint64_t) IMAGE_BYTES_MAX + 2) / 3 * 4)
#define REQUEST_ID_BYTES_MAX 128

typedef struct OpenaiGeneration {
        Generation generation;
        HttpTransfer *transfer;
        unsigned n_images, width, height;

        ReplySink *sink;           /* of a reply with status 2xx */
        int sink_error;            /* of the sink, so that it is not taken for one of the wire */
        Buffer refusal;            /* body of any other; its beginning */
        char *request_id;
        UpstreamHeaders headers;
} OpenaiGeneration;

static OpenaiGeneration *openai_generation_free(OpenaiGeneration *generation) {
        if (!generation)
                return NULL;
        (void) reply_sink_free(generation->sink);
        buffer_done(&generation->refusal);
        free(generation->request_id);
        free(generation);
        return NULL;
}
DEFINE_CLEANUP(OpenaiGeneration *, openai_generation_free);

static bool is_success(long status) {
        return status >= 200 && status < 300;
}

static int format_request(const GenerationRequest *request, char **ret) {
        _cleanup_(json_freep) JsonValue *body = NULL;
        int r;

        body = json_new_object();
        if (!body)
                return -ENOMEM;

        /* A text that is NULL adds nothing: what was not given is not sent. */
        if ((r = json_add_string(body, "model", request->model)) < 0 ||
            (r = json_add_string(body, "prompt", request->prompt)) < 0 ||
            (r = json_add_integer(body, "n", request->n)) < 0 ||
            (r = json_add_string(body, "size", request->size)) < 0 ||
            (r = json_add_string(body, "quality", request->quality)) < 0 ||
            (r = json_add_string(body, "style", request->style)) < 0 ||
            (r = json_add_string(body, "background", request->background)) < 0 ||
            (r = json_add_string(body, "moderation", request->moderation)) < 0 ||
            (r = json_add_string(body, "output_format", request->output_format)) < 0 ||
            (r = json_add_string(body, "user", request->user)) < 0)
                return r;
        if (request->output_compression >= 0)
                r = json_add_integer(body, "output_compression", request->output_compression);
        if (r >= 0 && request->send_response_format)
                r = json_add_string(body, "response_format", "b64_json");
        if (r < 0)
                return r;

        *ret = json_format(body);
        return *ret ? 0 : -ENOMEM;
}

/* Starts a request with the key in its header, and wipes our copy of it. */
static int start_request(Provider *provider, HttpRequest *request, const char *path, const HttpHandlers *handlers,
                         void *userdata, HttpTransfer **ret) {
        const char *headers[] = { "Accept: application/json", "Content-Type: application/json", NULL, NULL };
        _cleanup_free_ char *url = NULL, *authorization = NULL;
        int r;

        url = text_format("%s%s", provider->base_url, path);
        if (!url)
                return -ENOMEM;
        if (provider->key) {
                authorization = text_format("Authorization: Bearer %s", provider->key);
                if (!authorization)
                        return -ENOMEM;
                headers[2] = authorization;
        }

        request->url = url;
        request->headers = headers;
        request->connect_timeout = provider->connect_timeout;
        r = http_client_start(provider->context.http, request, handlers, userdata, ret);
        if (authorization)
                explicit_bzero(authorization, strlen(authorization));
        return r;
}

static void on_header(_unused_ HttpTransfer *transfer, const char *name, const char *value, void *userdata) {
        OpenaiGeneration *generation = userdata;

        if (text_equal(name, "x-request-id") && !generation->request_id && strlen(value) <= REQUEST_ID_BYTES_MAX)
                generation->request_id = upstream_text_copy(value, generation->generation.provider->key);
        upstream_headers_take(&generation->headers, name, value, time_now_realtime());
}

static int on_body(HttpTransfer *transfer, const void *data, size_t size, void *userdata) {
        OpenaiGeneration *generation = userdata;

        if (is_success(http_transfer_status(transfer))) {
                generation->sink_error = reply_sink_write(generation->sink, data, size);
                return generation->sink_error;
        }

        size = MIN(size, (size_t) UPSTREAM_ERROR_BYTES_MAX - generation->refusal.size);
        return buffer_append(&generation->refusal, data, size);
}

static void fail_bad_reply(GenerationResult *result, const char *why) {
        generation_result_fail(result, GENERATION_UNKNOWN, 502, "server_error", "provider_bad_reply",
                               "The provider's reply could not be used.");
        generation_result_set_cause(result, "bad reply: %s", why);
}

/* The wire failed, or somebody cancelled, before there was an answer. */
static void fail_transfer(GenerationResult *result, const HttpResult *http) {
        GenerationOutcome outcome = http->sent ? GENERATION_UNKNOWN : GENERATION_UNSENT;

        if (http->error == -ECANCELED)
                generation_result_fail(result, outcome, 500, "server_error", "cancelled", "The job was cancelled.");
        else if (http->error == -ETIMEDOUT)
                generation_result_fail(result, outcome, 504, "server_error", "provider_timeout",
                                       "The provider did not answer in time.");
        else if (!http->sent)
                generation_result_fail(result, outcome, 502, "server_error", "provider_unavailable",
                                       "The provider cannot be reached.");
        else
                generation_result_fail(result, outcome, 502, "server_error", "provider_bad_reply",
                                       "The provider's reply could not be used.");
        generation_result_set_cause(result, "%s", http->message);
}

static void fail_sink(GenerationResult *result, const ReplySink *sink, int error) {
        if (error == -EBADMSG)
                fail_bad_reply(result, reply_sink_reason(sink));
        else
                generation_result_fail_locally(result, GENERATION_UNKNOWN, error);
}

/* Takes the image of data[i]. NULL, or why it cannot be used. */
static const char *take_image(OpenaiGeneration *generation, const JsonValue *item, GeneratedImage *image) {
        const JsonValue *b64_json = json_member(item, "b64_json");
        const char *revised = json_get_string(item, "revised_prompt");
        const ImageFacts *facts;

        image->file = reply_sink_take_image(generation->sink, b64_json);
        if (!image->file)
                return json_get_string(item, "url") ? "an image by URL, which is not fetched" : "an image is missing";

        facts = temporary_image_facts(image->file);
        if (generation->width > 0 && (facts->width != generation->width || facts->height != generation->height))
                return "an image of another size than asked for";
        if (revised) {
                image->revised_prompt = strdup(revised);
                if (!image->revised_prompt)
                        return "no memory";
        }
        return NULL;
}

static const char *take_images(OpenaiGeneration *generation, const JsonValue *reply, GenerationResult *result) {
        const JsonValue *data = json_get_array(reply, "data");

        if (!data)
                return json_has(reply, "error") ? "an error with a status of success" : "no member data";
        if ((unsigned) cJSON_GetArraySize(data) != generation->n_images)
                return "another number of images than asked for";

        for (const JsonValue *item = data->child; item; item = item->next) {
                const char *problem = take_image(generation, item, &result->images[result->n_images++]);

                if (problem)
                        return problem;
        }
        return NULL;
}

/* What the reply tells about the images; usage goes by itself. */
#define USAGE_BYTES_MAX 4096  /* what is longer is no account of tokens */

static bool is_short(const JsonValue *value) {
        _cleanup_free_ char *text = json_format(value);

        return text && strlen(text) <= USAGE_BYTES_MAX;
}

static int take_facts(JsonValue *reply, GenerationResult *result) {
        static const char *const names[] = { "background", "output_format", "size", "quality" };
        int r = 0;

        result->reply = json_new_object();
        if (!result->reply)
                return -ENOMEM;
        for (size_t i = 0; i < ELEMENTS(names) && r >= 0; i++)
                r = json_add_string(result->reply, names[i], json_get_string(reply, names[i]));
        if (json_get_object(reply, "usage"))
                result->usage = cJSON_DetachItemFromObjectCaseSensitive(reply, "usage");
        if (r >= 0 && result->usage && !is_short(result->usage))
                result->usage = json_free(result->usage);
        return r;
}

static void drop_images(GenerationResult *result) {
        for (unsigned i = 0; i < result->n_images; i++) {
                result->images[i].file = temporary_image_free(result->images[i].file);
                free(result->images[i].revised_prompt);
                result->images[i].revised_prompt = NULL;
        }
        result->n_images = 0;
}

static void read_reply(OpenaiGeneration *generation, GenerationResult *result) {
        _cleanup_(json_freep) JsonValue *reply = NULL;
        const char *problem;
        int r;

        r = reply_sink_finish(generation->sink, &reply);
        if (r < 0) {
                fail_sink(result, generation->sink, r);
                return;
        }

        problem = take_images(generation, reply, result);
        if (problem)
                fail_bad_reply(result, problem);
        else {
                r = take_facts(reply, result);
                if (r < 0)
                        generation_result_fail_locally(result, GENERATION_UNKNOWN, r);
                else
                        result->outcome = GENERATION_COMPLETED;
        }
        if (result->outcome != GENERATION_COMPLETED)
                drop_images(result);
}

static void on_done(_unused_ HttpTransfer *transfer, const HttpResult *http, void *userdata) {
        _cleanup_(openai_generation_freep) OpenaiGeneration *generation = userdata;
        const char *key = generation->generation.provider->key;
        GenerationResult result = {};

        if (generation->sink_error < 0)
                fail_sink(&result, generation->sink, generation->sink_error);
        else if (http->error == 0 && is_success(http->status))
                read_reply(generation, &result);
        else if (http->status >= 300 && http->error != -ECANCELED)  /* said, if not to its end */
                upstream_error_read(&result, http->status, (const char *) generation->refusal.data,
                                    generation->refusal.size, key);
        else
                fail_transfer(&result, http);

        result.provider_request_id = TAKE_PTR(generation->request_id);
        result.http_status = (int) http->status;
        upstream_headers_give(&generation->headers, &result);
        generation->generation.done(&result, generation->generation.userdata);
        generation_result_done(&result);
}

static int openai_generate(Provider *provider, const GenerationRequest *request, GenerationDone done, void *userdata,
                           Generation **ret) {
        static const HttpHandlers handlers = { .header = on_header, .body = on_body, .done = on_done };
        _cleanup_(openai_generation_freep) OpenaiGeneration *generation = NULL;
        _cleanup_free_ char *body = NULL;
        int r;

        generation = calloc(1, sizeof(*generation));
        if (!generation)
                return -ENOMEM;
        generation->generation = (Generation) { provider, done, userdata };
        generation->n_images = request->n;
        generation->width = request->width;
        generation->height = request->height;

        r = reply_sink_new(&generation->sink, provider->context.images, request->n);
        if (r < 0)
                return r;
        r = format_request(request, &body);
        if (r < 0)
                return r;

        r = start_request(provider,
                          &(HttpRequest) {
                                  .method = "POST",
                                  .body = body,
                                  .body_size = strlen(body),
                                  .timeout = request->timeout,
                                  .body_bytes_max = request->n * IMAGE_BASE64_BYTES_MAX + REPLY_TEXT_BYTES_MAX,
                          },
                          "/images/generations", &handlers, generation, &generation->transfer);
        if (r < 0)
                return r;

        *ret = &TAKE_PTR(generation)->generation;
        return 0;
}

static void openai_cancel(Generation *generation) {
        http_transfer_cancel(CONTAINER_OF(generation, OpenaiGeneration, generation)->transfer);
}

static void on_checked(_unused_ HttpTransfer *transfer, const HttpResult *http, void *userdata) {
        Provider *provider = userdata;
        char message[sizeof(http->message) + 32];

        provider->check = NULL;
        if (http->error < 0)
                (void) snprintf(message, sizeof(message), "no answer: %s", http->message);
        else if (http->status == 401 || http->status == 403)
                (void) snprintf(message, sizeof(message), "the key is refused (HTTP %ld)", http->status);
        else
                (void) snprintf(message, sizeof(message), "HTTP %ld", http->status);
        provider_checked(provider, http->error == 0 && is_success(http->status) ? NULL : message);
}

static int openai_check(Provider *provider) {
        static const HttpHandlers handlers = { .done = on_checked };
        HttpRequest request = { .method = "GET", .timeout = CHECK_TIMEOUT, .body_bytes_max = CHECK_BYTES_MAX };
        HttpTransfer *transfer;
        int r;

        r = start_request(provider, &request, "/models", &handlers, provider, &transfer);
        if (r >= 0)
                provider->check = transfer;
        return r;
}

static void openai_cancel_check(Provider *provider) {
        http_transfer_cancel(provider->check);
}

const ProviderKind provider_kind_openai = {
        .name = "openai",
        .base_url = "https://api.openai.com/v1",
        .paid = true,
        .generate = openai_generate,
        .cancel = openai_cancel,
        .check = openai_check,
        .cancel_check = openai_cancel_check,
};

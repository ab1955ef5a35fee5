/* OpenAI's images API, and every server that speaks it: POST {base_url}/images/generations, and with files to be worked on
 * POST {base_url}/images/edits (openai-edit.c), with and without `stream`.
 *
 * Money hangs on how an attempt is told to have ended. Completed: the reply held as many whole images as were asked
 * for, of the size asked for. Refused: the provider itself said no, in an error it wrote. Unsent: no byte left.
 * Everything else is unknown: it was sent, and what came back is no answer or not what was paid for.
 *
 * A server that was asked for a stream and cannot give one answers with JSON: the type of the answer decides how it is
 * read. A stream is over with its completed event, whatever becomes of the connection then.
 *
 * What a provider writes is passed on only with its secrets masked. */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "base/buffer.h"
#include "base/text.h"
#include "providers/image-events.h"
#include "providers/openai-dialect.h"
#include "providers/openai-edit.h"
#include "providers/provider-kind.h"
#include "providers/upstream-error.h"
#include "providers/upstream-headers.h"

#define CHECK_TIMEOUT (5 * USEC_PER_SEC)
#define CHECK_BYTES_MAX (4 * 1024 * 1024)     /* of GET /models, which nobody reads */
#define IMAGE_BASE64_BYTES_MAX (((uint64_t) IMAGE_BYTES_MAX + 2) / 3 * 4)
#define REQUEST_ID_BYTES_MAX 128
#define STREAM_TEXT_BYTES_MAX (4 * REPLY_TEXT_BYTES_MAX)  /* events, comments and all, without the images */
#define STREAM_END_USEC USEC_PER_SEC          /* that a server has to end a stream, so that its connection lasts */

typedef struct OpenaiGeneration {
        Generation generation;
        const OpenaiDialect *dialect;
        HttpTransfer *transfer;
        unsigned n_images, width, height;
        ImageFormat format;        /* asked for; IMAGE_FORMAT_INVALID: none, or none that is kept to */

        bool is_stream;            /* the answer is one */
        ImageEvents *events;       /* of such a one; NULL: none was asked for */
        sd_event_source *end_timer;  /* after its completed event */
        ReplySink *sink;           /* of any other reply with status 2xx */
        int sink_error;            /* of either, so that it is not taken for one of the wire */
        Buffer refusal;            /* body of any other; its beginning */
        char *request_id;
        char cost[JSON_NUMBER_MAX];  /* as the reply tells it; "": it does not */
        UpstreamHeaders headers;
} OpenaiGeneration;

static OpenaiGeneration *openai_generation_free(OpenaiGeneration *generation) {
        if (!generation)
                return NULL;
        (void) sd_event_source_disable_unref(generation->end_timer);
        (void) image_events_free(generation->events);
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

/* A text that is NULL adds nothing: what was not given is not sent. */
int openai_add_terms(JsonValue *body, const GenerationRequest *request) {
        int r;

        if ((r = json_add_string(body, "model", request->model)) < 0 ||
            (r = json_add_string(body, "prompt", request->prompt)) < 0 ||
            (r = json_add_integer(body, "n", request->n)) < 0 ||
            (r = json_add_string(body, "quality", request->quality)) < 0 ||
            (r = json_add_string(body, "background", request->background)) < 0 ||
            (r = json_add_string(body, "output_format", request->output_format)) < 0)
                return r;
        if (request->output_compression >= 0)
                r = json_add_integer(body, "output_compression", request->output_compression);
        return r < 0 || !request->stream ? r : json_add_bool(body, "stream", true);
}

static int format_request(_unused_ const Provider *provider, const GenerationRequest *request, char **ret) {
        _cleanup_(json_freep) JsonValue *body = json_new_object();
        int r;

        if (!body)
                return -ENOMEM;
        if ((r = openai_add_terms(body, request)) < 0 ||
            (r = json_add_string(body, "size", request->size)) < 0 ||
            (r = json_add_string(body, "style", request->style)) < 0 ||
            (r = json_add_string(body, "moderation", request->moderation)) < 0 ||
            (r = json_add_string(body, "user", request->user)) < 0)
                return r;
        if (request->send_response_format)
                r = json_add_string(body, "response_format", "b64_json");
        if (r >= 0 && request->stream && request->partial_images > 0)
                r = json_add_integer(body, "partial_images", request->partial_images);
        if (r < 0)
                return r;

        *ret = json_format(body);
        return *ret ? 0 : -ENOMEM;
}

/* Without a value there is no such field. */
static int add_header(const char *headers[], size_t *n, const char *name, const char *value, char **field) {
        if (!value)
                return 0;
        *field = text_format("%s%s", name, value);
        if (!*field)
                return -ENOMEM;
        headers[(*n)++] = *field;
        return 0;
}

/* Starts a request with the key in its header, and wipes our copy of it. */
static int start_request(Provider *provider, HttpRequest *request, const char *path, const HttpHandlers *handlers,
                         void *userdata, HttpTransfer **ret) {
        const char *headers[6] = { "Accept: application/json" };
        _cleanup_free_ char *url = NULL, *authorization = NULL, *referer = NULL, *title = NULL;
        size_t n = 1;
        int r;

        if (request->n_parts == 0)
                headers[n++] = "Content-Type: application/json";
        url = text_format("%s%s", provider->base_url, path);
        r = url ? 0 : -ENOMEM;
        if (r >= 0)
                r = add_header(headers, &n, "Authorization: Bearer ", provider->key, &authorization);
        if (r >= 0)
                r = add_header(headers, &n, "HTTP-Referer: ", provider->app_url, &referer);
        if (r >= 0)
                r = add_header(headers, &n, "X-OpenRouter-Title: ", provider->app_title, &title);
        if (r < 0)
                return r;

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

        if ((text_equal(name, "x-request-id") || text_equal(name, "x-generation-id")) && !generation->request_id && strlen(value) <= REQUEST_ID_BYTES_MAX)
                generation->request_id = upstream_text_copy(value, generation->generation.key);
        upstream_headers_take(&generation->headers, name, value, time_now_realtime());
        if (text_equal(name, "content-type"))
                generation->is_stream = generation->events && image_events_is_type(value);
}

static int on_end_overdue(_unused_ sd_event_source *source, _unused_ uint64_t usec, void *userdata) {
        OpenaiGeneration *generation = userdata;

        http_transfer_cancel(generation->transfer);
        return 0;
}

/* The image is there: who does not end the stream by now holds up the answer for nothing. */
static int arm_end_timer(OpenaiGeneration *generation) {
        if (generation->end_timer || !image_events_completed(generation->events))
                return 0;
        return sd_event_add_time_relative(generation->generation.provider->context.event, &generation->end_timer,
                                          CLOCK_MONOTONIC, STREAM_END_USEC, 0, on_end_overdue, generation);
}

static int on_events(OpenaiGeneration *generation, const void *data, size_t size) {
        generation->sink_error = image_events_write(generation->events, data, size);
        return generation->sink_error < 0 ? generation->sink_error : arm_end_timer(generation);
}

static int on_body(HttpTransfer *transfer, const void *data, size_t size, void *userdata) {
        OpenaiGeneration *generation = userdata;

        if (is_success(http_transfer_status(transfer))) {
                if (generation->is_stream)
                        return on_events(generation, data, size);
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

static const char *check_size(const OpenaiGeneration *generation, const TemporaryImage *image) {
        const ImageFacts *facts = temporary_image_facts(image);

        if (generation->width > 0 && generation->dialect->layout != REPLY_CHAT && (facts->width != generation->width || facts->height != generation->height))
                return "an image of another size than asked for";
        return NULL;
}

static bool is_other_format(const OpenaiGeneration *generation, const TemporaryImage *image) {
        return generation->format != IMAGE_FORMAT_INVALID && temporary_image_facts(image)->format != generation->format;
}

/* Takes the image of data[i], or of images[i] of a chat. NULL, or why it cannot be used. */
static const char *take_image(OpenaiGeneration *generation, const JsonValue *item, GeneratedImage *image) {
        const JsonValue *text = generation->dialect->layout == REPLY_CHAT
                                        ? json_member(json_get_object(item, "image_url"), "url")
                                        : json_member(item, "b64_json");
        const char *revised = json_get_string(item, "revised_prompt"), *problem;

        image->file = reply_sink_take_image(generation->sink, text);
        if (!image->file)
                return json_get_string(item, "url") ? "an image by URL, which is not fetched" : "an image is missing";

        problem = check_size(generation, image->file);
        if (problem)
                return problem;
        image->other_format = is_other_format(generation, image->file);
        if (revised) {
                image->revised_prompt = strdup(revised);
                if (!image->revised_prompt)
                        return "no memory";
        }
        return NULL;
}

static const JsonValue *first_choice(const JsonValue *reply) {
        const JsonValue *choices = json_get_array(reply, "choices");

        return choices ? choices->child : NULL;
}

static const char *take_images(OpenaiGeneration *generation, const JsonValue *reply, GenerationResult *result) {
        const JsonValue *data = json_get_array(reply, "data");

        if (generation->dialect->layout == REPLY_CHAT) {
                data = json_get_array(json_get_object(first_choice(reply), "message"), "images");
                if (!data)
                        return "no image: the model answered with text";
        }
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
        int r;

        r = image_events_copy_facts(reply, &result->reply);
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

/* An error that came with a status of success: nothing was made, and so nothing was charged, unless it says so. */
static bool fail_by_error_in_success(OpenaiGeneration *generation, const JsonValue *reply, GenerationResult *result) {
        const JsonValue *source = json_has(first_choice(reply), "error") ? first_choice(reply) : reply;
        _cleanup_free_ char *body = NULL;
        micros_t cost;

        if (!json_has(source, "error"))
                return false;
        body = json_format(source);
        upstream_error_read(result, upstream_error_status(source), body ?: "", body ? strlen(body) : 0,
                            generation->generation.key);
        result->outcome = GENERATION_REFUSED;
        if (reply_sink_number(generation->sink, "usage", "cost", generation->cost) == 0 &&
            (money_parse_rounding_up(generation->cost, &cost) < 0 || cost > 0))
                result->outcome = GENERATION_UNKNOWN;
        return true;
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

        if (generation->dialect->errors_in_success && fail_by_error_in_success(generation, reply, result))
                return;
        problem = take_images(generation, reply, result);
        if (problem)
                fail_bad_reply(result, problem);
        else {
                (void) reply_sink_number(generation->sink, "usage", "cost", generation->cost);
                r = take_facts(reply, result);
                if (r < 0)
                        generation_result_fail_locally(result, GENERATION_UNKNOWN, r);
                else
                        result->outcome = GENERATION_COMPLETED;
        }
        if (result->outcome != GENERATION_COMPLETED)
                drop_images(result);
}

/* A stream that brought its image is complete, however its connection ended. */
static void read_stream(OpenaiGeneration *generation, const HttpResult *http, GenerationResult *result) {
        _cleanup_(json_freep) JsonValue *reply = NULL;
        const char *problem;
        int r;

        if (!image_events_completed(generation->events)) {
                if (image_events_failed(generation->events))
                        image_events_read_failure(generation->events, result, generation->generation.key);
                else if (generation->sink_error == -EBADMSG)
                        fail_bad_reply(result, image_events_reason(generation->events));
                else if (generation->sink_error < 0)
                        generation_result_fail_locally(result, GENERATION_UNKNOWN, generation->sink_error);
                else if (http->error < 0)
                        fail_transfer(result, http);
                else
                        fail_bad_reply(result, "the stream ended before its image was complete");
                return;
        }

        image_events_take(generation->events, &reply, &result->images[0].file, generation->cost);
        result->images[0].other_format = is_other_format(generation, result->images[0].file);
        result->n_images = 1;
        problem = check_size(generation, result->images[0].file);
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
        const char *key = generation->generation.key;
        GenerationResult result = {};

        if (generation->is_stream && is_success(http->status))
                read_stream(generation, http, &result);
        else if (generation->sink_error < 0)
                fail_sink(&result, generation->sink, generation->sink_error);
        else if (http->error == 0 && is_success(http->status))
                read_reply(generation, &result);
        else if (http->status >= 300 && http->error != -ECANCELED)  /* said, if not to its end */
                upstream_error_read(&result, http->status, (const char *) generation->refusal.data,
                                    generation->refusal.size, key);
        else
                fail_transfer(&result, http);

        if (generation->dialect->reports_cost && result.outcome == GENERATION_COMPLETED)
                result.cost_told = *generation->cost &&
                                   money_parse_rounding_up(generation->cost, &result.cost) == 0;
        result.provider_request_id = TAKE_PTR(generation->request_id);
        result.http_status = (int) http->status;
        upstream_headers_give(&generation->headers, &result);
        generation->generation.done(&result, generation->generation.userdata);
        generation_result_done(&result);
}

static uint64_t body_bytes_max(const GenerationRequest *request) {
        if (request->stream)
                return (request->partial_images + 1) * IMAGE_BASE64_BYTES_MAX + STREAM_TEXT_BYTES_MAX;
        return request->n * IMAGE_BASE64_BYTES_MAX + REPLY_TEXT_BYTES_MAX;
}

static int send_generation(Provider *provider, const GenerationRequest *request, HttpRequest *http,
                           const HttpHandlers *handlers, OpenaiGeneration *generation) {
        _cleanup_free_ char *body = NULL;
        int r;

        r = generation->dialect->format(provider, request, &body);
        if (r < 0)
                return r;
        http->body = body;
        http->body_size = strlen(body);
        return start_request(provider, http, generation->dialect->path, handlers, generation, &generation->transfer);
}

static int send_edit(Provider *provider, const GenerationRequest *request, HttpRequest *http,
                     const HttpHandlers *handlers, OpenaiGeneration *generation) {
        _cleanup_(openai_edit_done) OpenaiEdit edit = {};
        int r;

        r = openai_edit_init(&edit, provider->context.images, request);
        if (r < 0)
                return r;
        http->parts = edit.parts;
        http->n_parts = edit.n_parts;
        return start_request(provider, http, "/images/edits", handlers, generation, &generation->transfer);
}

int openai_generate_as(const OpenaiDialect *dialect, Provider *provider, const GenerationRequest *request,
                       GenerationDone done, void *userdata, Generation **ret) {
        static const HttpHandlers handlers = { .header = on_header, .body = on_body, .done = on_done };
        HttpRequest http = {
                .method = "POST",
                .timeout = request->timeout,
                .body_bytes_max = body_bytes_max(request),
        };
        _cleanup_(openai_generation_freep) OpenaiGeneration *generation = NULL;
        int r;

        generation = calloc(1, sizeof(*generation));
        if (!generation)
                return -ENOMEM;
        generation->generation = (Generation) { provider, done, userdata, request->partial };
        generation->dialect = dialect;
        generation->n_images = request->n;
        generation->width = request->width;
        generation->height = request->height;
        generation->format = dialect->keeps_format ? image_format_from_name(request->output_format) : IMAGE_FORMAT_INVALID;

        r = reply_sink_new(&generation->sink, provider->context.images, dialect->layout, request->n);
        if (r >= 0 && request->stream)
                r = image_events_new(&generation->events, &generation->generation, request->partial_images);
        if (r < 0)
                return r;
        r = request->n_uploads > 0 ? send_edit(provider, request, &http, &handlers, generation)
                                   : send_generation(provider, request, &http, &handlers, generation);
        if (r < 0)
                return r;

        *ret = &TAKE_PTR(generation)->generation;
        return 0;
}

static int openai_generate(Provider *provider, const GenerationRequest *request, GenerationDone done, void *userdata,
                           Generation **ret) {
        static const OpenaiDialect dialect = {
                .path = "/images/generations",
                .keeps_format = true,
                .format = format_request,
        };

        return openai_generate_as(&dialect, provider, request, done, userdata, ret);
}

void openai_cancel(Generation *generation) {
        http_transfer_cancel(CONTAINER_OF(generation, OpenaiGeneration, generation)->transfer);
}

static void on_checked(_unused_ HttpTransfer *transfer, const HttpResult *http, void *userdata) {
        Provider *provider = userdata;
        char message[sizeof(http->message) + 32];

        provider->check = NULL;
        provider->check_refused = http->error == 0 && http->status == 401;
        if (http->error < 0)
                (void) snprintf(message, sizeof(message), "no answer: %s", http->message);
        else if (http->status == 401 || http->status == 403)
                (void) snprintf(message, sizeof(message), "the key is refused (HTTP %ld)", http->status);
        else
                (void) snprintf(message, sizeof(message), "HTTP %ld", http->status);
        provider_checked(provider, http->error == 0 && is_success(http->status) ? NULL : message);
}

int openai_check_at(Provider *provider, const char *path) {
        static const HttpHandlers handlers = { .done = on_checked };
        HttpRequest request = { .method = "GET", .timeout = CHECK_TIMEOUT, .body_bytes_max = CHECK_BYTES_MAX };
        HttpTransfer *transfer;
        int r;

        r = start_request(provider, &request, path, &handlers, provider, &transfer);
        if (r >= 0)
                provider->check = transfer;
        return r;
}

static int openai_check(Provider *provider) {
        return openai_check_at(provider, "/models");
}

void openai_cancel_check(Provider *provider) {
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

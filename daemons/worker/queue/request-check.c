#include "queue/request-check.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>

#include "base/buffer.h"
#include "base/image-size.h"
#include "base/text.h"
#include "conf/model-terms.h"
#include "queue/uploads.h"

#define TYPE_INVALID_REQUEST "invalid_request_error"
#define COMPRESSION_NONE 100 /* per cent of the quality */

/* In the order of AnswerForm. */
static const char *const answer_names[] = { "url", "b64_json" };

static int refuse(Failure *failure, int status, const char *code, const char *param, const char *format, ...)
        __attribute__((format(printf, 5, 6)));

static int refuse(Failure *failure, int status, const char *code, const char *param, const char *format, ...) {
        _cleanup_free_ char *message = NULL;
        va_list arguments;
        int length, r;

        va_start(arguments, format);
        length = vasprintf(&message, format, arguments);
        va_end(arguments);
        if (length < 0) {
                message = NULL;
                return -ENOMEM;
        }

        r = failure_set(failure, status, TYPE_INVALID_REQUEST, code, param, message);
        return r < 0 ? r : REQUEST_INVALID;
}

/* "'a', 'b' or 'c'" for messages. The caller frees it; NULL when memory is short. */
static char *list_names(char *const *names) {
        _cleanup_(buffer_done) Buffer text = {};

        for (size_t i = 0; names && names[i]; i++) {
                const char *between = i == 0 ? "" : names[i + 1] ? ", " : " or ";

                if (buffer_printf(&text, "%s'%s'", between, names[i]) < 0)
                        return NULL;
        }
        return buffer_take_text(&text);
}

static bool names_contain(char *const *names, const char *name) {
        for (; names && *names; names++)
                if (text_equal(*names, name))
                        return true;
        return false;
}

static int check_name(const JsonValue *request, const char *field, char *const *names, Failure *failure) {
        const char *value = json_get_string(request, field);
        _cleanup_free_ char *expected = NULL;

        if (!value || names_contain(names, value))
                return 0;
        if (!names || !names[0])
                return refuse(failure, 400, "unknown_parameter", field, "The model does not take '%s'.", field);

        expected = list_names(names);
        if (!expected)
                return -ENOMEM;
        return refuse(failure, 400, "invalid_value", field, "Invalid value: '%s'. Supported values are: %s.", value,
                      expected);
}

static int check_size(const JsonValue *request, const ModelConf *model, Failure *failure) {
        const char *size = json_get_string(request, "size");

        if (!size || model_takes_size(model, size))
                return 0;
        if (!model->free_sizes)
                return check_name(request, "size", model->sizes, failure);

        return refuse(failure, 400, "invalid_value", "size",
                      "Invalid size '%s'. %s takes WIDTHxHEIGHT with edges from %lld to %lld in multiples of %lld, "
                      "%lld to %lld pixels in all, and a ratio of at most %lld:1.",
                      size, model->name, (long long) model->edge_min, (long long) model->edge_max,
                      (long long) model->edge_multiple, (long long) model->pixels_min,
                      (long long) model->pixels_max, (long long) model->ratio_max);
}

static int check_prompt(const Settings *settings, const JsonValue *request, const ModelConf *model, Failure *failure) {
        int64_t min = settings->worker.prompt_min, max = MIN(model->prompt_max, settings->worker.prompt_max);
        const char *prompt = json_get_string(request, "prompt");
        size_t length;

        if (!prompt)
                return refuse(failure, 400, "missing_required_parameter", "prompt",
                              "Missing required parameter: 'prompt'.");
        length = utf8_count(prompt);
        if (length == 0)
                return refuse(failure, 400, "string_below_min_length", "prompt",
                              "Invalid 'prompt': empty string. Expected a string with minimum length %lld.", (long long) min);
        if (length < (size_t) min)
                return refuse(failure, 400, "string_below_min_length", "prompt",
                              "Invalid 'prompt': string too short. Expected at least %lld characters, got %zu.",
                              (long long) min, length);
        if (length > (size_t) max)
                return refuse(failure, 400, "string_above_max_length", "prompt",
                              "Invalid 'prompt': string too long. Expected at most %lld characters for %s, got %zu.",
                              (long long) max, model->name, length);
        return 0;
}

static int check_integer(const JsonValue *request, const char *field, int64_t min, int64_t max, Failure *failure) {
        int64_t value;

        if (!json_has(request, field))
                return 0;
        value = json_get_integer(request, field, min - 1);
        if (value >= min && value <= max)
                return 0;
        return refuse(failure, 400, "invalid_value", field, "Invalid '%s': expected an integer from %lld to %lld.",
                      field, (long long) min, (long long) max);
}

static int check_user(const JsonValue *request, Failure *failure) {
        const char *user = json_get_string(request, "user");

        if (!user || strlen(user) <= USER_BYTES_MAX)
                return 0;
        return refuse(failure, 400, "string_above_max_length", "user",
                      "Invalid 'user': expected at most %d bytes.", USER_BYTES_MAX);
}

/* How a stream of several images looks, no service says. */
static int check_stream(const JsonValue *request, const ModelConf *model, Failure *failure) {
        bool stream = json_get_bool(request, "stream", false);
        int r;

        if (stream && !model->streams)
                return refuse(failure, 400, "unknown_parameter", "stream", "The model does not take 'stream'.");
        r = check_integer(request, "partial_images", 0, PARTIAL_IMAGES_MAX, failure);
        if (r != 0)
                return r;
        if (!stream && json_get_integer(request, "partial_images", 0) > 0)
                return refuse(failure, 400, "invalid_value", "partial_images", "'partial_images' needs 'stream'.");
        if (stream && json_get_integer(request, "n", 1) > 1)
                return refuse(failure, 400, "unsupported_value", "n",
                              "Invalid 'n': a streamed request makes one image.");
        return 0;
}

static char *const none[] = { NULL };
static char *const styles[] = { (char *) "vivid", (char *) "natural", NULL };
static char *const backgrounds[] = { (char *) "auto", (char *) "transparent", (char *) "opaque", NULL };
static char *const moderations[] = { (char *) "auto", (char *) "low", NULL };
static const char *const generation_only[] = { "style", "moderation" };
static char *const answers[] = { (char *) "url", (char *) "b64_json", NULL };

/* Fields that stand or fall with another. What is not said is png, and compressed by nothing. */
static int check_together(const JsonValue *request, Failure *failure) {
        const char *format = json_get_string(request, "output_format") ?: "png";

        if (text_equal(json_get_string(request, "background"), "transparent") && text_equal(format, "jpeg"))
                return refuse(failure, 400, "invalid_value", "background",
                              "Invalid 'background': a transparent one needs the output_format 'png' or 'webp'.");
        if (json_get_integer(request, "output_compression", COMPRESSION_NONE) != COMPRESSION_NONE &&
            text_equal(format, "png"))
                return refuse(failure, 400, "invalid_value", "output_compression",
                              "Invalid 'output_compression': below %d it needs the output_format 'jpeg' or 'webp'.",
                              COMPRESSION_NONE);
        return 0;
}

static int check_fields(const JsonValue *request, const ModelConf *model, Failure *failure) {
        int r;

        r = check_name(request, "quality", model->qualities, failure);
        if (r == 0)
                r = check_name(request, "style", model->style ? styles : none, failure);
        if (r == 0)
                r = check_name(request, "background", model->gpt_fields ? backgrounds : none, failure);
        if (r == 0)
                r = check_name(request, "moderation", model->gpt_fields ? moderations : none, failure);
        if (r == 0)
                r = check_name(request, "output_format", model->formats, failure);
        if (r == 0)
                r = check_name(request, "response_format", answers, failure);
        if (r != 0)
                return r;

        if (json_has(request, "output_compression") && !model->gpt_fields)
                return refuse(failure, 400, "unknown_parameter", "output_compression",
                              "The model does not take 'output_compression'.");
        r = check_integer(request, "output_compression", 0, COMPRESSION_NONE, failure);
        return r != 0 ? r : check_together(request, failure);
}

/* Forms of `input_fidelity` and the rest that only one of the two ways of asking knows. */
static int check_edit_fields(const JsonValue *request, const ModelConf *model, bool edit, Failure *failure) {
        static char *const fidelities[] = { (char *) "high", (char *) "low", NULL };

        if (!edit)
                return check_name(request, "input_fidelity", none, failure);
        for (size_t i = 0; i < ELEMENTS(generation_only); i++)
                if (json_has(request, generation_only[i]))
                        return refuse(failure, 400, "unknown_parameter", generation_only[i],
                                      "An edit does not take '%s'.", generation_only[i]);
        return check_name(request, "input_fidelity", model->input_fidelity ? fidelities : none, failure);
}

static int check_upload(const JsonValue *upload, const ModelConf *model, Failure *failure) {
        bool mask = json_get_bool(upload, "mask", false);
        uint64_t max = mask ? (uint64_t) UPLOAD_MASK_BYTES_MAX : model->edit_bytes_max;
        const char *param = mask ? "mask" : "image";
        int64_t size = json_get_integer(upload, "size_bytes", 0);

        if (size > 0 && (uint64_t) size <= max)
                return 0;
        return refuse(failure, 400, "image_too_large", param,
                      "Invalid '%s': expected a file of 1 to %llu bytes for %s, got %lld.", param,
                      (unsigned long long) max, model->name, (long long) size);
}

/* How many and how large; what they are is told by their bytes. */
static int check_uploads(const JsonValue *request, const ModelConf *model, Failure *failure) {
        const JsonValue *uploads = json_get_array(request, "uploads");
        int64_t images = 0;
        int r;

        r = check_edit_fields(request, model, uploads, failure);
        if (r != 0 || !uploads)
                return r;
        if (model->edit_images_max == 0)
                return refuse(failure, 400, "unsupported_value", "model", "The model '%s' makes no edits.",
                              model->name);
        for (const JsonValue *upload = uploads->child; upload && r == 0; upload = upload->next) {
                images += !json_get_bool(upload, "mask", false);
                r = check_upload(upload, model, failure);
        }
        if (r == 0 && (images == 0 || images > model->edit_images_max))
                r = refuse(failure, 400, "invalid_value", "image", "Invalid 'image': expected 1 to %lld images for %s, "
                           "got %lld.", (long long) model->edit_images_max, model->name, (long long) images);
        return r;
}

/* As OpenAI answers for a model that it has shut down; ours says in addition what to do. */
static int refuse_dead(const ModelConf *model, Failure *failure) {
        if (!model->replaced_by)
                return refuse(failure, 404, "model_not_found", "model",
                              "The model '%s' was shut down on %s; GET /v1/models lists what can be used.",
                              model->name, model->shutdown_date);
        return refuse(failure, 404, "model_not_found", "model",
                      "The model '%s' was shut down on %s. Use '%s' instead.", model->name, model->shutdown_date,
                      model->replaced_by);
}

static int find_model(const Settings *settings, const JsonValue *request, usec_t now, const ModelConf **ret,
                      Failure *failure) {
        const char *name = json_get_string(request, "model") ?: settings->worker.default_model;

        *ret = name ? settings_find_model(settings, name) : NULL;
        if (*ret && now >= (*ret)->shutdown)
                return refuse_dead(*ret, failure);
        if (*ret && settings_model_usable(settings, *ret))
                return 0;
        if (!name)
                return refuse(failure, 400, "missing_required_parameter", "model",
                              "Missing required parameter: 'model'.");
        return refuse(failure, 404, "model_not_found", "model",
                      "The model '%s' does not exist here; GET /v1/models lists what does.", name);
}

/* What the configuration allows, and one attempt can carry. */
static int64_t images_max(const Settings *settings, const ModelConf *model) {
        int64_t allowed = MIN(model->images_max, settings->worker.images_per_request_max);

        return MIN(allowed, (int64_t) GENERATION_IMAGES_MAX);
}

int request_check(const Settings *settings, const JsonValue *request, usec_t now, const ModelConf **ret,
                  Failure *failure) {
        const ModelConf *model;
        int r;

        r = find_model(settings, request, now, &model, failure);
        if (r == 0)
                r = check_prompt(settings, request, model, failure);
        if (r == 0)
                r = check_integer(request, "n", 1, images_max(settings, model), failure);
        if (r == 0)
                r = check_size(request, model, failure);
        if (r == 0)
                r = check_fields(request, model, failure);
        if (r == 0)
                r = check_stream(request, model, failure);
        if (r == 0)
                r = check_uploads(request, model, failure);
        if (r == 0)
                r = check_user(request, failure);
        if (r == 0)
                *ret = model;
        return r;
}

static void set_uploads(GenerationRequest *generation, const JsonValue *uploads) {
        for (const JsonValue *upload = uploads ? uploads->child : NULL;
             upload && generation->n_uploads < GENERATION_UPLOADS_MAX; upload = upload->next)
                generation->uploads[generation->n_uploads++] = (GenerationUpload) {
                        .mask = json_get_bool(upload, "mask", false),
                        .sha256 = json_get_string(upload, "sha256"),
                        .format = image_format_from_name(json_get_string(upload, "format")),
                        .size_bytes = (uint64_t) json_get_integer(upload, "size_bytes", 0),
                };
}

void request_to_generation(const JsonValue *request, const ModelConf *model, GenerationRequest *ret) {
        *ret = (GenerationRequest) {
                .model = model->provider_model ?: model->name,
                .prompt = json_get_string(request, "prompt"),
                .n = (unsigned) json_get_integer(request, "n", 1),
                .size = json_get_string(request, "size") ?: model->default_size,
                .quality = json_get_string(request, "quality") ?: model->default_quality,
                .style = json_get_string(request, "style"),
                .background = json_get_string(request, "background"),
                .moderation = json_get_string(request, "moderation"),
                .output_format = json_get_string(request, "output_format"),
                .user = json_get_string(request, "user"),
                .input_fidelity = json_get_string(request, "input_fidelity"),
                .output_compression = (int) json_get_integer(request, "output_compression", -1),
                .send_response_format = model->takes_response_format,
                .chat = model->chat,
                .modalities = model->modalities,
                .stream = json_get_bool(request, "stream", false),
        };
        if (ret->stream)
                ret->partial_images = (unsigned) json_get_integer(request, "partial_images", 0);
        set_uploads(ret, json_get_array(request, "uploads"));

        if (ret->size)
                (void) image_size_parse(ret->size, &ret->width, &ret->height);
}

const char *request_response_format(const JsonValue *request, const ModelConf *model) {
        return json_get_string(request, "response_format") ?: answer_names[model->answer];
}

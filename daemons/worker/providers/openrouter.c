/* OpenRouter, which passes requests on to many services: POST {base_url}/images, and the chat route for models that it
 * offers there alone.
 *
 * It charges for what came and for nothing else, and says how much: usage.cost. An error may come with status 200, or
 * within the only choice of a chat. Its errors are put into OpenAI's terms as everybody's (upstream-error.h). */
#include <errno.h>

#include "base/text.h"
#include "conf/chat-sizes.h"
#include "providers/openai-dialect.h"

/* It knows no size "auto": what is not sent is left to the model. */
static int format_images(_unused_ const Provider *provider, const GenerationRequest *request, char **ret) {
        _cleanup_(json_freep) JsonValue *body = json_new_object();
        int r;

        r = openai_add_terms(body, request);
        if (r >= 0 && request->width > 0)
                r = json_add_string(body, "size", request->size);
        if (r < 0)
                return r;
        *ret = json_format(body);
        return *ret ? 0 : -ENOMEM;
}

static int add_messages(JsonValue *body, const char *prompt) {
        _cleanup_(json_freep) JsonValue *message = json_new_object();
        JsonValue *messages;
        int r;

        r = json_add_string(message, "role", "user");
        if (r >= 0)
                r = json_add_string(message, "content", prompt);
        if (r < 0)
                return r;
        messages = json_new_array();
        r = json_append(messages, TAKE_PTR(message));
        if (r < 0) {
                (void) json_free(messages);
                return r;
        }
        return json_add(body, "messages", messages);
}

static int add_modalities(JsonValue *body, char *const *names) {
        static char *const both[] = { (char *) "image", (char *) "text", NULL };
        JsonValue *array = json_new_array();
        int r;

        r = json_add(body, "modalities", array);
        for (names = names && *names ? names : both; *names && r >= 0; names++)
                r = json_append(array, cJSON_CreateString(*names));
        return r;
}

/* By its shape and its class of size. */
static int add_image_config(JsonValue *body, const char *size) {
        const ChatSize *known = chat_size_find(size);
        JsonValue *config;
        int r;

        if (!known)
                return 0;
        config = json_new_object();
        r = json_add(body, "image_config", config);
        if (r >= 0)
                r = json_add_string(config, "aspect_ratio", known->aspect_ratio);
        return r < 0 ? r : json_add_string(config, "image_size", known->image_size);
}

static int format_chat(_unused_ const Provider *provider, const GenerationRequest *request, char **ret) {
        _cleanup_(json_freep) JsonValue *body = json_new_object();
        int r;

        r = json_add_string(body, "model", request->model);
        if (r >= 0)
                r = add_messages(body, request->prompt);
        if (r >= 0)
                r = add_modalities(body, request->modalities);
        if (r >= 0)
                r = add_image_config(body, request->size);
        if (r < 0)
                return r;
        *ret = json_format(body);
        return *ret ? 0 : -ENOMEM;
}

static int openrouter_generate(Provider *provider, const GenerationRequest *request, GenerationDone done,
                               void *userdata, Generation **ret) {
        static const OpenaiDialect images = {
                .path = "/images",
                .layout = REPLY_IMAGES,
                .reports_cost = true,
                .errors_in_success = true,
                .format = format_images,
        };
        static const OpenaiDialect chat = {
                .path = "/chat/completions",
                .layout = REPLY_CHAT,
                .reports_cost = true,
                .errors_in_success = true,
                .format = format_chat,
        };

        return openai_generate_as(request->chat ? &chat : &images, provider, request, done, userdata, ret);
}

/* Its list of models is for everybody; what it knows of the key tells whether that is good. */
static int openrouter_check(Provider *provider) {
        return openai_check_at(provider, "/key");
}

const ProviderKind provider_kind_openrouter = {
        .name = "openrouter",
        .base_url = "https://openrouter.ai/api/v1",
        .paid = true,
        .generate = openrouter_generate,
        .cancel = openai_cancel,
        .check = openrouter_check,
        .cancel_check = openai_cancel_check,
};

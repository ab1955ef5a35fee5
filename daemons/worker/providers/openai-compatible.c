/* Servers of one's own that speak like OpenAI's images API, each with its quirks (server-quirks.h). What they answer is read as
 * OpenAI's answers are, which takes their forms of errors and of images as well. */
#include "providers/openai-dialect.h"
#include "providers/server-quirks.h"

static int format(const Provider *provider, const GenerationRequest *request, char **ret) {
        return server_quirks_format((ServerKind) provider->server, request, ret);
}

static int compatible_generate(Provider *provider, const GenerationRequest *request, GenerationDone done,
                               void *userdata, Generation **ret) {
        static const OpenaiDialect dialect = { .path = "/images/generations", .format = format };

        return openai_generate_as(&dialect, provider, request, done, userdata, ret);
}

static int compatible_check(Provider *provider) {
        return openai_check_at(provider, "/models");
}

/* It has no address of its own, so none needs a key. */
const ProviderKind provider_kind_openai_compatible = {
        .name = "openai-compatible",
        .base_url = "",
        .paid = true,
        .generate = compatible_generate,
        .cancel = openai_cancel,
        .check = compatible_check,
        .cancel_check = openai_cancel_check,
};

#include "providers/server-quirks.h"

#include <errno.h>
#include <string.h>
#include <strings.h>

#include "base/text.h"

typedef enum ServerField {
        FIELD_N = 1 << 0,
        FIELD_SIZE = 1 << 1,                  /* "WxH" */
        FIELD_EDGES = 1 << 2,                 /* width and height */
        FIELD_QUALITY = 1 << 3,
        FIELD_OUTPUT_FORMAT = 1 << 4,
        FIELD_OUTPUT_COMPRESSION = 1 << 5,
        FIELD_RESPONSE_FORMAT = 1 << 6,       /* without it the image comes as a link, or it must be this */
        FIELD_USER = 1 << 7,
} ServerField;

typedef struct ServerQuirks {
        unsigned fields;
        const char *open, *close;             /* what stands between these within a prompt is a command; or NULL */
        char separator;                       /* what comes behind it is the negative prompt; 0: there is none */
} ServerQuirks;

static const ServerQuirks servers[_SERVER_KINDS] = {
        [SERVER_LOCALAI] = {
                .fields = FIELD_N | FIELD_SIZE | FIELD_QUALITY | FIELD_RESPONSE_FORMAT | FIELD_USER,
                .separator = '|',
        },
        [SERVER_STABLE_DIFFUSION_CPP] = {
                .fields = FIELD_N | FIELD_SIZE | FIELD_OUTPUT_FORMAT | FIELD_OUTPUT_COMPRESSION,
                .open = "<sd_cpp_extra_args>",
                .close = "</sd_cpp_extra_args>",
        },
        [SERVER_VLLM_OMNI] = { .fields = FIELD_N | FIELD_SIZE | FIELD_OUTPUT_FORMAT | FIELD_RESPONSE_FORMAT | FIELD_USER },
        [SERVER_SGLANG] = { .fields = FIELD_N | FIELD_SIZE | FIELD_OUTPUT_FORMAT | FIELD_RESPONSE_FORMAT },
        [SERVER_MISTRAL_RS] = { .fields = FIELD_N | FIELD_EDGES | FIELD_RESPONSE_FORMAT },
};

/* ------------------------------------------------------------------ prompts */

static bool ends_with(const char *text, size_t size, const char *end) {
        size_t length = strlen(end);

        return size >= length && strncasecmp(text + size - length, end, length) == 0;
}

/* In one pass, each character once: what is cut out parts nothing that was not looked at together again. A command without an
 * end goes on to the end of the prompt, and an end without a command is nothing. */
static void cut_commands(char *prompt, const char *open, const char *close) {
        size_t size = 0, command = SIZE_MAX;

        for (const char *c = prompt; *c; c++) {
                prompt[size++] = *c;
                if (ends_with(prompt, size, close)) {
                        size = command != SIZE_MAX ? command : size - strlen(close);
                        command = SIZE_MAX;
                } else if (command == SIZE_MAX && ends_with(prompt, size, open))
                        command = size - strlen(open);
        }
        prompt[MIN(size, command)] = 0;
}

char *server_quirks_clean_prompt(ServerKind server, const char *prompt) {
        const ServerQuirks *quirks = &servers[server];
        char *copy = strdup(prompt);

        if (!copy)
                return NULL;
        if (quirks->open)
                cut_commands(copy, quirks->open, quirks->close);
        for (char *c = copy; quirks->separator && *c; c++)
                if (*c == quirks->separator)
                        *c = ',';
        return copy;
}

/* ------------------------------------------------------------------ requests */

static int add_size(JsonValue *body, const ServerQuirks *quirks, const GenerationRequest *request) {
        int r;

        /* "auto" is a size to none of them; without one it is the server's own choice. */
        if (request->width == 0)
                return 0;
        if (quirks->fields & FIELD_SIZE)
                return json_add_string(body, "size", request->size);
        r = json_add_integer(body, "width", request->width);
        return r < 0 ? r : json_add_integer(body, "height", request->height);
}

static int add_fields(JsonValue *body, const ServerQuirks *quirks, const GenerationRequest *request) {
        int r = 0;

        if (quirks->fields & FIELD_N)
                r = json_add_integer(body, "n", request->n);
        if (r >= 0)
                r = add_size(body, quirks, request);
        if (r >= 0 && quirks->fields & FIELD_QUALITY)
                r = json_add_string(body, "quality", request->quality);
        if (r >= 0 && quirks->fields & FIELD_OUTPUT_FORMAT)
                r = json_add_string(body, "output_format", request->output_format);
        if (r >= 0 && quirks->fields & FIELD_OUTPUT_COMPRESSION && request->output_compression >= 0)
                r = json_add_integer(body, "output_compression", request->output_compression);
        if (r >= 0 && quirks->fields & FIELD_RESPONSE_FORMAT)
                r = json_add_string(body, "response_format", "b64_json");
        if (r >= 0 && quirks->fields & FIELD_USER)
                r = json_add_string(body, "user", request->user);
        return r;
}

int server_quirks_format(ServerKind server, const GenerationRequest *request, char **ret) {
        _cleanup_free_ char *prompt = server_quirks_clean_prompt(server, request->prompt);
        _cleanup_(json_freep) JsonValue *body = json_new_object();
        int r;

        r = prompt ? json_add_string(body, "model", request->model) : -ENOMEM;
        if (r >= 0)
                r = json_add_string(body, "prompt", prompt);
        if (r >= 0)
                r = add_fields(body, &servers[server], request);
        if (r < 0)
                return r;
        *ret = json_format(body);
        return *ret ? 0 : -ENOMEM;
}

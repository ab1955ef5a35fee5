#include "queue/picture-key.h"

#include <errno.h>
#include <string.h>

#include "base/buffer.h"

/* Another one whenever the same request may from then on be another picture. */
#define PICTURE_KEY_VERSION "picture 1"

/* Every field with its length, so that none can pass for the beginning of the next; what is absent differs from what
 * is empty. */
static int add_field(Buffer *text, const char *name, const char *value) {
        if (!value)
                return 0;
        return buffer_printf(text, "%s %zu %s\n", name, strlen(value), value);
}

int picture_key(const ModelConf *model, const GenerationRequest *request, const char *client,
                char ret[static SHA256_TEXT_MAX]) {
        const struct {
                const char *name, *value;
        } fields[] = {
                { "version", PICTURE_KEY_VERSION },
                { "client", client },
                { "provider", model->provider },
                { "model", request->model },
                { "prompt", request->prompt },
                { "size", request->size },
                { "quality", request->quality },
                { "style", request->style },
                { "background", request->background },
                { "moderation", request->moderation },
                { "output_format", request->output_format },
                { "input_fidelity", request->input_fidelity },
        };
        _cleanup_(buffer_done) Buffer text = {};
        int r;

        r = buffer_printf(&text, "n %u\ncompression %d\n", request->n, request->output_compression);
        for (size_t i = 0; i < ELEMENTS(fields) && r >= 0; i++)
                r = add_field(&text, fields[i].name, fields[i].value);
        for (unsigned i = 0; i < request->n_uploads && r >= 0; i++)
                r = add_field(&text, request->uploads[i].mask ? "mask" : "image", request->uploads[i].sha256);
        return r < 0 ? r : sha256_text(text.data, text.size, ret);
}

/* Any bytes as an event stream: whole, and in pieces of a length that the first byte says, the same is told; and what
 * is told never is more than what came. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/buffer.h"
#include "providers/sse-parser.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void require(bool kept) {
        if (!kept)
                abort();
}

static int on_data(const char *data, size_t size, void *userdata) {
        require(size > 0);
        return buffer_append(userdata, data, size);
}

static int on_event(const char *name, void *userdata) {
        require(strlen(name) <= SSE_EVENT_NAME_BYTES_MAX);
        return buffer_printf(userdata, "<%s>", name);
}

static int parse(const uint8_t *data, size_t size, size_t piece, Buffer *told) {
        static const SseHandlers handlers = { .data = on_data, .event = on_event };
        _cleanup_(sse_parser_freep) SseParser *parser = NULL;
        int r = 0;

        require(sse_parser_new(&parser, &handlers, told) == 0);
        for (size_t i = 0; i < size && r >= 0; i += piece)
                r = sse_parser_write(parser, data + i, MIN(piece, size - i));
        return r;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
        _cleanup_(buffer_done) Buffer whole = {}, pieces = {};
        int r;

        if (size < 2)
                return 0;
        r = parse(data + 1, size - 1, size, &whole);
        require(r == parse(data + 1, size - 1, data[0] % 64 + 1, &pieces));
        require(whole.size <= size); /* "<>" stands for at least "data\n\n" */
        if (r < 0)
                return 0;
        require(whole.size == pieces.size);
        require(whole.size == 0 || memcmp(whole.data, pieces.data, whole.size) == 0);
        return 0;
}

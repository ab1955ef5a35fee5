/* Any bytes as the body of an edit, as a form or as JSON by the first byte: whole, and in pieces of a length that the second byte
 * says, it comes to the same request and the same pictures, or is refused both times; and no picture is larger than the body. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "edit-body.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void require(bool kept) {
        if (!kept)
                abort();
}

/* NULL: it was refused. */
static char *take(bool form, const uint8_t *data, size_t size, size_t piece) {
        static const UploadLimits limits = { .file_max = 1 << 16, .request_max = 1 << 17, .in_flight_max = 1 << 20 };
        const char *type = form ? "multipart/form-data; boundary=B" : "application/json";
        UploadMeter meter = {};
        _cleanup_(edit_body_freep) EditBody *body = NULL;
        _cleanup_(json_freep) JsonValue *request = NULL;
        ApiError error;
        int r;

        r = edit_body_new(&body, type, 0, "0123456789abcdef0123456789abcdef", &meter, &limits, &error);
        for (size_t i = 0; i < size && r == 0; i += piece)
                r = edit_body_write(body, data + i, MIN(piece, size - i), &error);
        if (r == 0)
                r = edit_body_finish(body, &error);
        require(r == 0 || r == EDIT_REFUSED);
        require(r == 0 || error.status >= 400);
        require(meter.bytes <= size);
        request = r == 0 ? edit_body_request(body) : NULL;
        return request ? json_format(request) : NULL;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
        _cleanup_free_ char *whole = NULL, *pieces = NULL;
        bool form;

        if (size < 3)
                return 0;
        form = data[0] % 2;
        whole = take(form, data + 2, size - 2, size);
        pieces = take(form, data + 2, size - 2, data[1] % 64 + 1);
        require(!whole == !pieces);
        require(!whole || strcmp(whole, pieces) == 0);
        return 0;
}

/* POST /v1/images/edits, as OpenAI has it: a form, or JSON with data URLs. The job that it becomes is answered as that of a
 * generation. */
#include <errno.h>

#include "edit-body.h"
#include "exchange.h"
#include "generation.h"

static int read_body(void *reader, const void *data, size_t size, ApiError *error) {
        return edit_body_write(reader, data, size, error);
}

static void free_body(void *reader) {
        (void) edit_body_free(reader);
}

static const HttpBodyReader reader = { .read = read_body, .free = free_body };

static UploadLimits limits_of(const ApiSettings *settings) {
        return (UploadLimits){
                .file_max = settings->upload_bytes_max,
                .request_max = settings->uploads_bytes_max,
                .in_flight_max = settings->uploads_in_flight_max,
        };
}

int route_admit_edit(ApiManager *manager, HttpRequest *request, uint64_t length, ApiError *error) {
        const char *type = http_request_header(request, MHD_HTTP_HEADER_CONTENT_TYPE);
        UploadLimits limits = limits_of(api_manager_settings(manager));
        uint64_t bytes_max = edit_body_bytes_max(type, &limits);
        EditBody *body;
        int r;

        if (length > bytes_max) {
                api_error_set_body_too_large(error, bytes_max);
                return EDIT_REFUSED;
        }
        r = edit_body_new(&body, type, length, http_request_id(request), api_manager_uploads(manager), &limits, error);
        if (r == 0)
                http_request_set_body_reader(request, bytes_max, &reader, body);
        return r;
}

void route_create_edit(ApiManager *manager, HttpRequest *request) {
        EditBody *body = http_request_body_reader(request);
        ApiError error;
        int r;

        r = edit_body_finish(body, &error);
        if (r == EDIT_REFUSED)
                http_request_answer_error(request, &error);
        else if (r < 0)
                http_request_answer(request, r, NULL);
        else
                generation_start(manager, request, edit_body_request(body));
}

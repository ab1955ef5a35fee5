/* Bodies of POST /v1/images/generations: each is refused with a whole error, or becomes a request that the worker's
 * interface takes. */
#include <string.h>

#include "base/text.h"
#include "image-request.h"
#include "interfaces/interfaces.h"
#include "io/varlink-idl.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* A broken promise ends the program also where assert() is compiled out. */
static void require(bool kept) {
        if (!kept)
                abort();
}

static const VarlinkInterface *queue_interface(void) {
        static VarlinkInterface *interface;

        if (!interface)
                require(varlink_interface_parse(interface_queue, &interface, NULL) == 0);
        return interface;
}

static void require_refused(const ApiError *error) {
        _cleanup_(json_freep) JsonValue *members = api_error_members(error);

        require(error->status == 400 && error->message[0] && text_equal(error->type, ERROR_TYPE_REQUEST));
        require(members);
}

/* Takes `request` over. */
static void require_taken_by_worker(JsonValue *request) {
        _cleanup_(json_freep) JsonValue *parameters = json_new_object();
        JsonValue *caller = json_new_object();
        const char *field = NULL;

        require(json_get_string(request, "prompt"));
        require(json_add_string(caller, "origin", "loopback") == 0);
        require(json_add(parameters, "caller", caller) == 0);
        require(json_add(parameters, "request", request) == 0);
        require(json_add_string(parameters, "request_id", "0123456789abcdef0123456789abcdef") == 0);
        require(varlink_interface_check_input(queue_interface(), "Submit", parameters, &field) == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
        JsonValue *request = NULL;
        ApiError error = {};
        int r;

        r = image_request_parse((const char *) data, size, &request, &error);
        require(r == 0 || r == IMAGE_REQUEST_INVALID);
        if (r == 0)
                require_taken_by_worker(request);
        else
                require_refused(&error);
        return 0;
}

#include "worker-error.h"

#include "base/text.h"

typedef struct KnownError {
        const char *name;
        unsigned status;
        const char *code;
        const char *message;
} KnownError;

static const KnownError known_errors[] = {
        { "io.atelier.Queue.JobNotFound", 404, "job_not_found", "No such job." },
        { "io.atelier.Queue.BatchNotFound", 404, "batch_not_found", "No such batch." },
        { "io.atelier.Queue.JobInProgress", 409, "job_in_progress",
          "The job is in progress: its request has been sent and is paid for, so it can't be cancelled." },
        { "io.atelier.Ledger.StoreUnavailable", 503, "storage_unavailable",
          "The job store is not available. Please try again." },
        { "io.atelier.Store.ImageNotFound", 404, "image_not_found", "No such image." },
        { "io.atelier.Ledger.ImageNotFound", 404, "image_not_found", "No such image." },
        { "io.atelier.Links.ImageNotFound", 404, "image_not_found", "No such image." },
        { "io.atelier.Links.StoreUnavailable", 503, "storage_unavailable",
          "Links can't be made at the moment. Please try again." },
};

int worker_error(const VarlinkReply *reply, ApiError *ret) {
        if (reply->status < 0) {
                api_error_set(ret, 503, ERROR_TYPE_UNAVAILABLE, "worker_unavailable", NULL,
                              "The worker did not answer in time. Please try again.");
                return 0;
        }
        if (text_equal(reply->error, "io.atelier.Queue.Refused") ||
            text_equal(reply->error, "io.atelier.Store.Refused") ||
            text_equal(reply->error, "io.atelier.Ledger.Refused") ||
            text_equal(reply->error, "io.atelier.Links.Refused") ||
            text_equal(reply->error, "io.atelier.Keys.Refused")) {
                api_error_from_worker(ret, reply->parameters);
                return 0;
        }

        for (size_t i = 0; i < ELEMENTS(known_errors); i++)
                if (text_equal(known_errors[i].name, reply->error)) {
                        api_error_set(ret, known_errors[i].status,
                                      known_errors[i].status < 500 ? ERROR_TYPE_REQUEST : ERROR_TYPE_UNAVAILABLE,
                                      known_errors[i].code, NULL, "%s", known_errors[i].message);
                        return 0;
                }

        api_error_set(ret, 500, ERROR_TYPE_SERVER, NULL, NULL, "The request could not be served.");
        return WORKER_ERROR_UNEXPECTED;
}

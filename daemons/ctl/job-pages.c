#include "job-pages.h"

#include "base/text.h"
#include "ctl.h"
#include "job-result.h"

#define PAGE_JOBS 100  /* the worker's limit */

typedef struct Pages {
        const char *status;
        bool held;          /* only those */
        uint64_t left;      /* to be visited */
        char *after;        /* id of the last job seen */
        bool more;          /* the worker has */
} Pages;

static JsonValue *build_parameters(const Pages *pages) {
        _cleanup_(json_freep) JsonValue *parameters = json_new_object();
        int64_t limit = (int64_t) (pages->held ? PAGE_JOBS : MIN(pages->left, (uint64_t) PAGE_JOBS));
        int r;

        r = json_add(parameters, "caller", job_caller());
        if (r >= 0)
                r = json_add_integer(parameters, "limit", limit);
        if (r >= 0)
                r = json_add_string(parameters, "after", pages->after);
        if (r >= 0)
                r = json_add_string(parameters, "status", pages->status);
        return r < 0 ? NULL : TAKE_PTR(parameters);
}

static int visit_page(Pages *pages, void (*each)(const JsonValue *job, void *userdata), void *userdata) {
        _cleanup_(json_freep) JsonValue *reply = NULL, *parameters = build_parameters(pages);
        const JsonValue *job, *last = NULL;

        if (!parameters)
                return ctl_fail("memory is short");
        if (ctl_call("worker", "io.atelier.Queue.List", TAKE_PTR(parameters), &reply) != EXIT_SUCCESS)
                return EXIT_FAILURE;

        pages->more = json_get_bool(reply, "has_more", false);
        cJSON_ArrayForEach(job, json_get_array(reply, "jobs")) {
                if (pages->left == 0) {
                        pages->more = true;
                        break;
                }
                last = job;
                if (pages->held && !json_get_bool(job, "held", false))
                        continue;
                each(job, userdata);
                pages->left--;
        }

        free(pages->after);
        pages->after = last && json_get_string(last, "id") ? strdup(json_get_string(last, "id")) : NULL;
        pages->more &= pages->after != NULL;
        return EXIT_SUCCESS;
}

int job_pages_visit(const char *status, uint64_t limit, void (*each)(const JsonValue *job, void *userdata),
                    void *userdata, bool *ret_more) {
        bool held = text_equal(status, "held");
        Pages pages = { .status = held ? "queued" : status, .held = held, .left = limit };
        int r;

        do
                r = visit_page(&pages, each, userdata);
        while (r == EXIT_SUCCESS && pages.more && pages.left > 0);

        free(pages.after);
        if (ret_more)
                *ret_more = pages.more;
        return r;
}

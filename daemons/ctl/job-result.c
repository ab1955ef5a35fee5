#include "job-result.h"

#include <errno.h>
#include <stdio.h>

#include "base/text.h"
#include "follow.h"
#include "printable.h"
#include "progress-line.h"

#define TRIES 6               /* of a call whose connection is lost: some 4 s */
#define ID_CHARS_MAX 64

typedef struct Waiting {
        ProgressLine *line;
        usec_t since;              /* monotonic */
        char id[ID_CHARS_MAX];     /* "" until the job is stored */
        const char *doing;
} Waiting;

JsonValue *job_caller(void) {
        _cleanup_(json_freep) JsonValue *caller = json_new_object();

        return json_add_string(caller, "origin", "member") < 0 ? NULL : TAKE_PTR(caller);
}

/* ------------------------------------------------------------------ meanwhile */

static void show(Waiting *waiting) {
        usec_t seconds = (time_now_monotonic() - waiting->since) / USEC_PER_SEC;
        _cleanup_free_ char *text = NULL;

        text = waiting->id[0]
                       ? text_format("%s: %s, %llu s", waiting->id, waiting->doing, (unsigned long long) seconds)
                       : text_format("%s", waiting->doing);
        if (text)
                progress_line_show(waiting->line, text);
}

static const char *what_it_does(const JsonValue *job) {
        const char *status = json_get_string(job, "status");

        if (json_get_bool(job, "held", false))
                return "held, see: atelierctl jobs resume";
        return text_equal(status, "in_progress") ? "in progress" : text_equal(status, "queued") ? "queued" : "ended";
}

static void on_reply(const JsonValue *parameters, void *userdata) {
        const JsonValue *job = json_get_object(parameters, "job");
        Waiting *waiting = userdata;

        (void) snprintf(waiting->id, sizeof(waiting->id), "%s", json_get_string(job, "id") ?: "");
        waiting->doing = what_it_does(job);
        show(waiting);
}

static void on_tick(void *userdata) {
        show(userdata);
}

static void explain_leaving(Waiting *waiting) {
        progress_line_clear(waiting->line);
        if (!waiting->id[0]) {
                (void) ctl_fail("the worker has not said yet that it has the job; see: atelierctl jobs list");
                return;
        }
        fprintf(stderr, "atelierctl: the job goes on; look at it with:  atelierctl jobs show %s\n"
                        "            and get its images with:          atelierctl jobs fetch %s -o FILE\n",
                waiting->id, waiting->id);
}

static void on_interrupt(void *userdata) {
        explain_leaving(userdata);
}

/* ------------------------------------------------------------------ afterwards */

static int write_image(const ImageOutput *output, const char *id, const JsonValue *image, size_t index, size_t count,
                       int fd, bool quiet) {
        const char *format = json_get_string(image, "format");
        _cleanup_free_ char *name = image_output_name(output, index, count, format ?: "image");
        _cleanup_free_ char *shown = name ? printable_text(name, 0) : NULL;
        int r;

        if (!shown)
                return ctl_fail("memory is short");
        r = image_output_write(output, name, fd);
        if (r == -EEXIST)
                (void) ctl_fail("%s has come to be there meanwhile and is left as it is", shown);
        else if (r < 0)
                (void) ctl_fail_errno(r, shown);
        if (r < 0)
                return ctl_fail("the image is kept; get it with: atelierctl jobs fetch %s -o FILE", id);

        if (!quiet && !text_equal(output->file, "-"))
                printf("%s\n", shown);
        return EXIT_SUCCESS;
}

static int write_images(const Ctl *ctl, const JobWait *wait, const char *id, const JsonValue *job,
                        const VarlinkAnswer *answer) {
        const JsonValue *images = json_get_array(job, "images"), *image;
        size_t count = (size_t) cJSON_GetArraySize(images), index = 0;
        int r;

        if (count == 0 || count != answer->n_fds)
                return ctl_fail("job %s is completed, but its images did not come; see: journalctl -u atelier-worker",
                                id);
        r = image_output_check_names(&wait->output, count);
        cJSON_ArrayForEach(image, images) {
                if (r != EXIT_SUCCESS)
                        return EXIT_FAILURE;
                r = write_image(&wait->output, id, image, index, count, answer->fds[index], ctl->json);
                index++;
        }
        return r;
}

static int explain_end(const JsonValue *job, const char *id) {
        const char *status = json_get_string(job, "status");
        const JsonValue *failure = json_get_object(job, "failure");
        _cleanup_free_ char *message = printable_text(json_get_string(failure, "message") ?: "no reason is known", 0);
        _cleanup_free_ char *shown = printable_text(status ?: "", 0);

        if (text_equal(status, "failed"))
                return ctl_fail("job %s failed: %s", id, message ?: "");
        return ctl_fail("job %s is %s", id, text_empty(shown) ? "in no known state" : shown);
}

static int finish(const Ctl *ctl, const JobWait *wait, const VarlinkAnswer *answer) {
        const JsonValue *job = json_get_object(answer->parameters, "job");
        _cleanup_free_ char *id = printable_text(json_get_string(job, "id") ?: "", 0);
        int result;

        if (!id)
                return ctl_fail("memory is short");
        if (text_equal(json_get_string(job, "status"), "completed"))
                result = write_images(ctl, wait, id, job, answer);
        else
                result = explain_end(job, id);
        return ctl->json && ctl_print_json(job) != EXIT_SUCCESS ? EXIT_FAILURE : result;
}

int job_result_wait(const Ctl *ctl, const JobWait *wait) {
        _cleanup_(progress_line_freep) ProgressLine *line = NULL;
        _cleanup_(varlink_answer_done) VarlinkAnswer answer = {};
        Waiting waiting = { .since = time_now_monotonic(), .doing = "asking the worker" };
        Follow follow = {
                .daemon = "worker",
                .method = wait->method,
                .parameters = wait->parameters,
                .timeout = wait->timeout,
                .tries = TRIES,
                .on_reply = on_reply,
                .on_tick = on_tick,
                .on_interrupt = on_interrupt,
                .userdata = &waiting,
        };
        int r;

        if (progress_line_new(&line, ctl->json) < 0)
                return ctl_fail("memory is short");
        waiting.line = line;
        (void) snprintf(waiting.id, sizeof(waiting.id), "%s", wait->id ?: "");

        r = follow_call(&follow, &answer);
        progress_line_clear(line);
        if (r == EXIT_SUCCESS)
                return finish(ctl, wait, &answer);
        if (r == FOLLOW_TIMED_OUT)
                explain_leaving(&waiting);
        return EXIT_FAILURE;
}

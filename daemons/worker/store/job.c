#include "store/job.h"

#include <errno.h>

#include "base/text.h"

static const char *const status_names[_JOB_STATUSES] = {
        [JOB_QUEUED] = "queued",
        [JOB_IN_PROGRESS] = "in_progress",
        [JOB_COMPLETED] = "completed",
        [JOB_FAILED] = "failed",
        [JOB_CANCELLED] = "cancelled",
};

static const char *const outcome_names[_ATTEMPT_OUTCOMES] = {
        [ATTEMPT_STARTED] = "started",
        [ATTEMPT_COMPLETED] = "completed",
        [ATTEMPT_REFUSED] = "refused",
        [ATTEMPT_UNSENT] = "unsent",
        [ATTEMPT_UNKNOWN] = "unknown",
};

static const char *const origin_names[_JOB_ORIGINS] = {
        [JOB_ORIGIN_MADE] = "miss",
        [JOB_ORIGIN_CACHED] = "hit",
        [JOB_ORIGIN_SHARED] = "shared",
};

static const char *const priority_names[] = { "high", "normal", "low" };  /* from JOB_PRIORITY_HIGH on */

const char *job_status_name(JobStatus status) {
        return (unsigned) status < _JOB_STATUSES ? status_names[status] : NULL;
}

JobStatus job_status_from_name(const char *name) {
        for (JobStatus status = 0; status < _JOB_STATUSES; status++)
                if (text_equal(status_names[status], name))
                        return status;
        return JOB_STATUS_INVALID;
}

const char *attempt_outcome_name(AttemptOutcome outcome) {
        return (unsigned) outcome < _ATTEMPT_OUTCOMES ? outcome_names[outcome] : NULL;
}

const char *job_priority_name(JobPriority priority) {
        return priority >= JOB_PRIORITY_HIGH && priority <= JOB_PRIORITY_LOW
                       ? priority_names[priority - JOB_PRIORITY_HIGH] : NULL;
}

JobPriority job_priority_from_name(const char *name) {
        JobPriority priority = JOB_PRIORITY_HIGH;

        while (priority <= JOB_PRIORITY_LOW && !text_equal(job_priority_name(priority), name))
                priority++;
        return priority;
}

const char *job_origin_name(JobOrigin origin) {
        return (unsigned) origin < _JOB_ORIGINS ? origin_names[origin] : NULL;
}

void failure_done(Failure *failure) {
        free(failure->type);
        free(failure->code);
        free(failure->param);
        free(failure->message);
        *failure = (Failure) {};
}

static int copy_text(char **ret, const char *text) {
        *ret = text ? strdup(text) : NULL;
        return text && !*ret ? -ENOMEM : 0;
}

int failure_set(Failure *failure, int status, const char *type, const char *code, const char *param,
                const char *message) {
        int r;

        failure_done(failure);
        failure->status = status;
        r = copy_text(&failure->type, type);
        if (r >= 0)
                r = copy_text(&failure->code, code);
        if (r >= 0)
                r = copy_text(&failure->param, param);
        if (r >= 0)
                r = copy_text(&failure->message, message);
        return r;
}

JsonValue *failure_to_json(const Failure *failure) {
        _cleanup_(json_freep) JsonValue *value = json_new_object();
        int r;

        r = json_add_integer(value, "status", failure->status);
        if (r >= 0)
                r = json_add_string(value, "type", failure->type ?: "");
        if (r >= 0)
                r = json_add_string(value, "code", failure->code);
        if (r >= 0)
                r = json_add_string(value, "param", failure->param);
        if (r >= 0)
                r = json_add_string(value, "message", failure->message ?: "");
        return r < 0 ? NULL : TAKE_PTR(value);
}

int failure_from_json(Failure *failure, const JsonValue *value) {
        return failure_set(failure, (int) json_get_integer(value, "status", 0), json_get_string(value, "type"),
                           json_get_string(value, "code"), json_get_string(value, "param"),
                           json_get_string(value, "message"));
}

void job_forget_images(Job *job) {
        for (size_t i = 0; i < job->n_images; i++)
                free(job->images[i].revised_prompt);
        free(job->images);
        job->images = NULL;
        job->n_images = 0;
}

void job_forget_defects(Job *job) {
        defects_free(job->defects, job->n_defects);
        job->defects = NULL;
        job->n_defects = 0;
}

Job *job_free(Job *job) {
        if (!job)
                return NULL;

        job_forget_images(job);
        for (size_t i = 0; i < job->n_attempts; i++) {
                free(job->attempts[i].provider);
                free(job->attempts[i].provider_request_id);
                free(job->attempts[i].cause);
                free(job->attempts[i].model);
                free(job->attempts[i].note);
                free(job->attempts[i].next_model);
                free(job->attempts[i].cost_note);
                (void) json_free(job->attempts[i].cost_items);
        }
        free(job->attempts);
        failure_done(&job->failure);
        (void) json_free(job->usage);
        (void) json_free(job->reply);
        free(job->key);
        free(job->model);
        free(job->response_format);
        free(job->request);
        free(job->asked);
        free(job->optimised);
        for (char **name = job->webhooks; name && *name; name++)
                free(*name);
        free(job->webhooks);
        job_forget_defects(job);
        (void) json_free(job->recorded_defects);
        (void) json_free(job->rates);
        free(job->uploads);
        free(job->idempotency.key);
        free(job->cache.ended);
        free(job);
        return NULL;
}

/* Times that have not come yet are left out. */
static int add_time(JsonValue *object, const char *name, usec_t time) {
        return time > 0 ? json_add_integer(object, name, (int64_t) time) : 0;
}

static JsonValue *image_to_json(const JobImage *image) {
        _cleanup_(json_freep) JsonValue *value = json_new_object();
        int r;

        r = json_add_string(value, "sha256", image->facts.sha256);
        if (r >= 0)
                r = json_add_string(value, "format", image_format_name(image->facts.format));
        if (r >= 0)
                r = json_add_integer(value, "width", image->facts.width);
        if (r >= 0)
                r = json_add_integer(value, "height", image->facts.height);
        if (r >= 0)
                r = json_add_integer(value, "size_bytes", (int64_t) image->facts.size_bytes);
        if (r >= 0)
                r = json_add_string(value, "revised_prompt", image->revised_prompt);
        return r < 0 ? NULL : TAKE_PTR(value);
}

static JsonValue *attempt_to_json(const Attempt *attempt) {
        _cleanup_(json_freep) JsonValue *value = json_new_object();
        int r;

        r = json_add_integer(value, "number", attempt->number);
        if (r >= 0)
                r = json_add_string(value, "provider", attempt->provider);
        if (r >= 0)
                r = json_add_string(value, "outcome", attempt_outcome_name(attempt->outcome));
        if (r >= 0)
                r = json_add_integer(value, "started_at", (int64_t) attempt->started_at);
        if (r >= 0)
                r = add_time(value, "ended_at", attempt->ended_at);
        if (r >= 0)
                r = json_add_string(value, "provider_request_id", attempt->provider_request_id);
        if (r >= 0)
                r = json_add_string(value, "cause", attempt->cause);
        if (r >= 0)
                r = add_time(value, "retry_delay_usec", attempt->retry_delay);
        if (r >= 0)
                r = json_add_string(value, "model", attempt->model);
        if (r >= 0)
                r = json_add_string(value, "note", attempt->note);
        return r < 0 ? NULL : TAKE_PTR(value);
}

static JsonValue *images_to_json(const Job *job) {
        _cleanup_(json_freep) JsonValue *array = json_new_array();

        for (size_t i = 0; i < job->n_images; i++)
                if (json_append(array, image_to_json(&job->images[i])) < 0)
                        return NULL;
        return TAKE_PTR(array);
}

static JsonValue *attempts_to_json(const Job *job) {
        _cleanup_(json_freep) JsonValue *array = json_new_array();

        for (size_t i = 0; i < job->n_attempts; i++)
                if (json_append(array, attempt_to_json(&job->attempts[i])) < 0)
                        return NULL;
        return TAKE_PTR(array);
}

/* The request is kept as the text it was stored as; it is not parsed to be shown again. */
static JsonValue *cost_to_json(const JobCost *cost) {
        _cleanup_(json_freep) JsonValue *value = json_new_object();
        int r;

        r = json_add_integer(value, "reserved_micros", cost->reserved);
        if (r >= 0)
                r = json_add_integer(value, "charged_micros", cost->charged);
        if (r >= 0)
                r = json_add_integer(value, "unknown_micros", cost->unknown);
        if (r >= 0)
                r = json_add_integer(value, "entry", cost->entry);
        return r < 0 ? NULL : TAKE_PTR(value);
}

static int add_optional(JsonValue *value, const Job *job) {
        int r = 0;

        if (job->cost.entry > 0)
                r = json_add(value, "cost", cost_to_json(&job->cost));
        if (r >= 0 && *job->cache.picture)
                r = json_add_string(value, "cache", job_origin_name(job->cache.origin));
        if (r >= 0 && job->priority != JOB_PRIORITY_NORMAL)
                r = json_add_string(value, "priority", job_priority_name(job->priority));
        if (r >= 0 && job->usage)
                r = json_add(value, "usage", cJSON_Duplicate(job->usage, true));
        if (r >= 0 && job->reply)
                r = json_add(value, "reply", cJSON_Duplicate(job->reply, true));
        if (r >= 0 && job->failure.status > 0)
                r = json_add(value, "failure", failure_to_json(&job->failure));
        if (r >= 0 && job->recorded_defects)
                r = json_add(value, "defects", cJSON_Duplicate(job->recorded_defects, true));
        return r;
}

static int add_outlook(JsonValue *value, const JobOutlook *outlook) {
        int r = 0;

        if (outlook->position > 0)
                r = json_add_integer(value, "position", outlook->position);
        if (r >= 0 && outlook->position_above > 0)
                r = json_add_integer(value, "position_above", outlook->position_above);
        return r < 0 ? r : add_time(value, "eta_usec", outlook->eta);
}

JsonValue *job_to_json(const Job *job) {
        _cleanup_(json_freep) JsonValue *value = json_new_object();
        int r;

        r = json_add_string(value, "id", job->id);
        if (r >= 0)
                r = json_add_string(value, "status", job_status_name(job->status));
        if (r >= 0)
                r = json_add_string(value, "model", job->model);
        if (r >= 0)
                r = json_add_string(value, "key", job->key);
        if (r >= 0 && job->held)
                r = json_add_bool(value, "held", true);
        if (r >= 0 && job->awaits_budget)
                r = json_add_bool(value, "awaits_budget", true);
        if (r >= 0)
                r = json_add_string(value, "response_format", job->response_format);
        if (r >= 0)
                r = json_add(value, "request", cJSON_CreateRaw(job->request));
        if (r >= 0 && job->asked)
                r = json_add(value, "asked", cJSON_CreateRaw(job->asked));
        if (r >= 0 && job->optimised)
                r = json_add(value, "optimised", cJSON_CreateRaw(job->optimised));
        if (r >= 0)
                r = json_add_integer(value, "created_at", (int64_t) job->created_at);
        if (r >= 0)
                r = add_time(value, "started_at", job->started_at);
        if (r >= 0)
                r = add_time(value, "ended_at", job->ended_at);
        if (r >= 0)
                r = add_time(value, "retry_at", job->not_before);
        if (r >= 0)
                r = json_add(value, "images", images_to_json(job));
        if (r >= 0)
                r = json_add(value, "attempts", attempts_to_json(job));
        if (r >= 0)
                r = add_outlook(value, &job->outlook);
        if (r >= 0)
                r = add_optional(value, job);
        return r < 0 ? NULL : TAKE_PTR(value);
}

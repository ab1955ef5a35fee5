#include "store/batch.h"

Batch *batch_free(Batch *batch) {
        if (!batch)
                return NULL;
        free(batch->key);
        free(batch->model);
        free(batch->metadata);
        free(batch->idempotency.key);
        free(batch);
        return NULL;
}

void batch_items_free(BatchItem *items, size_t count) {
        for (size_t i = 0; i < count; i++) {
                free(items[i].custom_id);
                (void) job_free(items[i].job);
        }
        free(items);
}

bool batch_ended(const Batch *batch) {
        return batch->counts[JOB_QUEUED] + batch->counts[JOB_IN_PROGRESS] == 0;
}

const char *batch_status(const Batch *batch) {
        if (!batch_ended(batch)) {
                if (batch->cancelled_at > 0)
                        return "cancelling";
                return batch->counts[JOB_QUEUED] == batch->n_items ? "queued" : "in_progress";
        }
        if (batch->cancelled_at > 0 && batch->counts[JOB_CANCELLED] > 0)
                return "cancelled";
        return batch->counts[JOB_COMPLETED] == 0 && batch->counts[JOB_FAILED] > 0 ? "failed" : "completed";
}

static JsonValue *counts_to_json(const Batch *batch) {
        _cleanup_(json_freep) JsonValue *value = json_new_object();
        int64_t there = 0;
        int r;

        r = json_add_integer(value, "total", batch->n_items);
        for (JobStatus status = 0; status < _JOB_STATUSES && r >= 0; status++) {
                there += batch->counts[status];
                r = json_add_integer(value, job_status_name(status), batch->counts[status]);
        }
        if (r >= 0)
                r = json_add_integer(value, "deleted", batch->n_items - there);
        return r < 0 ? NULL : TAKE_PTR(value);
}

static JsonValue *cost_to_json(const JobCost *cost) {
        _cleanup_(json_freep) JsonValue *value = json_new_object();
        int r;

        r = json_add_integer(value, "reserved_micros", cost->reserved);
        if (r >= 0)
                r = json_add_integer(value, "charged_micros", cost->charged);
        if (r >= 0)
                r = json_add_integer(value, "unknown_micros", cost->unknown);
        return r < 0 ? NULL : TAKE_PTR(value);
}

static int add_time(JsonValue *object, const char *name, usec_t time) {
        return time > 0 ? json_add_integer(object, name, (int64_t) time) : 0;
}

JsonValue *batch_to_json(const Batch *batch) {
        _cleanup_(json_freep) JsonValue *value = json_new_object();
        int r;

        r = json_add_string(value, "id", batch->id);
        if (r >= 0)
                r = json_add_string(value, "status", batch_status(batch));
        if (r >= 0)
                r = json_add_string(value, "model", batch->model);
        if (r >= 0)
                r = json_add_string(value, "key", batch->key);
        if (r >= 0 && batch->metadata)
                r = json_add(value, "metadata", cJSON_CreateRaw(batch->metadata));
        if (r >= 0)
                r = json_add(value, "counts", counts_to_json(batch));
        if (r >= 0)
                r = json_add(value, "cost", cost_to_json(&batch->cost));
        if (r >= 0)
                r = json_add_integer(value, "created_at", (int64_t) batch->created_at);
        if (r >= 0)
                r = add_time(value, "started_at", batch->started_at);
        if (r >= 0 && batch_ended(batch))
                r = add_time(value, "ended_at", batch->ended_at);
        if (r >= 0)
                r = add_time(value, "cancelled_at", batch->cancelled_at);
        return r < 0 ? NULL : TAKE_PTR(value);
}

JsonValue *batch_item_to_json(const BatchItem *item) {
        _cleanup_(json_freep) JsonValue *value = json_new_object();
        int r;

        r = json_add_integer(value, "number", item->number);
        if (r >= 0)
                r = json_add_string(value, "custom_id", item->custom_id);
        if (r >= 0 && item->job)
                r = json_add(value, "job", job_to_json(item->job));
        return r < 0 ? NULL : TAKE_PTR(value);
}

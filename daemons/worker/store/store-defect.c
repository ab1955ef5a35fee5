#include "store/store-defect.h"

#include <errno.h>
#include <stdio.h>

#include "store/store-private.h"

/* Rounded down: no claim is larger than what was charged. */
static micros_t share_of(const Job *job, const Defect *defect, micros_t cost) {
        return defect->image > 0 && job->n_images > 0 ? cost / (micros_t) job->n_images : cost;
}

static int add_defect(Store *store, const Job *job, const Attempt *attempt, const Defect *defect) {
        micros_t charged = attempt->outcome == ATTEMPT_COMPLETED ? attempt->cost : 0;
        micros_t unknown = attempt->outcome == ATTEMPT_UNKNOWN ? job->cost_before.reserved : 0;
        sqlite3_stmt *statement;
        int r;

        r = store_prepare(store, STATEMENT_ADD_DEFECT, &statement);
        if (r < 0)
                return r;
        (void) sqlite3_bind_int64(statement, 1, (int64_t) attempt->ended_at);
        (void) sqlite3_bind_int64(statement, 2, defect->kind);
        store_bind_text(statement, 3, defect->detail);
        store_bind_text(statement, 4, job->id);
        store_bind_text(statement, 5, job->key);
        store_bind_text(statement, 6, attempt->provider);
        store_bind_text(statement, 7, attempt->model ?: job->model);
        store_bind_text(statement, 8, attempt->provider_request_id);
        (void) sqlite3_bind_int64(statement, 9, defect->image);
        store_bind_text(statement, 10, *defect->sha256 ? defect->sha256 : NULL);
        (void) sqlite3_bind_int64(statement, 11, share_of(job, defect, charged));
        (void) sqlite3_bind_int64(statement, 12, unknown);
        return store_step(store, statement);
}

int store_add_defects(Store *store, const Job *job) {
        int r = 0;

        for (size_t i = 0; i < job->n_defects && r >= 0; i++)
                r = add_defect(store, job, &job->attempts[job->n_attempts - 1], &job->defects[i]);
        return r;
}

static int read_defect(sqlite3_stmt *statement, Defect *defect) {
        struct {
                int column;
                char **text;
        } texts[] = {
                { 3, &defect->detail }, { 4, &defect->job }, { 5, &defect->key }, { 6, &defect->provider },
                { 7, &defect->model }, { 8, &defect->provider_request_id },
        };
        const char *sha256 = (const char *) sqlite3_column_text(statement, 10);
        int r = 0;

        *defect = (Defect) {
                .number = sqlite3_column_int64(statement, 0),
                .at = (usec_t) sqlite3_column_int64(statement, 1),
                .kind = (DefectKind) sqlite3_column_int(statement, 2),
                .image = (unsigned) sqlite3_column_int64(statement, 9),
                .charged = sqlite3_column_int64(statement, 11),
                .unknown = sqlite3_column_int64(statement, 12),
        };
        (void) snprintf(defect->sha256, sizeof(defect->sha256), "%s", sha256 ?: "");
        for (size_t i = 0; i < ELEMENTS(texts) && r >= 0; i++)
                r = store_column_text(statement, texts[i].column, texts[i].text);
        return r < 0 || defect_kind_name(defect->kind) ? r : -EUCLEAN;
}

/* What the statement, which is bound, finds: at most `limit`. */
static int read_defects(Store *store, sqlite3_stmt *statement, size_t limit, Defect **ret, size_t *ret_count) {
        Defect *defects = calloc(limit + 1, sizeof(*defects));
        size_t count = 0;
        int result = SQLITE_DONE, r = defects ? 0 : -ENOMEM;

        while (r >= 0 && count < limit && (result = sqlite3_step(statement)) == SQLITE_ROW)
                r = read_defect(statement, &defects[count++]);
        (void) sqlite3_reset(statement);
        (void) sqlite3_clear_bindings(statement);
        if (r >= 0 && count < limit)
                r = store_error(store, result);
        if (r < 0) {
                defects_free(defects, count);
                return r;
        }
        *ret = defects;
        *ret_count = count;
        return 0;
}

int store_list_defects(Store *store, int64_t after, usec_t since, size_t limit, Defect **ret, size_t *ret_count) {
        sqlite3_stmt *statement;
        int r;

        r = store_prepare(store, STATEMENT_LIST_DEFECTS, &statement);
        if (r < 0)
                return r;
        (void) sqlite3_bind_int64(statement, 1, after);
        (void) sqlite3_bind_int64(statement, 2, (int64_t) limit);
        (void) sqlite3_bind_int64(statement, 3, (int64_t) since);
        return read_defects(store, statement, limit, ret, ret_count);
}

int store_list_job_defects(Store *store, const char *job, Defect **ret, size_t *ret_count) {
        sqlite3_stmt *statement;
        int r;

        r = store_prepare(store, STATEMENT_LIST_JOB_DEFECTS, &statement);
        if (r < 0)
                return r;
        store_bind_text(statement, 1, job);
        (void) sqlite3_bind_int64(statement, 2, JOB_DEFECTS_MAX);
        return read_defects(store, statement, JOB_DEFECTS_MAX, ret, ret_count);
}

int store_read_job_defects(Store *store, Job *job) {
        _cleanup_(json_freep) JsonValue *array = json_new_array();
        Defect *defects;
        size_t count;
        int r;

        r = store_list_job_defects(store, job->id, &defects, &count);
        if (r < 0)
                return r;
        r = array ? 0 : -ENOMEM;
        for (size_t i = 0; r >= 0 && i < count; i++)
                r = json_append(array, defect_to_job_json(&defects[i]));
        defects_free(defects, count);
        if (r >= 0 && count > 0)
                job->recorded_defects = TAKE_PTR(array);
        return MIN(r, 0);
}

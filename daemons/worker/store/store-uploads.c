#include "store/store-uploads.h"

#include <stdio.h>

#include "store/store-private.h"

int store_add_uploads(Store *store, const Job *job) {
        for (size_t i = 0; i < job->n_uploads; i++) {
                const UploadFacts *facts = &job->uploads[i];
                sqlite3_stmt *statement;
                int r;

                r = store_prepare(store, STATEMENT_ADD_UPLOAD, &statement);
                if (r < 0)
                        return r;
                store_bind_text(statement, 1, job->id);
                store_bind_text(statement, 2, facts->sha256);
                store_bind_text(statement, 3, image_format_name(facts->format));
                (void) sqlite3_bind_int64(statement, 4, (int64_t) facts->size_bytes);
                (void) sqlite3_bind_int(statement, 5, job_status_ended(job->status));
                r = store_step(store, statement);
                if (r < 0)
                        return r;
        }
        return 0;
}

int store_end_uploads(Store *store, const char *job) {
        sqlite3_stmt *statement;
        int r;

        r = store_prepare(store, STATEMENT_END_UPLOADS, &statement);
        if (r < 0)
                return r;
        store_bind_text(statement, 1, job);
        return store_step(store, statement);
}

int store_upload_uses(Store *store, const char *sha256, ImageFormat format, int64_t *ret) {
        sqlite3_stmt *statement;
        int r;

        r = store_prepare(store, STATEMENT_UPLOAD_USES, &statement);
        if (r < 0)
                return r;
        store_bind_text(statement, 1, sha256);
        store_bind_text(statement, 2, image_format_name(format));
        return store_step_integer(store, statement, ret);
}

static void read_done(sqlite3_stmt *statement, DoneUpload *upload) {
        *upload = (DoneUpload) {
                .format = image_format_from_name((const char *) sqlite3_column_text(statement, 2)),
        };
        (void) snprintf(upload->job, sizeof(upload->job), "%s", sqlite3_column_text(statement, 0));
        (void) snprintf(upload->sha256, sizeof(upload->sha256), "%s", sqlite3_column_text(statement, 1));
}

int store_done_uploads(Store *store, DoneUpload *uploads, size_t max) {
        sqlite3_stmt *statement;
        int count = 0, result, r;

        r = store_prepare(store, STATEMENT_DONE_UPLOADS, &statement);
        if (r < 0)
                return r;
        (void) sqlite3_bind_int64(statement, 1, (int64_t) max);
        while ((result = sqlite3_step(statement)) == SQLITE_ROW)
                read_done(statement, &uploads[count++]);
        r = store_error(store, result);
        (void) sqlite3_reset(statement);
        (void) sqlite3_clear_bindings(statement);
        return r < 0 ? r : count;
}

int store_remove_upload(Store *store, const DoneUpload *upload) {
        sqlite3_stmt *statement;
        int r;

        r = store_prepare(store, STATEMENT_REMOVE_UPLOAD, &statement);
        if (r < 0)
                return r;
        store_bind_text(statement, 1, upload->job);
        store_bind_text(statement, 2, upload->sha256);
        store_bind_text(statement, 3, image_format_name(upload->format));
        return store_step(store, statement);
}

int store_has_uploads(Store *store, bool *ret) {
        sqlite3_stmt *statement;
        int64_t exists;
        int r;

        r = store_prepare(store, STATEMENT_HAS_UPLOADS, &statement);
        if (r >= 0)
                r = store_step_integer(store, statement, &exists);
        if (r == 0)
                *ret = exists;
        return r;
}

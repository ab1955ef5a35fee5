/* How many jobs of a lane go before one of them: counted by the indexes that the dispatcher goes by, and no further
 * than somebody wants to know. */
#include <errno.h>
#include <string.h>

#include "store/store-private.h"

/* Steps a statement that counts, whose last parameter is up to how many. */
static int count(Store *store, sqlite3_stmt *statement, int64_t *total) {
        int64_t found;
        int r;

        r = store_step_integer(store, statement, &found);
        if (r != 0)
                return r < 0 ? r : -EIO;
        *total += found;
        return 0;
}

static int count_due(Store *store, const char *model, usec_t not_before, int64_t sequence, int64_t limit,
                     int64_t *total) {
        sqlite3_stmt *statement;
        int r;

        r = store_prepare(store, STATEMENT_COUNT_DUE, &statement);
        if (r < 0)
                return r;
        store_bind_text(statement, 1, model);
        (void) sqlite3_bind_int64(statement, 2, (int64_t) MIN(not_before, (usec_t) INT64_MAX));
        (void) sqlite3_bind_int64(statement, 3, sequence);
        (void) sqlite3_bind_int64(statement, 4, limit);
        return count(store, statement, total);
}

/* Of one party: those before that priority and sequence. */
static int count_of_party(Store *store, const char *model, const char *party, int64_t priority, int64_t sequence,
                          int64_t limit, int64_t *total) {
        sqlite3_stmt *statement;
        int r;

        r = store_prepare(store, STATEMENT_COUNT_OF_PARTY, &statement);
        if (r < 0)
                return r;
        store_bind_text(statement, 1, model);
        store_bind_text(statement, 2, party);
        (void) sqlite3_bind_int64(statement, 3, priority);
        (void) sqlite3_bind_int64(statement, 4, sequence);
        (void) sqlite3_bind_int64(statement, 5, limit);
        return count(store, statement, total);
}

/* A walk through the parties of a lane in the order of their turns: from the one behind `last` on, then from the first
 * up to `last`. */
typedef struct PartyWalk {
        const char *model, *last;
        char party[CLIENT_KEY_ID_MAX];
        bool wrapped;
} PartyWalk;

static int next_party(Store *store, PartyWalk *walk) {
        WaitingJob job;
        int r;

        r = store_next_party(store, walk->model, walk->party, &job);
        if (r == STORE_NOT_FOUND && !walk->wrapped) {
                walk->wrapped = true;
                r = store_next_untried(store, walk->model, NULL, &job);
        }
        if (r != 0)
                return r;
        if (walk->wrapped && strcmp(job.party, walk->last) > 0)
                return STORE_NOT_FOUND;
        (void) strcpy(walk->party, job.party);
        return 0;
}

/* Until it comes to the job, each party whose turn comes before the job's own one has as many turns as that, and one
 * more; each that comes behind it has as many. */
static int count_other_parties(Store *store, const char *model, const char *own, const char *last, int64_t before,
                               int64_t limit, int64_t *total) {
        PartyWalk walk = { .model = model, .last = last };
        int64_t turns = before + 1;
        int r = 0;

        (void) strncpy(walk.party, last, sizeof(walk.party) - 1);
        while (*total < limit && turns > 0) {
                r = next_party(store, &walk);
                if (r != 0)
                        break;
                if (strcmp(walk.party, own) == 0)
                        turns = before;
                else
                        r = count_of_party(store, model, walk.party, INT64_MAX, 0, MIN(turns, limit - *total), total);
                if (r < 0)
                        break;
        }
        return MIN(r, 0);
}

int store_count_ahead(Store *store, const Job *job, const char *last, usec_t now, int64_t limit, int64_t *ret) {
        const char *party = job->key ?: "";
        int64_t total = 0;
        int r;

        if (job->not_before > 0)
                r = count_due(store, job->model, job->not_before, job->sequence, limit, &total);
        else {
                int64_t own = 0;

                r = count_due(store, job->model, now, INT64_MAX, limit, &total);
                if (r >= 0)
                        r = count_of_party(store, job->model, party, job->priority, job->sequence, limit, &own);
                total += own;
                if (r >= 0 && total < limit)
                        r = count_other_parties(store, job->model, party, last, own, limit, &total);
        }
        if (r >= 0)
                *ret = MIN(total, limit);
        return r;
}

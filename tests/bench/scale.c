/* What the size of the store costs: the same operations on a store with few jobs and entries, and with very many.
 *
 *   scale FOLDER JOBS ENTRIES
 *
 * Fills a fresh store in FOLDER with so many waiting jobs of PARTIES clients, and so many ledger entries with their
 * totals, and prints one line of JSON: how long it takes to open it and to count what waits, then the medians of
 * microseconds that a submission, a budgeted submission and a claim by turns take, commits apart. */

#include <errno.h>
#include <sqlite3.h>
#include <stdio.h>
#include <string.h>

#include "dispatch/fair-share.h"
#include "store/store.h"

#define PARTIES 100
#define GROUP 64        /* operations that share a commit, as in a burst */
#define SAMPLES 4096
#define LEASE "00000000000000000000000000000001"
#define PRICE 40000

static const char fill_jobs[] =
        "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < ?1) "
        "INSERT INTO job (id, status, model, response_format, request, created_at, key, party) "
        "SELECT printf('job_%032x', i), 0, 'm', 'url', '{\"prompt\":\"a lighthouse\",\"size\":\"1024x1024\"}', i, "
        "printf('%016x', i % ?2), printf('%016x', i % ?2) FROM n WHERE ?1 > 0";

static const char fill_entries[] =
        "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < ?1) "
        "INSERT INTO ledger_entry (number, at, kind, day, job, key, model, provider, reserved, spent, unknown, images, hash) "
        "SELECT i, i, 1, 20261123, printf('job_%032x', i), printf('%016x', i % ?2), 'm', 'p', 0, 1, 0, 1, "
        "printf('%064x', i) FROM n WHERE ?1 > 0";

static const char fill_totals[] =
        "INSERT INTO ledger_total (scope, period, name, reserved, spent, unknown, images) "
        "SELECT 2, day, key, 0, count(*), 0, count(*) FROM ledger_entry WHERE number <= 10 * ?1 GROUP BY key, day "
        "HAVING ?2 > 0";

static int fill(const char *path, const char *text, long long count) {
        sqlite3_stmt *statement;
        sqlite3 *database;
        int r;

        if (sqlite3_open(path, &database) != SQLITE_OK)
                return -EIO;
        (void) sqlite3_exec(database, "PRAGMA synchronous = OFF", NULL, NULL, NULL);
        if (sqlite3_prepare_v2(database, text, -1, &statement, NULL) != SQLITE_OK) {
                fprintf(stderr, "scale: %s\n", sqlite3_errmsg(database));
                return -EIO;
        }
        (void) sqlite3_bind_int64(statement, 1, count);
        (void) sqlite3_bind_int64(statement, 2, PARTIES);
        r = sqlite3_step(statement) == SQLITE_DONE ? 0 : -EIO;
        (void) sqlite3_finalize(statement);
        return sqlite3_close(database) == SQLITE_OK ? r : -EIO;
}

static int compare(const void *a, const void *b) {
        usec_t x = *(const usec_t *) a, y = *(const usec_t *) b;

        return (x > y) - (x < y);
}

/* Of groups, so divided by what is in one. */
static double median(usec_t *samples, size_t n) {
        qsort(samples, n, sizeof(*samples), compare);
        return (double) samples[n / 2] / GROUP;
}

static int submit(Store *store, unsigned number, const Budget *budget) {
        char key[FAIR_SHARE_PARTY_MAX];
        Job job = {
                .model = (char *) "m",
                .response_format = (char *) "url",
                .request = (char *) "{\"prompt\":\"a lighthouse\",\"size\":\"1024x1024\"}",
                .created_at = 1,
                .key = key,
        };
        BudgetVerdict verdict = {};

        (void) snprintf(job.id, sizeof(job.id), "job_%032x", 0xf0000000U + number);
        (void) snprintf(key, sizeof(key), "%016x", number % PARTIES);
        if (budget)
                job.cost_before = (JobCost) { .reserved = PRICE, .day = 20261123 };
        return store_submit(store, &job, budget, &verdict);
}

static int claim(Store *store, FairShare *share) {
        WaitingJob waiting;
        Job *job;
        int r;

        r = store_next_party(store, "m", fair_share_last(share, "m"), &waiting);
        if (r == STORE_NOT_FOUND)
                r = store_next_untried(store, "m", NULL, &waiting);
        if (r == 0)
                r = fair_share_take(share, "m", waiting.party);
        if (r == 0)
                r = store_start_attempt(store, waiting.id, "p", LEASE, 2, &job);
        if (r == 0)
                (void) job_free(job);
        return r;
}

typedef enum Operation {
        SUBMIT,
        SUBMIT_BUDGETED,
        CLAIM,
} Operation;

static int measure(Store *store, Operation operation, double *ret) {
        static const Budget budget = {
                .limits = {
                        { BUDGET_ALL, "", 20261123, MICROS_MAX / 2, MICROS_MAX / 2 },
                        { BUDGET_KEY, "0000000000000001", 20261123, MICROS_MAX / 2, MICROS_MAX / 2 },
                        { BUDGET_MODEL, "m", 202611, MICROS_MAX / 2, MICROS_MAX / 2 },
                },
                .n = 3,
        };
        static unsigned number;
        usec_t samples[SAMPLES / GROUP];
        FairShare *share;
        int r;

        r = fair_share_new(&share);
        for (size_t i = 0; i < SAMPLES / GROUP && r == 0; i++) {
                usec_t before;

                r = store_group_begin(store);
                before = time_now_monotonic();
                for (unsigned n = 0; n < GROUP && r == 0; n++)
                        r = operation == CLAIM ? claim(store, share)
                                               : submit(store, ++number, operation == SUBMIT_BUDGETED ? &budget : NULL);
                samples[i] = time_now_monotonic() - before;
                if (r == 0)
                        r = store_group_commit(store);
        }
        (void) fair_share_free(share);
        *ret = median(samples, SAMPLES / GROUP);
        return r;
}

static int run(const char *path, long long jobs, long long entries) {
        double submit_usec, budgeted_usec, claim_usec;
        usec_t before, opened;
        int64_t waiting;
        Store *store;
        int r;

        r = store_open(&store, path);
        if (r < 0)
                return r;
        (void) store_free(store);
        r = fill(path, fill_jobs, jobs);
        if (r == 0)
                r = fill(path, fill_entries, entries);
        if (r == 0)
                r = fill(path, fill_totals, entries);
        if (r < 0)
                return r;

        before = time_now_monotonic();
        r = store_open(&store, path);
        if (r == 0)
                r = store_count_waiting(store, &waiting);
        opened = time_now_monotonic() - before;
        if (r == 0)
                r = measure(store, SUBMIT, &submit_usec);
        if (r == 0)
                r = measure(store, SUBMIT_BUDGETED, &budgeted_usec);
        if (r == 0)
                r = measure(store, CLAIM, &claim_usec);
        if (r != 0)
                return r < 0 ? r : -EUCLEAN;
        printf("{\"jobs\":%lld,\"entries\":%lld,\"waiting\":%lld,\"open_ms\":%.1f,\"submit_us\":%.2f,"
               "\"budgeted_submit_us\":%.2f,\"claim_us\":%.2f}\n",
               jobs, entries, (long long) waiting, (double) opened / 1000, submit_usec, budgeted_usec, claim_usec);
        (void) store_free(store);
        return 0;
}

int main(int argc, char **argv) {
        char path[4096];
        int r;

        if (argc != 4) {
                fprintf(stderr, "usage: %s FOLDER JOBS ENTRIES\n", argv[0]);
                return 2;
        }
        (void) snprintf(path, sizeof(path), "%s/scale.db", argv[1]);
        r = run(path, atoll(argv[2]), atoll(argv[3]));
        if (r < 0)
                fprintf(stderr, "scale: %s\n", strerror(-r));
        return r < 0;
}

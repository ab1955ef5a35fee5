/* Receipts: what is kept of a settlement, which entries are about a job, and whose images are found. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/text.h"
#include "store/store-private.h"
#include "store/store-receipt.h"

#define LEASE "00000000000000000000000000000001"
#define DAY 20261123
#define SHA_A "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
#define SHA_B "bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb"

typedef struct Fixture {
        char folder[64], path[96];
        Store *store;
} Fixture;

static int set_up(void **state) {
        Fixture *fixture = calloc(1, sizeof(*fixture));

        (void) strcpy(fixture->folder, "/tmp/atelier-receipt-XXXXXX");
        assert_non_null(mkdtemp(fixture->folder));
        (void) snprintf(fixture->path, sizeof(fixture->path), "%s/db", fixture->folder);
        assert_int_equal(store_open(&fixture->store, fixture->path), 0);
        *state = fixture;
        return 0;
}

static int tear_down(void **state) {
        Fixture *fixture = *state;
        char path[128];

        fixture->store = store_free(fixture->store);
        (void) unlink(fixture->path);
        (void) snprintf(path, sizeof(path), "%s-wal", fixture->path);
        (void) unlink(path);
        assert_int_equal(rmdir(fixture->folder), 0);
        free(fixture);
        return 0;
}

static const char *id_of(unsigned number) {
        static char id[JOB_ID_MAX];

        (void) snprintf(id, sizeof(id), JOB_ID_PREFIX "%032x", number);
        return id;
}

static Job *begin_job(Fixture *fixture, unsigned number, const char *key) {
        Job job = {
                .model = (char *) "m",
                .key = (char *) key,
                .response_format = (char *) "url",
                .request = (char *) "{}",
                .created_at = 1,
                .cost_before = { .reserved = 40000, .day = DAY },
        }, *started;

        (void) strcpy(job.id, id_of(number));
        assert_int_equal(store_group_begin(fixture->store), 0);
        assert_int_equal(store_submit(fixture->store, &job, NULL, NULL), 0);
        assert_int_equal(store_start_attempt(fixture->store, job.id, "box", LEASE, 2, &started), 0);
        return started;
}

static void end_job(Fixture *fixture, Job *job, AttemptOutcome outcome, JobStatus status, const Budget *budget) {
        job->attempts[job->n_attempts - 1].outcome = outcome;
        job->attempts[job->n_attempts - 1].ended_at = 3;
        job->status = status;
        assert_int_equal(store_end_attempt(fixture->store, job, budget, NULL), 0);
        assert_int_equal(store_group_commit(fixture->store), 0);
        (void) job_free(job);
}

static void add_image(Job *job, const char *sha256) {
        job->images = reallocarray(job->images, job->n_images + 1, sizeof(*job->images));
        job->images[job->n_images] = (JobImage) { .facts = { .format = IMAGE_PNG, .width = 1, .height = 1 } };
        (void) strcpy(job->images[job->n_images++].facts.sha256, sha256);
}

/* A job of the key that ends with the image, twice if `again`. */
static void make(Fixture *fixture, unsigned number, const char *key, const char *sha256, bool again) {
        Job *job = begin_job(fixture, number, key);

        add_image(job, sha256);
        if (again)
                add_image(job, sha256);
        job->attempts[0].cost = 33333;
        end_job(fixture, job, ATTEMPT_COMPLETED, JOB_COMPLETED, NULL);
}

static void read_facts(Fixture *fixture, unsigned number, ReceiptFacts *ret) {
        _cleanup_(job_freep) Job *job = NULL;

        assert_int_equal(store_get(fixture->store, id_of(number), &job), 0);
        assert_int_equal(store_receipt_read(fixture->store, job, ret), 0);
}

static void test_a_settlement_keeps_items_and_budgets(void **state) {
        Budget budget = {
                .limits = { { BUDGET_ALL, "", DAY, 1000000, 0 }, { BUDGET_KEY, "k", BUDGET_PERIOD_EVER, 2000000, 0 } },
                .n = 2,
        };
        Job *job = begin_job(*state, 1, "k");
        _cleanup_free_ char *items = NULL, *budgets = NULL;
        ReceiptFacts facts;

        assert_int_equal(json_parse("[{\"what\":\"image\"}]", 18, &job->attempts[0].cost_items, NULL), 0);
        add_image(job, SHA_A);
        job->attempts[0].cost = 40000;
        end_job(*state, job, ATTEMPT_COMPLETED, JOB_COMPLETED, &budget);

        read_facts(*state, 1, &facts);
        items = json_format(facts.items);
        budgets = json_format(facts.budgets);
        assert_string_equal(items, "[{\"what\":\"image\"}]");
        assert_string_equal(budgets, "[{\"scope\":\"all\",\"period\":\"day\",\"limit_micros\":1000000},"
                                     "{\"scope\":\"key\",\"name\":\"k\",\"period\":\"total\",\"limit_micros\":2000000}]");
        receipt_facts_done(&facts);
}

/* Each with the hash before it, so that one alone can be checked; none of another job. */
static void test_entries_are_those_of_the_job(void **state) {
        char hash[SHA256_TEXT_MAX];
        ReceiptFacts facts;

        make(*state, 1, NULL, SHA_A, false);
        make(*state, 2, NULL, SHA_B, false);
        read_facts(*state, 2, &facts);
        assert_int_equal(facts.n_entries, 2);
        assert_int_equal(facts.entries[0].entry.number, 3);
        assert_int_equal(facts.entries[0].entry.kind, LEDGER_RESERVE);
        assert_int_equal(facts.entries[1].entry.number, 4);
        assert_int_equal(facts.entries[1].entry.kind, LEDGER_SETTLE);
        for (size_t i = 0; i < facts.n_entries; i++) {
                assert_int_equal(ledger_entry_hash(&facts.entries[i].entry, facts.entries[i].previous, hash), 0);
                assert_string_equal(hash, facts.entries[i].entry.hash);
        }
        assert_null(facts.items);
        receipt_facts_done(&facts);
}

/* Of a job that was tried again and again the newest are told. */
static void test_entries_are_bounded(void **state) {
        Fixture *fixture = *state;
        Job *job = begin_job(fixture, 1, NULL);
        ReceiptFacts facts;

        for (int i = 0; i < RECEIPT_ENTRIES_MAX / 2; i++) {
                end_job(fixture, job, ATTEMPT_UNKNOWN, JOB_QUEUED, NULL);
                assert_int_equal(store_group_begin(fixture->store), 0);
                assert_int_equal(store_start_attempt(fixture->store, id_of(1), "box", LEASE, 2, &job), 0);
        }
        add_image(job, SHA_A);
        end_job(fixture, job, ATTEMPT_COMPLETED, JOB_COMPLETED, NULL);
        read_facts(fixture, 1, &facts);
        assert_int_equal(facts.n_entries, RECEIPT_ENTRIES_MAX);
        assert_int_equal(facts.entries[0].entry.number, 3);
        assert_int_equal(facts.entries[RECEIPT_ENTRIES_MAX - 1].entry.number, RECEIPT_ENTRIES_MAX + 2);
        receipt_facts_done(&facts);
}

static size_t find(Fixture *fixture, const char *key, size_t limit, unsigned newest) {
        size_t count;
        Job **jobs;

        assert_int_equal(store_receipt_jobs(fixture->store, SHA_A, key, limit, &jobs, &count), 0);
        if (count > 0)
                assert_string_equal(jobs[0]->id, id_of(newest));
        for (size_t i = 0; i < count; i++)
                (void) job_free(jobs[i]);
        free(jobs);
        return count;
}

static void test_jobs_of_an_image_newest_first(void **state) {
        make(*state, 1, "k", SHA_A, false);
        make(*state, 2, "other", SHA_A, true);   /* one job, though it has the image twice */
        make(*state, 3, "k", SHA_A, false);
        make(*state, 4, NULL, SHA_A, false);
        make(*state, 5, "k", SHA_B, false);
        assert_int_equal(find(*state, NULL, 10, 4), 4);
        assert_int_equal(find(*state, NULL, 2, 4), 2);
        assert_int_equal(find(*state, "k", 10, 3), 2);
        assert_int_equal(find(*state, "other", 10, 2), 1);
        assert_int_equal(find(*state, "nobody", 10, 0), 0);
}

static void test_a_job_takes_its_receipt_along(void **state) {
        Fixture *fixture = *state;
        sqlite3_stmt *statement;
        int64_t left;

        make(fixture, 1, "k", SHA_A, false);
        assert_int_equal(store_group_begin(fixture->store), 0);
        assert_int_equal(store_delete(fixture->store, id_of(1)), 0);
        assert_int_equal(store_group_commit(fixture->store), 0);
        assert_int_equal(sqlite3_prepare_v2(fixture->store->database,
                                            "SELECT (SELECT count(*) FROM settlement) + (SELECT count(*) FROM job_entry)",
                                            -1, &statement, NULL), SQLITE_OK);
        assert_int_equal(store_step_integer(fixture->store, statement, &left), 0);
        (void) sqlite3_finalize(statement);
        assert_int_equal(left, 0);
}

#define STORE_TEST(name) cmocka_unit_test_setup_teardown(test_##name, set_up, tear_down)

int main(void) {
        const struct CMUnitTest tests[] = {
                STORE_TEST(a_settlement_keeps_items_and_budgets),
                STORE_TEST(entries_are_those_of_the_job),
                STORE_TEST(entries_are_bounded),
                STORE_TEST(jobs_of_an_image_newest_first),
                STORE_TEST(a_job_takes_its_receipt_along),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}

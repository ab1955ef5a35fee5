/* The ledger: every amount on every running total, budgets that fit exactly and not by one micro-dollar more, and a
 * check that finds whatever was changed. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>
#include <sqlite3.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/text.h"
#include "store/store-ledger.h"

#define DAY 20261123
#define MONTH 202611
#define LEASE "00000000000000000000000000000001"

typedef struct Fixture {
        char folder[64], path[96], former_path[96];
        Store *store;
} Fixture;

static int set_up(void **state) {
        Fixture *fixture = calloc(1, sizeof(*fixture));

        (void) strcpy(fixture->folder, "/tmp/atelier-ledger-XXXXXX");
        assert_non_null(mkdtemp(fixture->folder));
        (void) snprintf(fixture->path, sizeof(fixture->path), "%s/db", fixture->folder);
        (void) snprintf(fixture->former_path, sizeof(fixture->former_path), "%s/former", fixture->folder);
        assert_int_equal(store_open(&fixture->store, fixture->path), 0);
        *state = fixture;
        return 0;
}

static int tear_down(void **state) {
        static const char *const names[] = { "db", "db-wal", "former", "former-wal" };
        Fixture *fixture = *state;
        char path[128];

        fixture->store = store_free(fixture->store);
        for (size_t i = 0; i < ELEMENTS(names); i++) {
                (void) snprintf(path, sizeof(path), "%s/%s", fixture->folder, names[i]);
                (void) unlink(path);
        }
        assert_int_equal(rmdir(fixture->folder), 0);
        free(fixture);
        return 0;
}

/* ------------------------------------------------------------------ jobs */

static const char *id_of(unsigned number) {
        static char id[JOB_ID_MAX];

        (void) snprintf(id, sizeof(id), JOB_ID_PREFIX "%032x", number);
        return id;
}

/* One operation in a transaction of its own. */
#define COMMITTED(store, operation) ({ \
        assert_int_equal(store_group_begin(store), 0); \
        int _r = (operation); \
        assert_int_equal(store_group_commit(store), 0); \
        _r; \
})

static int submit_within(Fixture *fixture, unsigned number, micros_t ceiling, const Budget *budget, BudgetVerdict *verdict) {
        Job job = {
                .model = (char *) "m",
                .key = (char *) "k",
                .response_format = (char *) "url",
                .request = (char *) "{}",
                .created_at = 1,
                .cost_before = { .reserved = ceiling, .day = DAY },
        };

        (void) strcpy(job.id, id_of(number));
        return COMMITTED(fixture->store, store_submit(fixture->store, &job, budget, verdict));
}

static void submit(Fixture *fixture, unsigned number, micros_t ceiling) {
        assert_int_equal(submit_within(fixture, number, ceiling, NULL, NULL), 0);
}

static Job *start(Fixture *fixture, unsigned number) {
        Job *job;

        assert_int_equal(COMMITTED(fixture->store, store_start_attempt(fixture->store, id_of(number), "box", LEASE, 2,
                                                                       &job)), 0);
        return job;
}

static int end_within(Fixture *fixture, Job *job, AttemptOutcome outcome, JobStatus status, micros_t cost,
                      const Budget *budget, BudgetVerdict *verdict) {
        Attempt *attempt = &job->attempts[job->n_attempts - 1];

        attempt->outcome = outcome;
        attempt->ended_at = 3;
        attempt->cost = cost;
        job->status = status;
        return COMMITTED(fixture->store, store_end_attempt(fixture->store, job, budget, verdict));
}

/* A job from its acceptance to its end. */
static void run(Fixture *fixture, unsigned number, micros_t ceiling, AttemptOutcome outcome, JobStatus status, micros_t cost) {
        Job *job;

        submit(fixture, number, ceiling);
        job = start(fixture, number);
        assert_int_equal(end_within(fixture, job, outcome, status, cost, NULL, NULL), 0);
        (void) job_free(job);
}

static void assert_amounts(Store *store, BudgetScope scope, int period, const char *name, micros_t reserved, micros_t spent,
                           micros_t unknown) {
        LedgerAmounts amounts;

        assert_int_equal(store_ledger_total(store, scope, period, name, &amounts), 0);
        assert_int_equal(amounts.reserved, reserved);
        assert_int_equal(amounts.spent, spent);
        assert_int_equal(amounts.unknown, unknown);
}

/* On every running total that the jobs count on. */
static void assert_everywhere(Fixture *fixture, micros_t reserved, micros_t spent, micros_t unknown) {
        static const char *const names[] = { [BUDGET_ALL] = "", [BUDGET_MODEL] = "m", [BUDGET_KEY] = "k" };
        static const int periods[] = { DAY, MONTH, BUDGET_PERIOD_EVER };

        for (BudgetScope scope = 0; scope < _BUDGET_SCOPES; scope++)
                for (size_t i = 0; i < ELEMENTS(periods); i++)
                        assert_amounts(fixture->store, scope, periods[i], names[scope], reserved, spent, unknown);
}

static int64_t count_entries(Fixture *fixture) {
        char hash[SHA256_TEXT_MAX];
        int64_t number;

        assert_int_equal(store_ledger_last(fixture->store, &number, hash), 0);
        return number;
}

/* ------------------------------------------------------------------ booking */

static void test_what_is_accepted_is_reserved(void **state) {
        Fixture *fixture = *state;

        submit(fixture, 1, 40000);
        assert_everywhere(fixture, 40000, 0, 0);
        assert_int_equal(submit_within(fixture, 1, 40000, NULL, NULL), STORE_EXISTS);
        assert_everywhere(fixture, 40000, 0, 0);
}

static void test_images_are_settled_at_their_cost(void **state) {
        run(*state, 1, 40000, ATTEMPT_COMPLETED, JOB_COMPLETED, 33333);
        assert_everywhere(*state, 0, 33333, 0);
}

static void test_a_settlement_above_its_reservation_is_booked_in_full(void **state) {
        run(*state, 1, 40000, ATTEMPT_COMPLETED, JOB_COMPLETED, 50000);
        assert_everywhere(*state, 0, 50000, 0);
}

static void test_a_refusal_releases(void **state) {
        run(*state, 1, 40000, ATTEMPT_REFUSED, JOB_FAILED, 0);
        run(*state, 2, 40000, ATTEMPT_UNSENT, JOB_FAILED, 0);
        assert_everywhere(*state, 0, 0, 0);
}

static void test_an_attempt_to_be_made_again_keeps_its_reservation(void **state) {
        run(*state, 1, 40000, ATTEMPT_UNSENT, JOB_QUEUED, 0);
        assert_everywhere(*state, 40000, 0, 0);
        assert_int_equal(count_entries(*state), 1);
}

static void test_a_lost_answer_is_unknown(void **state) {
        run(*state, 1, 40000, ATTEMPT_UNKNOWN, JOB_FAILED, 0);
        assert_everywhere(*state, 0, 0, 40000);
}

static void test_a_lost_answer_that_is_asked_again_reserves_again(void **state) {
        run(*state, 1, 40000, ATTEMPT_UNKNOWN, JOB_QUEUED, 0);
        assert_everywhere(*state, 40000, 0, 40000);
}

static void test_a_lost_answer_without_room_for_another_fails(void **state) {
        Fixture *fixture = *state;
        const Budget budget = { .limits = { { BUDGET_ALL, "", DAY, 79999, 79999 } }, .n = 1 };
        BudgetVerdict verdict = {};
        Job *job;

        submit(fixture, 1, 40000);
        job = start(fixture, 1);
        assert_int_equal(end_within(fixture, job, ATTEMPT_UNKNOWN, JOB_QUEUED, 0, &budget, &verdict), 0);
        assert_int_equal(job->status, JOB_FAILED);
        assert_string_equal(job->failure.code, "budget_exceeded");
        (void) job_free(job);
        assert_everywhere(fixture, 0, 0, 40000);
        assert_int_equal(store_get(fixture->store, id_of(1), &job), 0);
        assert_int_equal(job->status, JOB_FAILED);
        assert_int_equal(job->cost.unknown, 40000);
        (void) job_free(job);
}

static void test_cancelling_releases(void **state) {
        Fixture *fixture = *state;
        Job *job;

        submit(fixture, 1, 40000);
        assert_int_equal(store_get(fixture->store, id_of(1), &job), 0);
        job->status = JOB_CANCELLED;
        assert_int_equal(COMMITTED(fixture->store, store_end_queued(fixture->store, job)), 0);
        (void) job_free(job);
        assert_everywhere(fixture, 0, 0, 0);
}

static void test_what_costs_nothing_has_no_entry(void **state) {
        run(*state, 1, 0, ATTEMPT_COMPLETED, JOB_COMPLETED, 0);
        run(*state, 2, 0, ATTEMPT_UNKNOWN, JOB_FAILED, 0);
        assert_int_equal(count_entries(*state), 0);
}

/* ------------------------------------------------------------------ budgets */

static void check_limit(Fixture *fixture, BudgetScope scope, const char *name, int period) {
        const Budget budget = { .limits = { { scope, name, period, 100000, 100000 } }, .n = 1 };
        BudgetVerdict verdict = {};

        run(fixture, 1, 20000, ATTEMPT_COMPLETED, JOB_COMPLETED, 20000);
        run(fixture, 2, 20000, ATTEMPT_UNKNOWN, JOB_FAILED, 0);
        assert_int_equal(submit_within(fixture, 3, 60001, &budget, &verdict), STORE_OVER_BUDGET);
        assert_ptr_equal(verdict.exceeded, &budget.limits[0]);
        assert_int_equal(verdict.amounts.spent, 20000);
        assert_int_equal(verdict.amounts.unknown, 20000);
        assert_int_equal(submit_within(fixture, 3, 60000, &budget, &verdict), 0);
        assert_int_equal(submit_within(fixture, 4, 1, &budget, &verdict), STORE_OVER_BUDGET);
        assert_everywhere(fixture, 60000, 20000, 20000);
}

#define LIMIT_TEST(test_name, scope, name, period) \
        static void test_##test_name(void **state) { \
                check_limit(*state, scope, name, period); \
        }
LIMIT_TEST(daily_budget, BUDGET_ALL, "", DAY)
LIMIT_TEST(monthly_budget, BUDGET_ALL, "", MONTH)
LIMIT_TEST(total_budget, BUDGET_ALL, "", BUDGET_PERIOD_EVER)
LIMIT_TEST(daily_budget_of_a_model, BUDGET_MODEL, "m", DAY)
LIMIT_TEST(monthly_budget_of_a_model, BUDGET_MODEL, "m", MONTH)
LIMIT_TEST(total_budget_of_a_model, BUDGET_MODEL, "m", BUDGET_PERIOD_EVER)
LIMIT_TEST(daily_budget_of_a_key, BUDGET_KEY, "k", DAY)
LIMIT_TEST(monthly_budget_of_a_key, BUDGET_KEY, "k", MONTH)
LIMIT_TEST(total_budget_of_a_key, BUDGET_KEY, "k", BUDGET_PERIOD_EVER)

static void test_a_refused_job_leaves_nothing(void **state) {
        Fixture *fixture = *state;
        const Budget budget = { .limits = { { BUDGET_KEY, "k", DAY, 1, 1 } }, .n = 1 };
        Job *job;

        assert_int_equal(submit_within(fixture, 1, 2, &budget, NULL), STORE_OVER_BUDGET);
        assert_int_equal(store_get(fixture->store, id_of(1), &job), STORE_NOT_FOUND);
        assert_int_equal(count_entries(fixture), 0);
        assert_everywhere(fixture, 0, 0, 0);
}

static void test_nothing_fits_while_spending_is_paused(void **state) {
        const Budget budget = { .paused = true };
        BudgetVerdict verdict = {};

        assert_int_equal(submit_within(*state, 1, 1, &budget, &verdict), STORE_OVER_BUDGET);
        assert_null(verdict.exceeded);
        assert_int_equal(submit_within(*state, 1, 0, &budget, &verdict), 0);
}

static void test_an_alert_is_crossed_once(void **state) {
        Fixture *fixture = *state;
        const Budget budget = { .limits = { { BUDGET_ALL, "", DAY, 100000, 80000 } }, .n = 1 };
        static const size_t crossed[] = { 0, 1, 0 };

        for (unsigned i = 0; i < ELEMENTS(crossed); i++) {
                BudgetVerdict verdict = {};
                Job *job;

                submit(fixture, i + 1, 40000);
                job = start(fixture, i + 1);
                assert_int_equal(end_within(fixture, job, ATTEMPT_COMPLETED, JOB_COMPLETED, 40000, &budget, &verdict), 0);
                (void) job_free(job);
                assert_int_equal(verdict.n_crossed, crossed[i]);
        }
}

/* ------------------------------------------------------------------ the check */

/* What it says; NULL: all is sound. */
static char *audit(Fixture *fixture) {
        _cleanup_(ledger_audit_freep) LedgerAudit *audit = NULL;
        char *reason;
        int r;

        assert_int_equal(ledger_audit_new(&audit), 0);
        do
                r = ledger_audit_step(audit, fixture->store, &reason);
        while (r == CHAIN_MORE);
        assert_true(r == 0 || r == CHAIN_BROKEN);
        assert_int_equal(r == CHAIN_BROKEN, reason != NULL);
        return reason;
}

static void write_mixed(Fixture *fixture) {
        run(fixture, 1, 40000, ATTEMPT_COMPLETED, JOB_COMPLETED, 33333);
        run(fixture, 2, 40000, ATTEMPT_UNKNOWN, JOB_FAILED, 0);
        run(fixture, 3, 40000, ATTEMPT_REFUSED, JOB_FAILED, 0);
        submit(fixture, 4, 7);
}

static void execute(Fixture *fixture, const char *text) {
        sqlite3 *database;

        fixture->store = store_free(fixture->store);
        assert_int_equal(sqlite3_open(fixture->path, &database), SQLITE_OK);
        assert_int_equal(sqlite3_exec(database, text, NULL, NULL, NULL), SQLITE_OK);
        (void) sqlite3_close(database);
        assert_int_equal(store_open(&fixture->store, fixture->path), 0);
}

static void test_a_sound_ledger(void **state) {
        _cleanup_free_ char *empty = audit(*state), *said = NULL;

        assert_null(empty);
        write_mixed(*state);
        said = audit(*state);
        assert_null(said);
}

static void test_whatever_was_changed_is_found(void **state) {
        static const char *const changes[] = {
                "UPDATE ledger_entry SET at = at + 1 WHERE number = 3",
                "UPDATE ledger_entry SET kind = 2 WHERE number = 2",
                "UPDATE ledger_entry SET day = day + 1 WHERE number = 1",
                "UPDATE ledger_entry SET job = 'x' WHERE number = 1",
                "UPDATE ledger_entry SET key = NULL WHERE number = 1",
                "UPDATE ledger_entry SET model = 'n' WHERE number = 5",
                "UPDATE ledger_entry SET provider = 'boy' WHERE number = 2",
                "UPDATE ledger_entry SET reserved = reserved + 1 WHERE number = 1",
                "UPDATE ledger_entry SET spent = spent - 1 WHERE number = 2",
                "UPDATE ledger_entry SET unknown = 0 WHERE number = 4",
                "UPDATE ledger_entry SET images = 1 WHERE number = 2",
                "UPDATE ledger_entry SET note = 'paid' WHERE number = 2",
                "UPDATE ledger_entry SET hash = substr(hash, 1, 63) || (substr(hash, 64) = '0') WHERE number = 7",
                "UPDATE ledger_entry SET hash = '' WHERE number = 7",
                "DELETE FROM ledger_entry WHERE number = 1",
                "DELETE FROM ledger_entry WHERE number = 4",
                "DELETE FROM ledger_entry WHERE number = 7",
                "DELETE FROM ledger_entry",
                "UPDATE ledger_total SET spent = spent - 1 WHERE scope = 0 AND period = 0",
                "UPDATE ledger_total SET images = images + 1 WHERE scope = 1 AND period = 202611",
                "DELETE FROM ledger_total WHERE scope = 2 AND period = 20261123",
                "INSERT INTO ledger_total VALUES (2, 20261122, 'k', 0, 0, 0, 0)",
                "UPDATE job SET reserved = 6 WHERE reserved = 7",
        };

        for (size_t i = 0; i < ELEMENTS(changes); i++) {
                Fixture *fixture = *state;
                _cleanup_free_ char *said = NULL;

                write_mixed(fixture);
                execute(fixture, changes[i]);
                said = audit(fixture);
                if (!said)
                        fail_msg("not found: %s", changes[i]);
                execute(fixture, "DELETE FROM job; DELETE FROM ledger_entry; DELETE FROM ledger_total");
        }
}

static void test_a_hash_is_of_the_text_that_anybody_sees(void **state) {
        Fixture *fixture = *state;
        _cleanup_free_ char *text = NULL;
        char previous[SHA256_TEXT_MAX], hash[SHA256_TEXT_MAX];
        LedgerEntry *entries;
        size_t count;

        run(fixture, 1, 5, ATTEMPT_UNKNOWN, JOB_FAILED, 0);
        assert_int_equal(store_ledger_list(fixture->store, 1, 10, &entries, &count, previous), 0);
        assert_int_equal(count, 1);
        text = text_format("{\"number\":2,\"at\":%llu,\"kind\":\"unknown\",\"day\":20261123,\"job\":\"%s\",\"key\":\"k\","
                           "\"model\":\"m\",\"provider\":\"box\",\"reserved_micros\":-5,\"spent_micros\":0,"
                           "\"unknown_micros\":5,\"images\":0,\"previous\":\"%s\"}", (unsigned long long) entries[0].at,
                           id_of(1), previous);
        assert_int_equal(sha256_text(text, strlen(text), hash), 0);
        assert_string_equal(entries[0].hash, hash);
        ledger_entries_free(entries, count);
}

/* ------------------------------------------------------------------ carrying over */

static Store *copy_of(Fixture *fixture) {
        _cleanup_free_ char *text = text_format("VACUUM INTO '%s'", fixture->former_path);
        Store *store;

        execute(fixture, text);
        assert_int_equal(store_open(&store, fixture->former_path), 0);
        return store;
}

static void test_a_restored_ledger_takes_over_what_was_spent_since(void **state) {
        Fixture *fixture = *state;
        Store *restored;
        micros_t carried;

        write_mixed(fixture);
        restored = copy_of(fixture);
        run(fixture, 10, 500, ATTEMPT_COMPLETED, JOB_COMPLETED, 400);
        run(fixture, 11, 500, ATTEMPT_UNKNOWN, JOB_FAILED, 0);
        submit(fixture, 12, 500);
        assert_int_equal(store_ledger_carry_over(restored, fixture->store, &carried), 0);
        assert_int_equal(carried, 900);
        assert_amounts(restored, BUDGET_ALL, DAY, "", 7, 33733, 40500);
        assert_amounts(restored, BUDGET_KEY, MONTH, "k", 7, 33733, 40500);
        assert_amounts(restored, BUDGET_MODEL, BUDGET_PERIOD_EVER, "m", 7, 33733, 40500);

        /* Nothing is carried over twice. */
        assert_int_equal(store_ledger_carry_over(restored, fixture->store, &carried), 0);
        assert_int_equal(carried, 0);
        restored = store_free(restored);
}

static void test_a_ledger_of_somewhere_else_takes_the_greater_spend(void **state) {
        Fixture *fixture = *state;
        Fixture other = { .store = copy_of(fixture) };
        micros_t carried;

        run(fixture, 1, 500, ATTEMPT_COMPLETED, JOB_COMPLETED, 400);
        run(&other, 2, 500, ATTEMPT_COMPLETED, JOB_COMPLETED, 300);
        assert_int_equal(store_ledger_carry_over(other.store, fixture->store, &carried), 0);
        assert_int_equal(carried, 100);
        assert_everywhere(&other, 0, 400, 0);
        assert_int_equal(store_ledger_carry_over(fixture->store, other.store, &carried), 0);
        assert_int_equal(carried, 0);
        other.store = store_free(other.store);
}

int main(void) {
#define TEST(name) cmocka_unit_test_setup_teardown(test_##name, set_up, tear_down)
        const struct CMUnitTest tests[] = {
                TEST(what_is_accepted_is_reserved),
                TEST(images_are_settled_at_their_cost),
                TEST(a_settlement_above_its_reservation_is_booked_in_full),
                TEST(a_refusal_releases),
                TEST(an_attempt_to_be_made_again_keeps_its_reservation),
                TEST(a_lost_answer_is_unknown),
                TEST(a_lost_answer_that_is_asked_again_reserves_again),
                TEST(a_lost_answer_without_room_for_another_fails),
                TEST(cancelling_releases),
                TEST(what_costs_nothing_has_no_entry),
                TEST(daily_budget),
                TEST(monthly_budget),
                TEST(total_budget),
                TEST(daily_budget_of_a_model),
                TEST(monthly_budget_of_a_model),
                TEST(total_budget_of_a_model),
                TEST(daily_budget_of_a_key),
                TEST(monthly_budget_of_a_key),
                TEST(total_budget_of_a_key),
                TEST(a_refused_job_leaves_nothing),
                TEST(nothing_fits_while_spending_is_paused),
                TEST(an_alert_is_crossed_once),
                TEST(a_sound_ledger),
                TEST(whatever_was_changed_is_found),
                TEST(a_hash_is_of_the_text_that_anybody_sees),
                TEST(a_restored_ledger_takes_over_what_was_spent_since),
                TEST(a_ledger_of_somewhere_else_takes_the_greater_spend),
        };

        return cmocka_run_group_tests_name("ledger", tests, NULL, NULL);
}

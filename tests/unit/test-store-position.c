/* How many jobs go before one: as they would be dispatched, party by party, and counted no further than asked. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "dispatch/fair-share.h"
#include "store/store.h"

#define LEASE "00000000000000000000000000000001"
#define NOW 1000000
#define LIMIT 1000

typedef struct Fixture {
        char folder[64], path[96];
        Store *store;
        unsigned number;
} Fixture;

static int set_up(void **state) {
        Fixture *fixture = calloc(1, sizeof(*fixture));

        (void) strcpy(fixture->folder, "/tmp/atelier-store-XXXXXX");
        assert_non_null(mkdtemp(fixture->folder));
        (void) snprintf(fixture->path, sizeof(fixture->path), "%s/db", fixture->folder);
        assert_int_equal(store_open(&fixture->store, fixture->path), 0);
        assert_int_equal(store_group_begin(fixture->store), 0);
        *state = fixture;
        return 0;
}

static int tear_down(void **state) {
        Fixture *fixture = *state;
        char path[sizeof(fixture->path) + 8];

        (void) store_free(fixture->store);
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

/* A job of that party ("": no key); returns its number. */
static unsigned add_to(Fixture *fixture, const char *model, const char *party, JobPriority priority) {
        Job *job = calloc(1, sizeof(*job));

        assert_non_null(job);
        (void) strcpy(job->id, id_of(++fixture->number));
        job->model = strdup(model);
        job->response_format = strdup("url");
        job->request = strdup("{\"prompt\":\"a\"}");
        job->key = *party ? strdup(party) : NULL;
        job->priority = priority;
        job->created_at = NOW;
        assert_int_equal(store_submit(fixture->store, job, NULL, NULL), 0);
        (void) job_free(job);
        return fixture->number;
}

static unsigned add(Fixture *fixture, const char *party) {
        return add_to(fixture, "m", party, JOB_PRIORITY_NORMAL);
}

/* Makes it a retry that is due at that time. */
static void fail_until(Fixture *fixture, unsigned number, usec_t not_before) {
        Job *job;

        assert_int_equal(store_start_attempt(fixture->store, id_of(number), "p", LEASE, NOW, &job), 0);
        job->status = JOB_QUEUED;
        job->not_before = not_before;
        job->attempts[job->n_attempts - 1].outcome = ATTEMPT_REFUSED;
        job->attempts[job->n_attempts - 1].ended_at = NOW;
        assert_int_equal(store_end_attempt(fixture->store, job, NULL, NULL), 0);
        (void) job_free(job);
}

static int64_t ahead_within(Fixture *fixture, unsigned number, const char *last, int64_t limit) {
        _cleanup_(job_freep) Job *job = NULL;
        int64_t ahead = -1;

        assert_int_equal(store_get(fixture->store, id_of(number), &job), 0);
        assert_int_equal(store_count_ahead(fixture->store, job, last, NOW, limit, &ahead), 0);
        return ahead;
}

static int64_t ahead(Fixture *fixture, unsigned number, const char *last) {
        return ahead_within(fixture, number, last, LIMIT);
}

static void test_a_party_of_its_own_goes_by_priority_and_acceptance(void **state) {
        unsigned low = add_to(*state, "m", "", JOB_PRIORITY_LOW), first = add(*state, ""), second = add(*state, "");
        unsigned high = add_to(*state, "m", "", JOB_PRIORITY_HIGH);

        assert_int_equal(ahead(*state, high, ""), 0);
        assert_int_equal(ahead(*state, first, ""), 1);
        assert_int_equal(ahead(*state, second, ""), 2);
        assert_int_equal(ahead(*state, low, ""), 3);
}

static void test_other_lanes_do_not_count(void **state) {
        unsigned job;

        (void) add_to(*state, "other", "", JOB_PRIORITY_HIGH);
        job = add(*state, "");
        assert_int_equal(ahead(*state, job, ""), 0);
}

static void test_other_parties_count_with_the_turns_they_have(void **state) {
        unsigned b1, b2;

        for (unsigned i = 0; i < 50; i++)
                (void) add(*state, "a");
        b1 = add(*state, "b");
        b2 = add(*state, "b");
        (void) add(*state, "c");
        /* After a: b c a b a …; after b: c a b a b. */
        assert_int_equal(ahead(*state, b1, "a"), 0);
        assert_int_equal(ahead(*state, b2, "a"), 3);
        assert_int_equal(ahead(*state, b1, "b"), 2);
        assert_int_equal(ahead(*state, b1, ""), 1);
}

static void test_retries_that_are_due_go_first(void **state) {
        unsigned due = add(*state, "a"), later = add(*state, "a"), next = add(*state, "a"), job = add(*state, "b");

        fail_until(*state, due, NOW - 2);
        fail_until(*state, next, NOW - 1);
        fail_until(*state, later, NOW + 1);
        assert_int_equal(ahead(*state, job, ""), 2);
        assert_int_equal(ahead(*state, due, ""), 0);
        assert_int_equal(ahead(*state, next, ""), 1);
}

static void test_counting_ends_at_the_limit(void **state) {
        unsigned tenth = 0, eleventh;

        for (unsigned i = 0; i < 10; i++)
                tenth = add(*state, "a");
        eleventh = add(*state, "a");
        assert_int_equal(ahead_within(*state, tenth, "", 10), 9);
        assert_int_equal(ahead_within(*state, eleventh, "", 10), 10);
        assert_int_equal(ahead_within(*state, add(*state, "a"), "", 10), 10);
        assert_int_equal(ahead_within(*state, add(*state, "b"), "", 10), 1);
}

/* The order in which the dispatcher takes them is the judge. */
static void test_position_is_the_order_of_dispatch(void **state) {
        static const char *const parties[] = { "", "a", "b", "c" };
        Fixture *fixture = *state;
        FairShare *share;
        unsigned seed = 7;
        WaitingJob job;
        int r;

        assert_int_equal(fair_share_new(&share), 0);
        for (unsigned i = 0; i < 60; i++) {
                seed = seed * 1103515245 + 12345;
                (void) add_to(fixture, "m", parties[(seed >> 16) % ELEMENTS(parties)],
                              (JobPriority) ((int) ((seed >> 20) % 3) - 1));
        }
        assert_int_equal(fair_share_take(share, "m", "b"), 0);
        for (unsigned left = 60; left > 0; left--) {
                _cleanup_(job_freep) Job *started = NULL;
                int64_t places[60] = {};
                unsigned counted = 0;

                for (unsigned number = 1; number <= fixture->number; number++) {
                        _cleanup_(job_freep) Job *waiting = NULL;
                        int64_t place;

                        assert_int_equal(store_get(fixture->store, id_of(number), &waiting), 0);
                        if (waiting->status != JOB_QUEUED)
                                continue;
                        place = ahead(fixture, number, fair_share_last(share, "m"));
                        assert_true(place >= 0 && place < (int64_t) left);
                        assert_int_equal(places[place]++, 0);
                        counted++;
                }
                assert_int_equal(counted, left);
                r = store_next_party(fixture->store, "m", fair_share_last(share, "m"), &job);
                if (r == STORE_NOT_FOUND)
                        r = store_next_untried(fixture->store, "m", NULL, &job);
                assert_int_equal(r, 0);
                assert_int_equal(ahead(fixture, (unsigned) job.sequence, fair_share_last(share, "m")), 0);
                assert_int_equal(fair_share_take(share, "m", job.party), 0);
                assert_int_equal(store_start_attempt(fixture->store, job.id, "p", LEASE, NOW, &started), 0);
        }
        (void) fair_share_free(share);
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test_setup_teardown(test_a_party_of_its_own_goes_by_priority_and_acceptance, set_up,
                                                tear_down),
                cmocka_unit_test_setup_teardown(test_other_lanes_do_not_count, set_up, tear_down),
                cmocka_unit_test_setup_teardown(test_other_parties_count_with_the_turns_they_have, set_up, tear_down),
                cmocka_unit_test_setup_teardown(test_retries_that_are_due_go_first, set_up, tear_down),
                cmocka_unit_test_setup_teardown(test_counting_ends_at_the_limit, set_up, tear_down),
                cmocka_unit_test_setup_teardown(test_position_is_the_order_of_dispatch, set_up, tear_down),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}

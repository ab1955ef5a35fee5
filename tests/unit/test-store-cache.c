/* Pictures that serve more than one request: who is served, who waits for whom, and what goes when there is no room. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "store/store-cache.h"

#define LEASE "00000000000000000000000000000001"
#define PICTURE "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
#define OTHER_PICTURE "bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb"
#define IMAGE_SIZE 100
#define BYTES_MAX (10 * IMAGE_SIZE)
#define PRICE 40000

typedef struct Fixture {
        char folder[64], path[96];
        Store *store;
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

static void write_id(char id[static JOB_ID_MAX], unsigned number) {
        (void) snprintf(id, JOB_ID_MAX, JOB_ID_PREFIX "%032x", number);
}

/* What became of a submission. */
typedef struct Submitted {
        JobStatus status;
        JobOrigin origin;
        bool follows;
        size_t n_images;
} Submitted;

static Submitted submit_at(Fixture *fixture, unsigned number, const char *picture, usec_t now, usec_t made_after,
                           bool lookup) {
        Job *job = calloc(1, sizeof(*job));
        Submitted submitted;

        assert_non_null(job);
        write_id(job->id, number);
        job->model = strdup("m");
        job->response_format = strdup("url");
        job->request = strdup("{\"prompt\":\"a\"}");
        job->created_at = now;
        job->cost_before = (JobCost) { .reserved = PRICE, .day = 20261123 };
        (void) strcpy(job->cache.picture, picture);
        job->cache.lookup = lookup;
        job->cache.made_after = made_after;
        assert_int_equal(store_submit(fixture->store, job, NULL, NULL), 0);
        submitted = (Submitted) { job->status, job->cache.origin, job->cache.follows, job->n_images };
        (void) job_free(job);
        return submitted;
}

static Submitted submit(Fixture *fixture, unsigned number, const char *picture) {
        return submit_at(fixture, number, picture, 1000 + number, 0, true);
}

static Job *get(Fixture *fixture, unsigned number) {
        char id[JOB_ID_MAX];
        Job *job;

        write_id(id, number);
        assert_int_equal(store_get(fixture->store, id, &job), 0);
        return job;
}

static void assert_job(Fixture *fixture, unsigned number, JobStatus status, JobOrigin origin, size_t n_images) {
        _cleanup_(job_freep) Job *job = get(fixture, number);

        assert_int_equal(job->status, status);
        assert_int_equal(job->cache.origin, origin);
        assert_int_equal(job->n_images, n_images);
        assert_int_equal(job->cost.reserved, !job_status_ended(status) && origin == JOB_ORIGIN_MADE ? PRICE : 0);
        if (job_status_ended(status))
                assert_int_equal(job->cost.charged, status == JOB_COMPLETED && origin == JOB_ORIGIN_MADE ? PRICE : 0);
}

/* Starts the job and ends it, completed or failed, at `now`; returns how many ended with it. */
static size_t end_at(Fixture *fixture, unsigned number, JobStatus status, usec_t now, uint64_t bytes_max) {
        char id[JOB_ID_MAX];
        Attempt *attempt;
        size_t n_ended;
        Job *job;

        write_id(id, number);
        assert_int_equal(store_start_attempt(fixture->store, id, "p", LEASE, now, &job), 0);
        attempt = &job->attempts[job->n_attempts - 1];
        attempt->outcome = status == JOB_COMPLETED ? ATTEMPT_COMPLETED : ATTEMPT_REFUSED;
        attempt->ended_at = job->ended_at = now;
        job->status = status;
        job->cache.bytes_max = bytes_max;
        if (status == JOB_COMPLETED) {
                attempt->cost = PRICE;
                job->images = calloc(1, sizeof(*job->images));
                job->n_images = 1;
                (void) snprintf(job->images[0].facts.sha256, SHA256_TEXT_MAX, "%064x", number);
                job->images[0].facts.size_bytes = IMAGE_SIZE;
                job->reply = cJSON_CreateObject();
                (void) cJSON_AddStringToObject(job->reply, "size", "1x1");
        } else
                assert_int_equal(failure_set(&job->failure, 400, "t", "moderation_blocked", NULL, "no"), 0);
        assert_int_equal(store_end_attempt(fixture->store, job, NULL, NULL), 0);
        n_ended = job->cache.n_ended;
        (void) job_free(job);
        return n_ended;
}

static size_t complete(Fixture *fixture, unsigned number) {
        return end_at(fixture, number, JOB_COMPLETED, 2000 + number, BYTES_MAX);
}

static void assert_total(Fixture *fixture, int64_t entries) {
        CacheTotal total;

        assert_int_equal(store_cache_get_total(fixture->store, &total), 0);
        assert_int_equal(total.entries, entries);
        assert_int_equal(total.size_bytes, entries * IMAGE_SIZE);
}

static void test_what_was_made_serves_again(void **state) {
        Fixture *fixture = *state;
        _cleanup_(job_freep) Job *job = NULL;
        Submitted submitted;

        submitted = submit(fixture, 1, PICTURE);
        assert_int_equal(submitted.status, JOB_QUEUED);
        assert_false(submitted.follows);
        assert_int_equal(complete(fixture, 1), 0);
        assert_total(fixture, 1);

        submitted = submit(fixture, 2, PICTURE);
        assert_int_equal(submitted.status, JOB_COMPLETED);
        assert_int_equal(submitted.origin, JOB_ORIGIN_CACHED);
        assert_int_equal(submitted.n_images, 1);
        assert_job(fixture, 2, JOB_COMPLETED, JOB_ORIGIN_CACHED, 1);
        job = get(fixture, 2);
        assert_string_equal(json_get_string(job->reply, "size"), "1x1");
        assert_int_equal(job->n_attempts, 0);
        assert_int_equal(job->cost.entry, 0);

        submitted = submit(fixture, 3, OTHER_PICTURE);
        assert_int_equal(submitted.status, JOB_QUEUED);
}

static void test_who_wants_a_new_one_gets_it(void **state) {
        Fixture *fixture = *state;

        (void) submit(fixture, 1, PICTURE);
        (void) complete(fixture, 1);
        assert_int_equal(submit_at(fixture, 2, PICTURE, 3000, 0, false).status, JOB_QUEUED);
        assert_false(submit_at(fixture, 3, PICTURE, 3000, 0, false).follows);
        assert_int_equal(submit_at(fixture, 4, "", 3000, 0, true).status, JOB_QUEUED);
}

/* The newer one then serves others. */
static void test_a_new_one_takes_the_place_of_the_old(void **state) {
        Fixture *fixture = *state;
        _cleanup_(job_freep) Job *job = NULL;

        (void) submit(fixture, 1, PICTURE);
        (void) complete(fixture, 1);
        (void) submit_at(fixture, 2, PICTURE, 3000, 0, false);
        (void) complete(fixture, 2);
        assert_total(fixture, 1);
        (void) submit(fixture, 3, PICTURE);
        job = get(fixture, 3);
        assert_int_equal(job->images[0].facts.sha256[SHA256_TEXT_MAX - 2], '2');
}

static void test_an_entry_lasts_until_its_time(void **state) {
        Fixture *fixture = *state;

        (void) submit(fixture, 1, PICTURE);
        (void) end_at(fixture, 1, JOB_COMPLETED, 5000, BYTES_MAX);
        assert_int_equal(submit_at(fixture, 2, PICTURE, 6000, 4999, true).origin, JOB_ORIGIN_CACHED);
        assert_int_equal(submit_at(fixture, 3, PICTURE, 6000, 5000, true).origin, JOB_ORIGIN_MADE);
}

static void test_an_entry_goes_with_its_job(void **state) {
        Fixture *fixture = *state;
        char id[JOB_ID_MAX];

        (void) submit(fixture, 1, PICTURE);
        (void) complete(fixture, 1);
        (void) submit(fixture, 2, PICTURE);
        write_id(id, 1);
        assert_int_equal(store_delete(fixture->store, id), 0);
        assert_total(fixture, 0);
        assert_job(fixture, 2, JOB_COMPLETED, JOB_ORIGIN_CACHED, 1);
        assert_int_equal(submit(fixture, 3, PICTURE).status, JOB_QUEUED);
}

static void picture_of(char picture[static SHA256_TEXT_MAX], unsigned number) {
        (void) snprintf(picture, SHA256_TEXT_MAX, "%064x", number);
}

/* As many as fit stay, to the byte; past it the one goes that was asked for the longest ago. */
static void test_the_cache_is_bounded(void **state) {
        enum { FIT = BYTES_MAX / IMAGE_SIZE };
        Fixture *fixture = *state;
        char picture[SHA256_TEXT_MAX];
        bool there;

        for (unsigned i = 1; i <= FIT; i++) {
                picture_of(picture, i);
                (void) submit(fixture, i, picture);
                (void) complete(fixture, i);
        }
        assert_total(fixture, FIT);
        picture_of(picture, 1);
        assert_int_equal(submit_at(fixture, 100, picture, 9000, 0, true).origin, JOB_ORIGIN_CACHED);

        (void) submit(fixture, 101, PICTURE);
        (void) end_at(fixture, 101, JOB_COMPLETED, 9001, BYTES_MAX);
        assert_total(fixture, FIT);
        assert_int_equal(store_cache_has(fixture->store, picture, 0, &there), 0);
        assert_true(there);
        picture_of(picture, 2);
        assert_int_equal(store_cache_has(fixture->store, picture, 0, &there), 0);
        assert_false(there);
}

static void test_what_alone_is_too_large_is_left_out(void **state) {
        Fixture *fixture = *state;

        (void) submit(fixture, 1, PICTURE);
        (void) end_at(fixture, 1, JOB_COMPLETED, 2000, IMAGE_SIZE - 1);
        assert_total(fixture, 0);
        (void) submit(fixture, 2, PICTURE);
        (void) end_at(fixture, 2, JOB_COMPLETED, 2000, IMAGE_SIZE);
        assert_total(fixture, 1);
}

static void test_followers_end_as_their_leader(void **state) {
        Fixture *fixture = *state;
        int64_t waiting;

        (void) submit(fixture, 1, PICTURE);
        for (unsigned i = 2; i <= 4; i++) {
                Submitted submitted = submit(fixture, i, PICTURE);

                assert_int_equal(submitted.status, JOB_QUEUED);
                assert_true(submitted.follows);
                assert_job(fixture, i, JOB_QUEUED, JOB_ORIGIN_SHARED, 0);
        }
        assert_int_equal(store_count_waiting(fixture->store, &waiting), 0);
        assert_int_equal(waiting, 1);
        assert_int_equal(complete(fixture, 1), 3);
        for (unsigned i = 2; i <= 4; i++)
                assert_job(fixture, i, JOB_COMPLETED, JOB_ORIGIN_SHARED, 1);
        assert_int_equal(store_count_following(fixture->store, &waiting), 0);
        assert_int_equal(waiting, 0);
}

static void test_followers_fail_with_their_leader(void **state) {
        Fixture *fixture = *state;
        _cleanup_(job_freep) Job *job = NULL;

        (void) submit(fixture, 1, PICTURE);
        (void) submit(fixture, 2, PICTURE);
        assert_int_equal(end_at(fixture, 1, JOB_FAILED, 2000, BYTES_MAX), 1);
        assert_job(fixture, 2, JOB_FAILED, JOB_ORIGIN_SHARED, 0);
        job = get(fixture, 2);
        assert_string_equal(job->failure.code, "moderation_blocked");
        assert_total(fixture, 0);
        assert_false(submit(fixture, 3, PICTURE).follows);
}

/* A job whose attempt is made again is still the leader. */
static void test_followers_wait_through_a_retry(void **state) {
        Fixture *fixture = *state;

        (void) submit(fixture, 1, PICTURE);
        (void) submit(fixture, 2, PICTURE);
        assert_int_equal(end_at(fixture, 1, JOB_QUEUED, 2000, BYTES_MAX), 0);
        assert_job(fixture, 2, JOB_QUEUED, JOB_ORIGIN_SHARED, 0);
        assert_true(submit(fixture, 3, PICTURE).follows);
        assert_int_equal(complete(fixture, 1), 2);
}

static void test_only_so_many_follow_one(void **state) {
        Fixture *fixture = *state;

        (void) submit(fixture, 1, PICTURE);
        for (unsigned i = 0; i < STORE_FOLLOWERS_MAX; i++)
                assert_true(submit(fixture, 2 + i, PICTURE).follows);
        assert_false(submit(fixture, 10000, PICTURE).follows);
        assert_true(submit(fixture, 10001, PICTURE).follows);
        assert_int_equal(complete(fixture, 10000), 1);
        assert_int_equal(complete(fixture, 1), STORE_FOLLOWERS_MAX);
}

static void cancel(Fixture *fixture, Job *job) {
        job->status = JOB_CANCELLED;
        job->ended_at = 2000;
        assert_int_equal(store_end_queued(fixture->store, job), 0);
}

static void test_a_cancelled_leader_is_followed_by_another(void **state) {
        Fixture *fixture = *state;
        _cleanup_(job_freep) Job *leader = NULL, *follower = NULL, *none = NULL;

        for (unsigned i = 1; i <= 3; i++)
                (void) submit(fixture, i, PICTURE);
        leader = get(fixture, 1);
        cancel(fixture, leader);
        assert_int_equal(store_next_follower(fixture->store, leader, &follower), 0);
        follower->cost_before.day = 20261123;
        assert_int_equal(store_promote(fixture->store, follower, leader, PRICE, false, NULL, NULL), 0);
        assert_job(fixture, 2, JOB_QUEUED, JOB_ORIGIN_MADE, 0);
        assert_int_equal(store_next_follower(fixture->store, leader, &none), STORE_NOT_FOUND);
        assert_int_equal(complete(fixture, 2), 1);
        assert_job(fixture, 3, JOB_COMPLETED, JOB_ORIGIN_SHARED, 1);
}

/* It stays where it was, with nothing reserved. */
static void test_who_has_no_budget_is_no_leader(void **state) {
        Fixture *fixture = *state;
        _cleanup_(job_freep) Job *leader = NULL, *follower = NULL;
        BudgetVerdict verdict = {};
        Budget budget = { .limits = { { .scope = BUDGET_ALL, .name = "", .limit = PRICE - 1, .alert = PRICE } }, .n = 1 };

        (void) submit(fixture, 1, PICTURE);
        (void) submit(fixture, 2, PICTURE);
        leader = get(fixture, 1);
        cancel(fixture, leader);
        assert_int_equal(store_next_follower(fixture->store, leader, &follower), 0);
        follower->cost_before.day = 20261123;
        assert_int_equal(store_promote(fixture->store, follower, leader, PRICE, false, &budget, &verdict),
                         STORE_OVER_BUDGET);
        assert_job(fixture, 2, JOB_QUEUED, JOB_ORIGIN_SHARED, 0);
}

static void test_a_follower_is_cancelled_alone(void **state) {
        Fixture *fixture = *state;
        _cleanup_(job_freep) Job *follower = NULL;

        (void) submit(fixture, 1, PICTURE);
        (void) submit(fixture, 2, PICTURE);
        (void) submit(fixture, 3, PICTURE);
        follower = get(fixture, 2);
        cancel(fixture, follower);
        assert_int_equal(complete(fixture, 1), 1);
        assert_job(fixture, 3, JOB_COMPLETED, JOB_ORIGIN_SHARED, 1);
}

static void test_clearing_forgets_all_and_no_image(void **state) {
        Fixture *fixture = *state;

        (void) submit(fixture, 1, PICTURE);
        (void) complete(fixture, 1);
        (void) submit(fixture, 2, OTHER_PICTURE);
        (void) complete(fixture, 2);
        assert_int_equal(store_cache_clear(fixture->store, 1), 1);
        assert_int_equal(store_cache_clear(fixture->store, 10), 1);
        assert_total(fixture, 0);
        assert_job(fixture, 1, JOB_COMPLETED, JOB_ORIGIN_MADE, 1);
        assert_int_equal(submit(fixture, 3, PICTURE).status, JOB_QUEUED);
}

#define TEST(name) cmocka_unit_test_setup_teardown(test_##name, set_up, tear_down)

int main(void) {
        const struct CMUnitTest tests[] = {
                TEST(what_was_made_serves_again),
                TEST(who_wants_a_new_one_gets_it),
                TEST(a_new_one_takes_the_place_of_the_old),
                TEST(an_entry_lasts_until_its_time),
                TEST(an_entry_goes_with_its_job),
                TEST(the_cache_is_bounded),
                TEST(what_alone_is_too_large_is_left_out),
                TEST(followers_end_as_their_leader),
                TEST(followers_fail_with_their_leader),
                TEST(followers_wait_through_a_retry),
                TEST(only_so_many_follow_one),
                TEST(a_cancelled_leader_is_followed_by_another),
                TEST(who_has_no_budget_is_no_leader),
                TEST(a_follower_is_cancelled_alone),
                TEST(clearing_forgets_all_and_no_image),
        };

        return cmocka_run_group_tests_name("store-cache", tests, NULL, NULL);
}

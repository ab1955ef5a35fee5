/* Defects in the store: whose they are, since when, and how many are told. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "store/store-defect.h"
#include "store/store-private.h"

#define LEASE "00000000000000000000000000000001"
#define DAY 20261123
#define COST 40001

typedef struct Fixture {
        char folder[64], path[96];
        Store *store;
} Fixture;

static int set_up(void **state) {
        Fixture *fixture = calloc(1, sizeof(*fixture));

        (void) strcpy(fixture->folder, "/tmp/atelier-defect-XXXXXX");
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

/* A job that ends at `at` with two images and `n` defects of the second. */
static void make(Fixture *fixture, unsigned number, usec_t at, size_t n) {
        Job job = {
                .model = (char *) "m",
                .key = (char *) "k",
                .response_format = (char *) "url",
                .request = (char *) "{}",
                .created_at = 1,
                .cost_before = { .reserved = COST, .day = DAY },
        };
        _cleanup_(job_freep) Job *started = NULL;

        (void) strcpy(job.id, id_of(number));
        assert_int_equal(store_group_begin(fixture->store), 0);
        assert_int_equal(store_submit(fixture->store, &job, NULL, NULL), 0);
        assert_int_equal(store_start_attempt(fixture->store, job.id, "box", LEASE, 2, &started), 0);
        started->images = calloc(2, sizeof(*started->images));
        started->n_images = 2;
        for (size_t i = 0; i < 2; i++) {
                started->images[i].facts = (ImageFacts) { .format = IMAGE_PNG, .width = 1, .height = 1 };
                (void) memset(started->images[i].facts.sha256, 'a' + (int) i, SHA256_TEXT_MAX - 1);
        }
        started->defects = calloc(n, sizeof(*started->defects));
        started->n_defects = n;
        for (size_t i = 0; i < n; i++)
                started->defects[i] = (Defect) { .kind = DEFECT_DUPLICATE, .image = 2, .detail = strdup("again") };
        started->attempts[0].outcome = ATTEMPT_COMPLETED;
        started->attempts[0].ended_at = at;
        started->attempts[0].cost = COST;
        started->status = JOB_COMPLETED;
        assert_int_equal(store_end_attempt(fixture->store, started, NULL, NULL), 0);
        assert_int_equal(store_group_commit(fixture->store), 0);
}

static size_t list(Fixture *fixture, int64_t after, usec_t since, size_t limit, int64_t first) {
        Defect *defects;
        size_t count;

        assert_int_equal(store_list_defects(fixture->store, after, since, limit, &defects, &count), 0);
        if (count > 0)
                assert_int_equal(defects[0].number, first);
        defects_free(defects, count);
        return count;
}

static void test_what_was_recorded_is_read(void **state) {
        Fixture *fixture = *state;
        Defect *defects;
        size_t count;

        make(fixture, 7, 500, 1);
        assert_int_equal(store_list_defects(fixture->store, 0, 0, 10, &defects, &count), 0);
        assert_int_equal(count, 1);
        assert_int_equal(defects[0].kind, DEFECT_DUPLICATE);
        assert_int_equal(defects[0].at, 500);
        assert_int_equal(defects[0].image, 2);
        assert_int_equal(defects[0].charged, COST / 2);
        assert_int_equal(defects[0].unknown, 0);
        assert_string_equal(defects[0].detail, "again");
        assert_string_equal(defects[0].job, id_of(7));
        assert_string_equal(defects[0].key, "k");
        assert_string_equal(defects[0].provider, "box");
        assert_string_equal(defects[0].model, "m");
        assert_null(defects[0].provider_request_id);
        defects_free(defects, count);
}

/* The clock was set back between the second and the third. */
static void test_a_time_leaves_out_what_is_older(void **state) {
        make(*state, 1, 1000, 1);
        make(*state, 2, 3000, 1);
        make(*state, 3, 2000, 1);
        assert_int_equal(list(*state, 0, 0, 10, 1), 3);
        assert_int_equal(list(*state, 0, 1000, 10, 1), 3);
        assert_int_equal(list(*state, 0, 1001, 10, 2), 2);
        assert_int_equal(list(*state, 0, 2000, 10, 2), 2);
        assert_int_equal(list(*state, 0, 2001, 10, 2), 1);
        assert_int_equal(list(*state, 0, 3001, 10, 0), 0);
}

static void test_pages_are_of_those_since(void **state) {
        make(*state, 1, 1000, 2);
        make(*state, 2, 2000, 3);
        assert_int_equal(list(*state, 0, 2000, 2, 3), 2);
        assert_int_equal(list(*state, 4, 2000, 2, 5), 1);
        assert_int_equal(list(*state, 5, 0, 2, 0), 0);
}

static void test_a_job_has_its_own_without_being_there(void **state) {
        Fixture *fixture = *state;
        Defect *defects;
        size_t count;

        make(fixture, 1, 1000, 1);
        make(fixture, 2, 2000, 2);
        assert_int_equal(store_group_begin(fixture->store), 0);
        assert_int_equal(store_delete(fixture->store, id_of(2)), 0);
        assert_int_equal(store_group_commit(fixture->store), 0);
        assert_int_equal(store_list_job_defects(fixture->store, id_of(2), &defects, &count), 0);
        assert_int_equal(count, 2);
        assert_int_equal(defects[0].number, 2);
        assert_int_equal(defects[1].number, 3);
        defects_free(defects, count);
        assert_int_equal(store_list_job_defects(fixture->store, id_of(3), &defects, &count), 0);
        assert_int_equal(count, 0);
        defects_free(defects, count);
}

static void assert_told(Fixture *fixture, unsigned job, size_t count, int64_t first) {
        Defect *defects;
        size_t told;

        assert_int_equal(store_list_job_defects(fixture->store, id_of(job), &defects, &told), 0);
        assert_int_equal(told, count);
        assert_int_equal(defects[0].number, first);
        defects_free(defects, told);
}

static void test_the_newest_of_a_job_are_told(void **state) {
        make(*state, 1, 1000, JOB_DEFECTS_MAX);
        make(*state, 2, 2000, JOB_DEFECTS_MAX + 1);
        assert_told(*state, 1, JOB_DEFECTS_MAX, 1);
        assert_told(*state, 2, JOB_DEFECTS_MAX, JOB_DEFECTS_MAX + 2);
}

static void test_a_job_tells_them_once_they_are_read(void **state) {
        Fixture *fixture = *state;
        _cleanup_(job_freep) Job *job = NULL;
        _cleanup_(json_freep) JsonValue *before = NULL, *after = NULL;
        _cleanup_free_ char *text = NULL;

        make(fixture, 1, 1000, 1);
        assert_int_equal(store_get(fixture->store, id_of(1), &job), 0);
        before = job_to_json(job);
        assert_false(json_has(before, "defects"));
        assert_int_equal(store_read_job_defects(fixture->store, job), 0);
        after = job_to_json(job);
        text = json_format(json_member(after, "defects"));
        assert_string_equal(text, "[{\"kind\":\"duplicate_image\",\"detail\":\"again\",\"image\":2,"
                                  "\"charged_micros\":20000,\"unknown_micros\":0}]");
}

#define STORE_TEST(name) cmocka_unit_test_setup_teardown(test_##name, set_up, tear_down)

int main(void) {
        const struct CMUnitTest tests[] = {
                STORE_TEST(what_was_recorded_is_read),
                STORE_TEST(a_time_leaves_out_what_is_older),
                STORE_TEST(pages_are_of_those_since),
                STORE_TEST(a_job_has_its_own_without_being_there),
                STORE_TEST(the_newest_of_a_job_are_told),
                STORE_TEST(a_job_tells_them_once_they_are_read),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}

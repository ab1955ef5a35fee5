/* Helper threads: work beside the loop, its end on the loop, and nothing lost when the pool goes. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>
#include <errno.h>
#include <pthread.h>
#include <signal.h>

#include "base/time.h"
#include "io/thread-pool.h"

#define THREADS 3
#define PATIENCE_USEC (20 * USEC_PER_SEC)

typedef struct Fixture {
        sd_event *event;
        ThreadPool *pool;
        pthread_barrier_t barrier;
} Fixture;

typedef struct TestTask {
        Fixture *fixture;
        int returns, result;
        unsigned done;
        pthread_t worked_in, told_in;
        bool blocks_signals;
        struct TestTask *then;
} TestTask;

static int set_up(void **state) {
        Fixture *fixture = calloc(1, sizeof(*fixture));

        assert_true(sd_event_new(&fixture->event) >= 0);
        assert_int_equal(thread_pool_new(&fixture->pool, fixture->event, "test", THREADS), 0);
        *state = fixture;
        return 0;
}

static int tear_down(void **state) {
        Fixture *fixture = *state;

        (void) thread_pool_free(fixture->pool);
        sd_event_unref(fixture->event);
        free(fixture);
        return 0;
}

static int work(void *userdata) {
        TestTask *task = userdata;
        sigset_t blocked;

        task->worked_in = pthread_self();
        (void) pthread_sigmask(SIG_SETMASK, NULL, &blocked);
        task->blocks_signals = sigismember(&blocked, SIGTERM) && sigismember(&blocked, SIGCHLD);
        return task->returns;
}

/* Ends only when as many tasks are at it. */
static int work_together(void *userdata) {
        TestTask *task = userdata;

        (void) pthread_barrier_wait(&task->fixture->barrier);
        return work(userdata);
}

static void done(void *userdata, int result) {
        TestTask *task = userdata;

        task->done++;
        task->result = result;
        task->told_in = pthread_self();
        if (task->then)
                assert_int_equal(thread_pool_run(task->fixture->pool, work, done, task->then), 0);
}

static void run_until_idle(Fixture *fixture) {
        usec_t deadline = time_now_monotonic() + PATIENCE_USEC;

        while (thread_pool_pending(fixture->pool) > 0) {
                assert_true(time_now_monotonic() < deadline);
                assert_true(sd_event_run(fixture->event, 100 * USEC_PER_MSEC) >= 0);
        }
}

static void test_work_is_done_beside_and_told_on_the_loop(void **state) {
        Fixture *fixture = *state;
        TestTask task = { .fixture = fixture, .returns = -EDOM };

        assert_int_equal(thread_pool_run(fixture->pool, work, done, &task), 0);
        assert_int_equal(thread_pool_pending(fixture->pool), 1);
        assert_int_equal(task.done, 0);
        run_until_idle(fixture);
        assert_int_equal(task.done, 1);
        assert_int_equal(task.result, -EDOM);
        assert_false(pthread_equal(task.worked_in, pthread_self()));
        assert_true(pthread_equal(task.told_in, pthread_self()));
        assert_true(task.blocks_signals);
}

static void test_many_tasks_are_each_told_once(void **state) {
        Fixture *fixture = *state;
        TestTask *tasks = calloc(500, sizeof(*tasks));

        for (int i = 0; i < 500; i++) {
                tasks[i] = (TestTask) { .fixture = fixture, .returns = -i };
                assert_int_equal(thread_pool_run(fixture->pool, work, done, &tasks[i]), 0);
        }
        run_until_idle(fixture);
        for (int i = 0; i < 500; i++) {
                assert_int_equal(tasks[i].done, 1);
                assert_int_equal(tasks[i].result, -i);
        }
        free(tasks);
}

/* A barrier for all threads: it opens only if none of the tasks waits behind another. */
static void test_tasks_run_beside_each_other(void **state) {
        Fixture *fixture = *state;
        TestTask tasks[THREADS];

        assert_int_equal(pthread_barrier_init(&fixture->barrier, NULL, THREADS), 0);
        for (unsigned round = 0; round < 20; round++) {
                for (unsigned i = 0; i < THREADS; i++) {
                        tasks[i] = (TestTask) { .fixture = fixture };
                        assert_int_equal(thread_pool_run(fixture->pool, work_together, done, &tasks[i]), 0);
                }
                run_until_idle(fixture);
        }
        (void) pthread_barrier_destroy(&fixture->barrier);
}

static void test_done_may_start_the_next(void **state) {
        Fixture *fixture = *state;
        TestTask second = { .fixture = fixture }, first = { .fixture = fixture, .then = &second };

        assert_int_equal(thread_pool_run(fixture->pool, work, done, &first), 0);
        run_until_idle(fixture);
        assert_int_equal(second.done, 1);
}

/* The threads are kept at the barrier until all but one task wait behind them. */
static void test_freeing_tells_every_task(void **state) {
        Fixture *fixture = *state;
        TestTask busy[THREADS], waiting[50];

        assert_int_equal(pthread_barrier_init(&fixture->barrier, NULL, THREADS + 1), 0);
        for (unsigned i = 0; i < THREADS; i++) {
                busy[i] = (TestTask) { .fixture = fixture, .returns = 7 };
                assert_int_equal(thread_pool_run(fixture->pool, work_together, done, &busy[i]), 0);
        }
        for (unsigned i = 0; i < 50; i++) {
                waiting[i] = (TestTask) { .fixture = fixture };
                assert_int_equal(thread_pool_run(fixture->pool, work, done, &waiting[i]), 0);
        }
        (void) pthread_barrier_wait(&fixture->barrier);
        fixture->pool = thread_pool_free(fixture->pool);

        for (unsigned i = 0; i < THREADS; i++) {
                assert_int_equal(busy[i].done, 1);
                assert_int_equal(busy[i].result, 7);
        }
        for (unsigned i = 0; i < 50; i++) {
                assert_int_equal(waiting[i].done, 1);
                assert_true(waiting[i].result == 0 || waiting[i].result == -ECANCELED);
        }
        /* What was cancelled was not worked on, and the other way round. */
        for (unsigned i = 0; i < 50; i++)
                assert_int_equal(waiting[i].blocks_signals, waiting[i].result == 0);
        (void) pthread_barrier_destroy(&fixture->barrier);
}

#define TEST(name) cmocka_unit_test_setup_teardown(test_##name, set_up, tear_down)

int main(void) {
        const struct CMUnitTest tests[] = {
                TEST(work_is_done_beside_and_told_on_the_loop),
                TEST(many_tasks_are_each_told_once),
                TEST(tasks_run_beside_each_other),
                TEST(done_may_start_the_next),
                TEST(freeing_tells_every_task),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}

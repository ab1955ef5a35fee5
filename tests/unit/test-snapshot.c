/* A snapshot of a worker at work: what it brings, that it waits for its reader, and that nobody waits for it. */
#include "state-fixture.h"

#include <sqlite3.h>
#include <sys/ioctl.h>
#include <sys/un.h>
#include <time.h>

#define BUSY "io.atelier.Store.Busy"
#define IMAGES_MANY 300                        /* more than the socket takes replies for */
#define SOCKET_BYTES 8192                      /* of a worker whose reader does not read */
#define TURN_USEC_MAX (50 * USEC_PER_MSEC)
#define LARGE_JOBS 12000
#define LARGE_REQUEST_BYTES 8000               /* together about 100 MB */

static int set_up(void **state) {
        assert_int_equal(worker_set_up(state), 0);
        worker_start(*state);
        return 0;
}

/* ------------------------------------------------------------------ states made beforehand */

static Store *open_state(WorkerFixture *fixture) {
        _cleanup_free_ char *current = text_format("%s/current", fixture->state);
        Store *store;

        assert_true(mkdir(current, 0700) == 0 || errno == EEXIST);
        assert_int_equal(store_open(&store, fixture->database), 0);
        assert_int_equal(store_group_begin(store), 0);
        return store;
}

static void close_state(Store *store) {
        assert_int_equal(store_group_commit(store), 0);
        (void) store_free(store);
}

static void store_job(Store *store, unsigned number, const char *request) {
        Job job = { .model = (char *) "m", .response_format = (char *) "url", .request = (char *) request };

        (void) strcpy(job.id, job_id(number));
        job.created_at = number;
        assert_int_equal(store_submit(store, &job, NULL, NULL), 0);
}

static void name_image(unsigned number, char sha256[static SHA256_TEXT_MAX]) {
        (void) snprintf(sha256, SHA256_TEXT_MAX, "%08x%056x", number * 2654435761u, number);
}

static void make_image(WorkerFixture *fixture, const char *sha256) {
        _cleanup_free_ char *images = text_format("%s/current/images", fixture->state);
        _cleanup_free_ char *folder = text_format("%s/%.2s", images, sha256);
        _cleanup_free_ char *path = text_format("%s/%s.png", folder, sha256);
        _cleanup_close_ int fd = -1;

        (void) mkdir(images, 0700);
        (void) mkdir(folder, 0700);
        fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
        assert_true(fd >= 0);
        assert_int_equal(fd_write_all(fd, "image", 5), 0);
}

/* Completed job 1 with so many images. */
static void make_images(WorkerFixture *fixture, unsigned count) {
        Store *store = open_state(fixture);
        _cleanup_(job_freep) Job *job = NULL;

        store_job(store, 1, "{\"prompt\":\"a\"}");
        assert_int_equal(store_start_attempt(store, job_id(1), "box", job_id(9) + strlen(JOB_ID_PREFIX), 1, &job), 0);
        job->images = calloc(count, sizeof(*job->images));
        job->n_images = count;
        for (unsigned i = 0; i < count; i++) {
                ImageFacts *facts = &job->images[i].facts;

                *facts = (ImageFacts) { .format = IMAGE_PNG, .width = 1, .height = 1, .size_bytes = 5 };
                name_image(i, facts->sha256);
                make_image(fixture, facts->sha256);
        }
        job->attempts[0].outcome = ATTEMPT_COMPLETED;
        job->status = JOB_COMPLETED;
        job->ended_at = 2;
        assert_int_equal(store_end_attempt(store, job, NULL, NULL), 0);
        close_state(store);
}

static int set_up_many(void **state) {
        assert_int_equal(worker_set_up(state), 0);
        make_images(*state, IMAGES_MANY);
        worker_start(*state);
        return 0;
}

/* ------------------------------------------------------------------ a reader that does not read */

/* The worker's end of the connection; -1: it has not been accepted. */
static int accepted_socket(WorkerFixture *fixture) {
        for (int fd = SD_LISTEN_FDS_START + 1; fd < 256; fd++) {
                struct sockaddr_un address = {};
                socklen_t size = sizeof(address);

                if (getsockname(fd, (struct sockaddr *) &address, &size) == 0 && address.sun_family == AF_UNIX &&
                    text_equal(address.sun_path, fixture->socket))
                        return fd;
        }
        return -1;
}

/* A connection that takes little. The others are closed, to tell it from them. */
static int connect_raw(WorkerFixture *fixture) {
        static const char call[] = "{\"method\":\"io.atelier.Store.Snapshot\",\"more\":true}";
        struct sockaddr_un address = { .sun_family = AF_UNIX };
        int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0), bytes = SOCKET_BYTES;

        while (fixture->n_calls > 0)
                worker_drop_call(&fixture->calls[--fixture->n_calls]);
        (void) snprintf(address.sun_path, sizeof(address.sun_path), "%s", fixture->socket);
        WAIT_UNTIL(fixture, accepted_socket(fixture) < 0);
        assert_int_equal(connect(fd, (struct sockaddr *) &address, sizeof(address)), 0);
        WAIT_UNTIL(fixture, accepted_socket(fixture) >= 0);
        assert_int_equal(setsockopt(accepted_socket(fixture), SOL_SOCKET, SO_SNDBUF, &bytes, sizeof(bytes)), 0);
        assert_int_equal(send(fd, call, sizeof(call), 0), sizeof(call));
        return fd;
}

static size_t count_fds(void) {
        DIR *folder = opendir("/proc/self/fd");
        size_t count = 0;

        assert_non_null(folder);
        while (readdir(folder))
                count++;
        (void) closedir(folder);
        return count;
}

/* Until nothing is ready, and no helper thread is at work. */
static void run_until_still(WorkerFixture *fixture) {
        usec_t deadline = time_now_monotonic() + WORKER_PATIENCE_USEC;
        int r;

        while ((r = sd_event_run(service_event(fixture->service),
                                 thread_pool_pending(fixture->manager->threads) > 0 ? 10 * USEC_PER_MSEC : 0)) > 0 ||
               thread_pool_pending(fixture->manager->threads) > 0)
                assert_true(time_now_monotonic() < deadline);
        assert_int_equal(r, 0);
}

/* A snapshot whose replies fill the socket. */
static int begin_unread(WorkerFixture *fixture) {
        int fd = connect_raw(fixture);

        WAIT_UNTIL(fixture, fixture->manager->snapshot);
        run_until_still(fixture);
        assert_non_null(fixture->manager->snapshot);
        return fd;
}

/* Reads what there is; false at the end. Descriptors are counted and closed. */
static bool read_some(int fd, size_t *n_fds, size_t *n_zeros) {
        union {
                struct cmsghdr header;
                uint8_t bytes[CMSG_SPACE(sizeof(int) * VARLINK_FDS_MAX)];
        } control;
        char data[4096];
        struct iovec iov = { .iov_base = data, .iov_len = sizeof(data) };
        struct msghdr message = {
                .msg_iov = &iov, .msg_iovlen = 1, .msg_control = &control, .msg_controllen = sizeof(control),
        };
        ssize_t n = recvmsg(fd, &message, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);

        if (n <= 0)
                return n < 0 && errno == EAGAIN;
        assert_false(message.msg_flags & MSG_CTRUNC);
        for (ssize_t i = 0; i < n; i++)
                *n_zeros += data[i] == 0;
        for (struct cmsghdr *c = CMSG_FIRSTHDR(&message); c; c = CMSG_NXTHDR(&message, c)) {
                size_t count = (c->cmsg_len - CMSG_LEN(0)) / sizeof(int);

                for (size_t i = 0; i < count; i++)
                        (void) close(((int *) CMSG_DATA(c))[i]);
                *n_fds += count;
        }
        return true;
}

static size_t replies_of(size_t members) {
        return (members + VARLINK_FDS_MAX - 1) / VARLINK_FDS_MAX + 1;
}

static void test_replies_wait_for_their_reader(void **state) {
        WorkerFixture *fixture = *state;
        size_t before = count_fds(), n_fds = 0, n_zeros = 0;
        int fd = begin_unread(fixture);

        /* Of the replies one at most is ours to keep; the snapshot has its database and two files of configuration. */
        assert_true(count_fds() < before + 2 * VARLINK_FDS_MAX);
        WAIT_UNTIL(fixture, read_some(fd, &n_fds, &n_zeros) && n_zeros == replies_of(1 + IMAGES_MANY + 1));
        assert_int_equal(n_fds, 1 + IMAGES_MANY + 1);
        WAIT_UNTIL(fixture, !fixture->manager->snapshot);
        (void) close(fd);
        run_until_still(fixture);
        assert_int_equal(count_fds(), before);
}

static void test_image_that_is_deleted_meanwhile_stays_until_the_end(void **state) {
        WorkerFixture *fixture = *state;
        char sha256[SHA256_TEXT_MAX];
        _cleanup_free_ char *name = NULL;
        int fd = begin_unread(fixture);

        name_image(7, sha256);
        name = text_format("current/images/%.2s/%s.png", sha256, sha256);
        assert_string_equal(delete_job(fixture, 1)->error, "");
        assert_true(state_has(fixture, name));
        (void) close(fd);
        WAIT_UNTIL(fixture, !fixture->manager->snapshot);
        assert_false(state_has(fixture, name));
}

static void test_image_that_is_used_again_meanwhile_stays_for_good(void **state) {
        WorkerFixture *fixture = *state;
        const char *path;
        _cleanup_free_ char *name = NULL;
        int fd;

        complete_job(fixture, 2, "equal");
        path = image_path(fixture, 2);
        name = text_format("current/%s", path);
        fd = begin_unread(fixture);
        assert_string_equal(delete_job(fixture, 2)->error, "");
        complete_job(fixture, 3, "equal");
        assert_string_equal(image_path(fixture, 3), path);
        (void) close(fd);
        WAIT_UNTIL(fixture, !fixture->manager->snapshot);
        assert_true(state_has(fixture, name));
}

/* Replies that are with the kernel, and the one that waits for it. */
static void test_few_replies_leave_for_who_does_not_read(void **state) {
        WorkerFixture *fixture = *state;
        size_t n_fds = 0, n_zeros = 0;
        int fd = begin_unread(fixture), available;

        while (ioctl(fd, FIONREAD, &available) == 0 && available > 0)
                assert_true(read_some(fd, &n_fds, &n_zeros));
        assert_in_range(n_fds, 1, IMAGES_MANY / 2);
        assert_in_range(n_zeros, 1, replies_of(IMAGES_MANY) / 2);
        (void) close(fd);
}

static void test_only_one_snapshot_at_a_time(void **state) {
        WorkerFixture *fixture = *state;
        int fd = begin_unread(fixture);
        Taken *taken = begin_snapshot(fixture);

        WAIT_UNTIL(fixture, taken->over);
        assert_string_equal(taken->error, BUSY);
        taken_free(taken);
        (void) close(fd);
        WAIT_UNTIL(fixture, !fixture->manager->snapshot);
        taken = take_snapshot(fixture);
        assert_int_equal(taken->n, 1 + IMAGES_MANY + 1);
        taken_free(taken);
}

static void test_stop_does_not_wait_for_a_reader(void **state) {
        WorkerFixture *fixture = *state;
        int fd = begin_unread(fixture);

        worker_service_kind.quiesce(fixture->manager);
        WAIT_UNTIL(fixture, !fixture->manager->snapshot);
        (void) close(fd);
}

static void test_job_goes_on_while_nobody_reads(void **state) {
        WorkerFixture *fixture = *state;
        int fd = begin_unread(fixture);

        complete_job(fixture, 5, "b");
        (void) close(fd);
}

/* ------------------------------------------------------------------ what it brings */

/* The copy, opened as a store. */
static Store *open_copy(WorkerFixture *fixture, const TakenMember *member) {
        _cleanup_free_ char *path = text_format("%s/copy.db", fixture->folder->path);
        _cleanup_close_ int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
        char block[65536];
        int64_t offset = 0;
        ssize_t n;
        Store *store;

        while ((n = fd_pread_all(member->fd, block, sizeof(block), offset)) > 0) {
                assert_int_equal(fd_write_all(fd, block, (size_t) n), 0);
                offset += n;
        }
        assert_int_equal(n, 0);
        assert_int_equal(offset, member->size);
        assert_int_equal(store_open(&store, path), 0);
        return store;
}

static void check_copied(Store *store, unsigned number, JobStatus status, bool held) {
        _cleanup_(job_freep) Job *job = NULL;

        assert_int_equal(store_get(store, job_id(number), &job), 0);
        assert_int_equal(job->status, status);
        assert_int_equal(job->held, held);
}

static void test_database_has_ended_jobs_and_holds_the_others(void **state) {
        WorkerFixture *fixture = *state;
        Taken *taken;
        Store *store;

        complete_job(fixture, 1, "a");
        set_paused(fixture, true);
        queue_job(fixture, 2, "b");
        taken = take_snapshot(fixture);
        assert_string_equal(taken->members[0].name, "atelier.db");
        store = open_copy(fixture, &taken->members[0]);
        check_copied(store, 1, JOB_COMPLETED, false);
        check_copied(store, 2, JOB_QUEUED, true);
        (void) store_free(store);
        assert_int_equal(stored_waiting(fixture), 1);  /* here it waits as before */
        taken_free(taken);
}

static void check_hash(const TakenMember *member) {
        _cleanup_(sha256_freep) Sha256 *hash = NULL;
        char text[SHA256_TEXT_MAX], data[65536];
        ssize_t n = fd_pread_all(member->fd, data, sizeof(data), 0);

        assert_true(n > 0 && n < (ssize_t) sizeof(data));
        assert_int_equal(n, member->size);
        assert_int_equal(sha256_new(&hash), 0);
        assert_int_equal(sha256_add(hash, data, (size_t) n), 0);
        assert_int_equal(sha256_finish(hash, text), 0);
        assert_non_null(strstr(member->name, text));
}

static void test_images_come_by_name_and_with_their_bytes(void **state) {
        WorkerFixture *fixture = *state;
        char prompt[] = "a";
        Taken *taken;

        for (unsigned number = 1; number <= 5; number++, prompt[0]++)
                complete_job(fixture, number, prompt);
        taken = take_snapshot(fixture);
        assert_int_equal(taken->n, 1 + 5 + 1);
        for (size_t i = 1; i <= 5; i++) {
                check_hash(&taken->members[i]);
                assert_int_equal(fcntl(taken->members[i].fd, F_GETFL) & O_ACCMODE, O_RDONLY);
                if (i > 1)
                        assert_true(strcmp(taken->members[i - 1].name, taken->members[i].name) < 0);
        }
        taken_free(taken);
}

static void test_last_reply_says_what_should_have_come(void **state) {
        WorkerFixture *fixture = *state;
        _cleanup_free_ char *lost = NULL;
        const JsonValue *missing;
        int64_t bytes = 0;
        Taken *taken;

        complete_job(fixture, 1, "a");
        complete_job(fixture, 2, "b");
        taken = take_snapshot(fixture);
        for (size_t i = 0; i < taken->n; i++)
                bytes += taken->members[i].size;
        assert_int_equal(cJSON_GetArraySize(json_get_array(taken->last, "members")), 0);
        assert_int_equal(json_get_integer(taken->last, "members_total", -1), taken->n);
        assert_int_equal(json_get_integer(taken->last, "bytes_total", -1), bytes);
        assert_int_equal(json_get_integer(taken->last, "missing_total", -1), 0);
        taken_free(taken);

        lost = text_format("%s/current/%s", fixture->state, image_path(fixture, 2));
        assert_int_equal(unlink(lost), 0);
        taken = take_snapshot(fixture);
        missing = json_get_array(taken->last, "missing");
        assert_int_equal(json_get_integer(taken->last, "missing_total", -1), 1);
        assert_int_equal(cJSON_GetArraySize(missing), 1);
        assert_string_equal(cJSON_GetStringValue(missing->child), image_path(fixture, 2));
        assert_int_equal(json_get_integer(taken->last, "members_total", -1), 3);
        assert_int_equal(taken->n, 3);
        taken_free(taken);
}

static void test_configuration_comes_by_flat_names(void **state) {
        WorkerFixture *fixture = *state;
        Taken *taken;

        folder_write(fixture->folder, "atelier.conf.d/50-more.conf", "worker = { };");
        folder_write(fixture->folder, "atelier.conf.d/60 odd.conf", "");
        folder_write(fixture->folder, "models.conf", "# none");
        folder_write(fixture->folder, "other.conf", "");
        taken = take_snapshot(fixture);
        assert_int_equal(taken->n, 1 + 3);
        assert_string_equal(taken->members[1].name, "config/atelier.conf");
        assert_string_equal(taken->members[2].name, "config/atelier.conf.d-50-more.conf");
        assert_string_equal(taken->members[3].name, "config/models.conf");
        assert_int_equal(taken->members[3].size, 6);
        taken_free(taken);
}

static void test_nothing_is_left_on_the_disk(void **state) {
        WorkerFixture *fixture = *state;
        unsigned before;

        complete_job(fixture, 1, "a");
        before = count_files(fixture->state, "current");
        taken_free(take_snapshot(fixture));
        WAIT_UNTIL(fixture, !fixture->manager->snapshot);
        assert_int_equal(count_files(fixture->state, "current/images/tmp"), 0);
        assert_int_equal(count_files(fixture->state, "current"), before);
        assert_int_equal(count_files(fixture->state, "."), 2);  /* current, and the secret of links */
}

static void test_snapshot_needs_more_replies_than_one(void **state) {
        TestCall *call = wait_for(store_call(*state, "io.atelier.Store.Snapshot", NULL, NULL, 0));

        assert_string_equal(call->error, VARLINK_ERROR_EXPECTED_MORE);
}

/* A change that comes while the copy is made is in it, whole. */
static void test_jobs_submitted_meanwhile_are_there_whole_or_not_at_all(void **state) {
        WorkerFixture *fixture = *state;
        Taken *taken;
        Store *store;

        set_paused(fixture, true);
        taken = begin_snapshot(fixture);
        for (unsigned number = 1; !taken->over; number++) {
                (void) worker_submit(fixture, number, "a", false);
                assert_true(sd_event_run(service_event(fixture->service), USEC_PER_SEC) >= 0);
                if (fixture->n_calls >= WORKER_CLIENTS_MAX - 1)
                        WAIT_UNTIL(fixture, taken->over);
        }
        store = open_copy(fixture, &taken->members[0]);
        for (unsigned number = 1; number < WORKER_CLIENTS_MAX; number++) {
                _cleanup_(job_freep) Job *job = NULL;
                int r = store_get(store, job_id(number), &job);

                assert_true(r == 0 || r == STORE_NOT_FOUND);
                if (r == 0)
                        assert_true(job->held);
        }
        (void) store_free(store);
        taken_free(taken);
}

/* ------------------------------------------------------------------ what goes wrong */

static void check_next_snapshot(WorkerFixture *fixture) {
        Taken *taken = take_snapshot(fixture);

        assert_non_null(taken_member(taken, "atelier.db"));
        taken_free(taken);
        assert_int_equal(count_files(fixture->state, "current/images/tmp"), 0);
}

/* In each phase: as long as the copy is made, held, and sent. */
static void test_client_that_goes_away_frees_everything(void **state) {
        WorkerFixture *fixture = *state;
        size_t before;

        complete_job(fixture, 1, "a");
        check_next_snapshot(fixture);
        run_until_still(fixture);
        before = count_fds();
        for (unsigned turns = 0; turns < 30; turns++) {
                Taken *taken = begin_snapshot(fixture);

                for (unsigned i = 0; i < turns && !taken->over; i++)
                        (void) sd_event_run(service_event(fixture->service), 10 * USEC_PER_MSEC);
                taken_free(taken);
                WAIT_UNTIL(fixture, !fixture->manager->snapshot);
                run_until_still(fixture);
                assert_int_equal(count_fds(), before);
                assert_int_equal(count_files(fixture->state, "current/images/tmp"), 0);
        }
        check_next_snapshot(fixture);
}

static void check_failed(Taken *taken) {
        WorkerFixture *fixture = taken->fixture;

        WAIT_UNTIL(fixture, taken->over);
        assert_int_equal(taken->status, 0);
        assert_string_equal(taken->error, VARLINK_ERROR_SYSTEM);
        assert_int_equal(taken->n, 0);
        taken_free(taken);
        assert_null(fixture->manager->snapshot);
        assert_int_equal(count_files(fixture->state, "current/images/tmp"), 0);
}

static void test_copy_that_finds_no_space_is_an_error(void **state) {
        WorkerFixture *fixture = *state;
        Taken *taken;

        complete_job(fixture, 1, "a");
        disk.full_copy = true;
        taken = begin_snapshot(fixture);
        check_failed(taken);
        complete_job(fixture, 2, "b");  /* work goes on all the while */
        disk.full_copy = false;
        check_next_snapshot(fixture);
}

/* A commit fails while the copy is made: the store is opened anew, and the copy of the old one is none. */
static void test_store_that_fails_meanwhile_is_an_error(void **state) {
        WorkerFixture *fixture = *state;
        TestCall *submission;
        Taken *taken;

        submission = worker_submit(fixture, LARGE_JOBS + 1, "a", false);
        assert_string_equal(told_status(wait_for(submission)), "queued");
        taken = begin_snapshot(fixture);
        WAIT_UNTIL(fixture, fixture->manager->snapshot);
        disk.failing_syncs = 3;
        submission = worker_submit(fixture, LARGE_JOBS + 2, "b", false);
        WAIT_UNTIL(fixture, taken->over || submission->over);
        assert_string_equal(wait_for(submission)->error, "io.atelier.Queue.Refused");
        check_failed(taken);
        submission = worker_submit(fixture, LARGE_JOBS + 3, "c", false);
        assert_string_equal(told_status(wait_for(submission)), "queued");
        check_next_snapshot(fixture);
}

/* ------------------------------------------------------------------ nobody waits for it */

static int set_up_jobs(void **state, unsigned jobs) {
        char request[LARGE_REQUEST_BYTES];
        Store *store;

        assert_int_equal(worker_set_up(state), 0);
        store = open_state(*state);
        (void) memset(request, 'x', sizeof(request));
        (void) memcpy(request, "{\"prompt\":\"", 11);
        (void) memcpy(request + sizeof(request) - 3, "\"}", 3);
        for (unsigned number = 1; number <= jobs; number++) {
                _cleanup_(job_freep) Job *job = NULL;

                store_job(store, number, request);
                assert_int_equal(store_get(store, job_id(number), &job), 0);
                job->status = JOB_CANCELLED;
                job->ended_at = 1;
                assert_int_equal(store_end_queued(store, job), 0);
        }
        close_state(store);
        worker_start(*state);
        set_paused(*state, true);
        return 0;
}

static usec_t thread_time(void) {
        struct timespec now;

        assert_int_equal(clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now), 0);
        return (usec_t) now.tv_sec * USEC_PER_SEC + (usec_t) now.tv_nsec / 1000;
}

static int set_up_large(void **state) {
        return set_up_jobs(state, LARGE_JOBS);
}

/* Enough for many steps of the copy. */
static int set_up_medium(void **state) {
        return set_up_jobs(state, LARGE_JOBS / 10);
}

/* The loop's own work of each turn is measured, so that a busy machine fails nobody; the time by the clock is told. */
static void test_no_turn_of_a_large_snapshot_is_long(void **state) {
        WorkerFixture *fixture = *state;
        usec_t longest = 0, longest_wait = 0;
        unsigned turns = 0, number = LARGE_JOBS;
        TestCall *waiting = NULL;
        usec_t asked_at = 0;
        Taken *taken = begin_snapshot(fixture);

        while (!taken->over) {
                usec_t began = thread_time();

                if (!waiting && fixture->n_calls < WORKER_CLIENTS_MAX - 1) {
                        waiting = worker_submit(fixture, ++number, "a", false);
                        asked_at = time_now_monotonic();
                }
                assert_true(sd_event_run(service_event(fixture->service), USEC_PER_SEC) >= 0);
                longest = MAX(longest, thread_time() - began);
                turns++;
                if (waiting && waiting->over) {
                        assert_string_equal(told_status(waiting), "queued");
                        longest_wait = MAX(longest_wait, time_now_monotonic() - asked_at);
                        waiting = NULL;
                }
        }
        print_message("%lld MB in %u turns, the longest %.1f ms; the longest wait for a submission %.1f ms\n",
                      (long long) taken->members[0].size / 1000000, turns, (double) longest / 1000,
                      (double) longest_wait / 1000);
        assert_true(taken->members[0].size > 90 * 1000 * 1000);
        assert_true(turns > taken->members[0].size / (1024 * 1024));
        assert_true(longest < TURN_USEC_MAX);
        assert_true(number > LARGE_JOBS);
        taken_free(taken);
}

#define TEST(name) cmocka_unit_test_setup_teardown(test_##name, set_up, worker_tear_down)
#define MANY_TEST(name) cmocka_unit_test_setup_teardown(test_##name, set_up_many, worker_tear_down)
#define MEDIUM_TEST(name) cmocka_unit_test_setup_teardown(test_##name, set_up_medium, worker_tear_down)
#define LARGE_TEST(name) cmocka_unit_test_setup_teardown(test_##name, set_up_large, worker_tear_down)

int main(void) {
        const struct CMUnitTest tests[] = {
                TEST(database_has_ended_jobs_and_holds_the_others),
                TEST(images_come_by_name_and_with_their_bytes),
                TEST(last_reply_says_what_should_have_come),
                TEST(configuration_comes_by_flat_names),
                TEST(nothing_is_left_on_the_disk),
                TEST(snapshot_needs_more_replies_than_one),
                TEST(jobs_submitted_meanwhile_are_there_whole_or_not_at_all),
                MANY_TEST(replies_wait_for_their_reader),
                MANY_TEST(image_that_is_deleted_meanwhile_stays_until_the_end),
                MANY_TEST(image_that_is_used_again_meanwhile_stays_for_good),
                MANY_TEST(few_replies_leave_for_who_does_not_read),
                MANY_TEST(only_one_snapshot_at_a_time),
                MANY_TEST(stop_does_not_wait_for_a_reader),
                MANY_TEST(job_goes_on_while_nobody_reads),
                TEST(client_that_goes_away_frees_everything),
                TEST(copy_that_finds_no_space_is_an_error),
                MEDIUM_TEST(store_that_fails_meanwhile_is_an_error),
                LARGE_TEST(no_turn_of_a_large_snapshot_is_long),
        };

        fault_vfs_install();
        return cmocka_run_group_tests_name("snapshot", tests, NULL, NULL);
}

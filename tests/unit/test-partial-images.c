/* Partial images of a streamed job: who is shown them, and how little a slow reader matters. */
#include "worker-fixture.h"

#include "sample-images.h"

#define STREAM_CONFIGURATION(delay) \
        "providers = ( { name = \"box\"; kind = \"sandbox\"; delay = \"" delay "\"; retry_unknown = true; } );" \
        "models = ( { name = \"m\"; provider = \"box\"; sizes = [ \"auto\", \"64x64\" ]; streams = true; } );"

static int set_up(void **state) {
        int r = worker_set_up(state);

        if (r == 0) {
                worker_configure(*state, STREAM_CONFIGURATION("200ms"));
                worker_start(*state);
        }
        return r;
}

/* The call of Submit for a stream. */
static JsonValue *stream_parameters(unsigned number, unsigned partial_images, bool with_partials) {
        JsonValue *parameters = json_new_object(), *request = json_new_object();

        assert_int_equal(json_add_string(request, "prompt", "a"), 0);
        assert_int_equal(json_add_string(request, "size", "64x64"), 0);
        assert_int_equal(json_add_bool(request, "stream", true), 0);
        assert_int_equal(json_add_integer(request, "partial_images", partial_images), 0);
        assert_int_equal(json_add_string(parameters, "request_id", job_id(number) + strlen(JOB_ID_PREFIX)), 0);
        assert_int_equal(json_add(parameters, "request", request), 0);
        assert_int_equal(json_add_bool(parameters, "with_partial_images", with_partials), 0);
        return parameters;
}

static TestCall *submit_stream(WorkerFixture *fixture, unsigned number, bool with_partials) {
        return worker_call(fixture, "io.atelier.Queue.Submit", stream_parameters(number, 3, with_partials), true);
}

static const JsonValue *shown(const TestCall *call) {
        return json_get_object(call->reply, "partial_image");
}

static void test_partial_images_come_in_order(void **state) {
        WorkerFixture *fixture = *state;
        TestCall *call = submit_stream(fixture, 1, true);

        for (unsigned i = 0; i < 3; i++) {
                WAIT_UNTIL(fixture, call->replies >= 3 + i || call->over);
                assert_int_equal(call->replies, 3 + i); /* queued, in_progress, and those */
                assert_int_equal(json_get_integer(shown(call), "index", -1), i);
                assert_int_equal(json_get_integer(shown(call), "width", 0), 64);
                assert_string_equal(json_get_string(shown(call), "format"), "png");
                assert_string_equal(told_status(call), "in_progress");
                assert_int_equal(call->n_fds, 1);
        }
        assert_string_equal(told_status(wait_for(call)), "completed");
        assert_null(shown(call));
        assert_int_equal(call->n_fds, 1);
        assert_int_equal(call->replies, 6);
}

static void test_who_did_not_ask_is_shown_none(void **state) {
        WorkerFixture *fixture = *state;
        TestCall *plain = submit_stream(fixture, 1, false), *shows = submit_stream(fixture, 1, true);

        assert_string_equal(told_status(wait_for(plain)), "completed");
        assert_string_equal(told_status(wait_for(shows)), "completed");
        assert_int_equal(plain->replies, 3);
        assert_int_equal(shows->replies, 6);
}

static void test_a_watcher_is_shown_them(void **state) {
        WorkerFixture *fixture = *state;
        TestCall *call = submit_stream(fixture, 1, false), *watch;
        JsonValue *parameters = json_new_object();

        WAIT_UNTIL(fixture, call->replies >= 1);
        assert_int_equal(json_add_string(parameters, "id", job_id(1)), 0);
        assert_int_equal(json_add_bool(parameters, "with_partial_images", true), 0);
        watch = worker_call(fixture, "io.atelier.Queue.Watch", parameters, true);
        assert_string_equal(told_status(wait_for(watch)), "completed");
        assert_in_range(watch->replies, 4, 6);
}

static void test_streams_are_refused_where_the_model_does_not_take_them(void **state) {
        WorkerFixture *fixture = *state;
        TestCall *call;

        worker_stop(fixture);
        worker_configure(fixture, SANDBOX_CONFIGURATION);
        worker_start(fixture);
        call = wait_for(submit_stream(fixture, 1, true));
        assert_string_equal(call->error, "io.atelier.Queue.Refused");
        assert_string_equal(json_get_string(call->reply, "param"), "stream");
}

/* ------------------------------------------------------------------ slow readers */

/* A client that has sent its call and reads nothing; partial images come from the test alone. */
static int submit_unread(WorkerFixture *fixture, unsigned number) {
        struct sockaddr_un address = { .sun_family = AF_UNIX };
        _cleanup_(json_freep) JsonValue *message = json_new_object();
        JsonValue *parameters = stream_parameters(number, 0, true), *caller = json_new_object();
        _cleanup_free_ char *text = NULL;
        int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

        assert_int_equal(json_add_string(caller, "origin", "member"), 0);
        assert_int_equal(json_add(parameters, "caller", caller), 0);
        assert_int_equal(json_add_string(message, "method", "io.atelier.Queue.Submit"), 0);
        assert_int_equal(json_add(message, "parameters", parameters), 0);
        assert_int_equal(json_add_bool(message, "more", true), 0);
        text = json_format(message);
        (void) snprintf(address.sun_path, sizeof(address.sun_path), "%s", fixture->socket);
        assert_int_equal(connect(fd, (struct sockaddr *) &address, sizeof(address)), 0);
        assert_int_equal(send(fd, text, strlen(text) + 1, 0), strlen(text) + 1);
        return fd;
}

static void show(WorkerFixture *fixture, const Job *job, unsigned index) {
        PartialImage image = { .index = index };

        assert_int_equal(temporary_image_new(&image.file, fixture->manager->images), 0);
        assert_int_equal(temporary_image_write(image.file, sample_png, sizeof(sample_png)), 0);
        assert_int_equal(temporary_image_finish(image.file, NULL), 0);
        watchers_show(fixture->manager->watchers, job, &image);
        (void) temporary_image_free(image.file);
}

/* What the slow one at last reads. */
typedef struct Reading {
        int fd;
        char message[64 * 1024];
        size_t size;
        unsigned partials;
        int64_t newest;
        bool over;
} Reading;

static void take_message(Reading *reading) {
        _cleanup_(json_freep) JsonValue *message = NULL;
        const JsonValue *parameters, *partial;

        assert_int_equal(json_parse(reading->message, reading->size, &message, NULL), 0);
        reading->size = 0;
        parameters = json_get_object(message, "parameters");
        partial = json_get_object(parameters, "partial_image");
        if (partial) {
                assert_true(json_get_integer(partial, "index", -1) > reading->newest);
                reading->newest = json_get_integer(partial, "index", -1);
                reading->partials++;
        }
        reading->over = !json_get_bool(message, "continues", false);
        if (reading->over)
                assert_string_equal(json_get_string(json_get_object(parameters, "job"), "status"), "completed");
}

/* Descriptors are left behind: a plain recv() has the kernel close them. */
static bool read_some(Reading *reading) {
        char c;

        while (!reading->over && recv(reading->fd, &c, 1, MSG_DONTWAIT) == 1) {
                assert_true(reading->size < sizeof(reading->message));
                if (c)
                        reading->message[reading->size++] = c;
                else
                        take_message(reading);
        }
        return reading->over;
}

#define SHOWN 200

static void test_a_slow_reader_misses_some_and_gets_the_image(void **state) {
        WorkerFixture *fixture = *state;
        Reading reading = { .newest = -1 };
        TestCall *quick;
        Job *job;

        worker_stop(fixture);
        worker_configure(fixture, STREAM_CONFIGURATION("2s"));
        worker_start(fixture);
        reading.fd = submit_unread(fixture, 1);
        WAIT_UNTIL(fixture, stored_status(fixture, 1) == JOB_IN_PROGRESS);
        quick = submit_stream(fixture, 1, true);
        WAIT_UNTIL(fixture, quick->replies == 1);

        job = stored_job(fixture, 1);
        for (unsigned i = 0; i < SHOWN; i++) {
                show(fixture, job, i);
                WAIT_UNTIL(fixture, quick->replies == 2 + i); /* the other holds it back in nothing */
                assert_int_equal(json_get_integer(shown(quick), "index", -1), i);
        }
        (void) job_free(job);
        assert_true(read_some(&reading) || reading.partials < SHOWN - WATCHER_PARTIALS_MAX);

        WAIT_UNTIL(fixture, quick->over);
        WAIT_UNTIL(fixture, read_some(&reading));
        assert_true(reading.partials >= WATCHER_PARTIALS_MAX);
        assert_true(reading.partials < SHOWN);
        (void) close(reading.fd);
}

static void test_a_reader_that_goes_is_forgotten_with_what_waited(void **state) {
        WorkerFixture *fixture = *state;
        TestCall *stays;
        Job *job;
        int fd;

        worker_stop(fixture);
        worker_configure(fixture, STREAM_CONFIGURATION("1s"));
        worker_start(fixture);
        fd = submit_unread(fixture, 1);
        WAIT_UNTIL(fixture, stored_status(fixture, 1) == JOB_IN_PROGRESS);
        stays = submit_stream(fixture, 1, true);
        WAIT_UNTIL(fixture, stays->replies == 1);
        job = stored_job(fixture, 1);
        for (unsigned i = 0; i < SHOWN; i++)
                show(fixture, job, i);
        (void) close(fd);
        show(fixture, job, SHOWN);
        (void) job_free(job);
        assert_string_equal(told_status(wait_for(stays)), "completed");
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, worker_tear_down)

int main(void) {
        const struct CMUnitTest tests[] = {
                TEST(test_partial_images_come_in_order),
                TEST(test_who_did_not_ask_is_shown_none),
                TEST(test_a_watcher_is_shown_them),
                TEST(test_streams_are_refused_where_the_model_does_not_take_them),
                TEST(test_a_slow_reader_misses_some_and_gets_the_image),
                TEST(test_a_reader_that_goes_is_forgotten_with_what_waited),
        };

        fault_vfs_install();
        return cmocka_run_group_tests_name("partial-images", tests, NULL, NULL);
}

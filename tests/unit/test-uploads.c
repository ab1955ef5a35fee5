/* Pictures that come with a request: how they are judged, who needs them, and that they go. */
#include "worker-fixture.h"

#include <fcntl.h>
#include <unistd.h>
#include <zlib.h>

#include "queue/uploads.h"
#include "sample-images.h"
#include "store/store-uploads.h"

#define REFUSED "io.atelier.Queue.Refused"
#define INVALID "org.varlink.service.InvalidParameter"
#define CONFIGURATION \
        "providers = ( { name = \"box\"; kind = \"sandbox\"; retry_unknown = true; } );" \
        "models = ( { name = \"m\"; provider = \"box\"; sizes = [ \"64x64\" ]; default_size = \"64x64\";" \
        "             edit_images_max = 16; }," \
        "           { name = \"two\"; provider = \"box\"; sizes = [ \"64x64\" ]; default_size = \"64x64\";" \
        "             edit_images_max = 2; edit_bytes_max = \"1K\"; }," \
        "           { name = \"none\"; provider = \"box\"; sizes = [ \"64x64\" ]; } );" \
        "worker = { cache_ttl = \"1h\"; };"
#define UPLOADS_TEST_MAX 20

/* What one request brings. */
typedef struct Picture {
        bool mask;
        const uint8_t *data;
        size_t size;
        int64_t announced;           /* 0: size */
} Picture;

static int set_up(void **state) {
        assert_int_equal(worker_set_up(state), 0);
        worker_configure(*state, CONFIGURATION);
        worker_start(*state);
        return 0;
}

/* ------------------------------------------------------------------ PNGs */

typedef struct MadePng {
        uint8_t data[4096];
        size_t size;
} MadePng;

static void add_chunk(MadePng *png, const char *type, const void *data, size_t size) {
        uint8_t *chunk = png->data + png->size;
        uint32_t crc;

        assert_true(png->size + size + 12 <= sizeof(png->data));
        for (unsigned i = 0; i < 4; i++)
                chunk[i] = (uint8_t) (size >> (24 - 8 * i));
        memcpy(chunk + 4, type, 4);
        if (size > 0)
                memcpy(chunk + 8, data, size);
        crc = (uint32_t) crc32(0, chunk + 4, (uInt) size + 4);
        for (unsigned i = 0; i < 4; i++)
                chunk[8 + size + i] = (uint8_t) (crc >> (24 - 8 * i));
        png->size += size + 12;
}

/* Structure without pixels that anybody could see; `padding` bytes of comment make it larger. */
static MadePng make_png(unsigned width, unsigned height, uint8_t colour_type, bool transparent, size_t padding) {
        uint8_t header[13] = { 0, 0, 0, (uint8_t) width, 0, 0, 0, (uint8_t) height, 8, colour_type, 0, 0, 0 };
        static const uint8_t comment[2048];
        MadePng png = { .data = "\x89PNG\r\n\x1a\n", .size = 8 };

        add_chunk(&png, "IHDR", header, sizeof(header));
        if (transparent)
                add_chunk(&png, "tRNS", "\0\0\0\0\0\0", 6);
        if (padding > 0)
                add_chunk(&png, "tEXt", comment, padding);
        add_chunk(&png, "IDAT", "x", 1);
        add_chunk(&png, "IEND", NULL, 0);
        return png;
}

static Picture picture_of(const MadePng *png, bool mask) {
        return (Picture) { .mask = mask, .data = png->data, .size = png->size };
}

static const Picture png = { .data = sample_png, .size = sizeof(sample_png) };
static const Picture jpeg = { .data = sample_jpeg, .size = sizeof(sample_jpeg) };
static const Picture webp = { .data = sample_webp_lossy, .size = sizeof(sample_webp_lossy) };

/* ------------------------------------------------------------------ calls */

static int file_of(const Picture *pictures, size_t n) {
        int fd = open("/tmp", O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);

        assert_true(fd >= 0);
        for (size_t i = 0; i < n; i++)
                assert_int_equal(write(fd, pictures[i].data, pictures[i].size), pictures[i].size);
        return fd;
}

static JsonValue *describe(const Picture *pictures, size_t n) {
        JsonValue *uploads = json_new_array();

        for (size_t i = 0; i < n; i++) {
                JsonValue *upload = json_new_object();

                if (pictures[i].mask)
                        assert_int_equal(json_add_bool(upload, "mask", true), 0);
                assert_int_equal(json_add_integer(upload, "size_bytes",
                                                  pictures[i].announced ?: (int64_t) pictures[i].size), 0);
                assert_int_equal(json_append(uploads, upload), 0);
        }
        return uploads;
}

/* `fd` stays the caller's; -1: none goes along. */
static TestCall *submit_fd(WorkerFixture *fixture, unsigned number, const char *model, const Picture *pictures,
                           size_t n, int fd, const char *idempotency_key) {
        JsonValue *parameters = json_new_object(), *request = json_new_object(), *caller = json_new_object();
        TestCall *call = &fixture->calls[fixture->n_calls++];

        assert_int_equal(json_add_string(caller, "origin", "member"), 0);
        assert_int_equal(json_add_string(request, "prompt", "edit"), 0);
        assert_int_equal(json_add_string(request, "model", model), 0);
        assert_int_equal(json_add(request, "uploads", describe(pictures, n)), 0);
        assert_int_equal(json_add(parameters, "caller", caller), 0);
        assert_int_equal(json_add(parameters, "request", request), 0);
        assert_int_equal(json_add_string(parameters, "idempotency_key", idempotency_key), 0);
        assert_int_equal(json_add_string(parameters, "request_id", job_id(number) + strlen(JOB_ID_PREFIX)), 0);

        call->fixture = fixture;
        assert_int_equal(varlink_client_connect(&call->client, service_event(fixture->service), fixture->poll,
                                                fixture->socket), 0);
        if (fd >= 0)
                assert_int_equal(varlink_client_push_fd(call->client, fd), 0);
        assert_int_equal(varlink_client_call(call->client, "io.atelier.Queue.Submit", parameters, true, USEC_INFINITY,
                                             on_test_reply, call), 0);
        return call;
}

static TestCall *submit(WorkerFixture *fixture, unsigned number, const char *model, const Picture *pictures, size_t n) {
        int fd = file_of(pictures, n);
        TestCall *call = submit_fd(fixture, number, model, pictures, n, fd, NULL);

        (void) close(fd);
        return call;
}

static void check_completed(TestCall *call) {
        assert_string_equal(wait_for(call)->error, "");
        assert_string_equal(told_status(call), "completed");
}

static void check_refused(TestCall *call, const char *code, const char *param, const char *message) {
        assert_string_equal(wait_for(call)->error, REFUSED);
        assert_string_equal(json_get_string(call->reply, "code"), code);
        assert_string_equal(json_get_string(call->reply, "param"), param);
        if (!strstr(json_get_string(call->reply, "message"), message))
                fail_msg("'%s' is not in '%s'", message, json_get_string(call->reply, "message"));
}

static void check_invalid(TestCall *call) {
        assert_string_equal(wait_for(call)->error, INVALID);
}

/* ------------------------------------------------------------------ files */

static bool is_stored(WorkerFixture *fixture, const Picture *picture, ImageFormat format) {
        char sha256[SHA256_TEXT_MAX];

        assert_int_equal(sha256_text(picture->data, picture->size, sha256), 0);
        return image_store_has(fixture->manager->images, sha256, format);
}

static int64_t uses_of(WorkerFixture *fixture, const Picture *picture, ImageFormat format) {
        char sha256[SHA256_TEXT_MAX];
        int64_t uses;

        assert_int_equal(sha256_text(picture->data, picture->size, sha256), 0);
        assert_int_equal(store_upload_uses(commit_group_store(fixture->manager->group), sha256, format, &uses), 0);
        return uses;
}

static bool has_rows(WorkerFixture *fixture) {
        bool has;

        assert_int_equal(store_has_uploads(commit_group_store(fixture->manager->group), &has), 0);
        return has;
}

static void set_paused(WorkerFixture *fixture, bool paused) {
        dispatcher_set_paused(fixture->manager->dispatcher, paused);
}

/* ------------------------------------------------------------------ tests */

static void test_every_format_is_taken_and_described_by_its_bytes(void **state) {
        const Picture pictures[] = { png, jpeg, webp };
        TestCall *call = submit(*state, 1, "m", pictures, 3);
        const JsonValue *uploads, *first;
        char sha256[SHA256_TEXT_MAX];

        check_completed(call);
        assert_int_equal(sha256_text(sample_png, sizeof(sample_png), sha256), 0);
        uploads = json_get_array(json_get_object(json_get_object(call->reply, "job"), "request"), "uploads");
        assert_int_equal(cJSON_GetArraySize(uploads), 3);
        first = uploads->child;
        assert_string_equal(json_get_string(first, "sha256"), sha256);
        assert_string_equal(json_get_string(first, "format"), "png");
        assert_int_equal(json_get_integer(first, "width", 0), SAMPLE_WIDTH);
        assert_int_equal(json_get_integer(first, "height", 0), SAMPLE_HEIGHT);
        assert_string_equal(json_get_string(first->next, "format"), "jpeg");
        assert_string_equal(json_get_string(first->next->next, "format"), "webp");
}

static void test_files_go_when_the_job_has_ended(void **state) {
        WorkerFixture *fixture = *state;

        check_completed(submit(fixture, 1, "m", &png, 1));
        WAIT_UNTIL(fixture, !is_stored(fixture, &png, IMAGE_PNG) && !has_rows(fixture));
}

static void test_files_stay_until_the_last_job_that_needs_them_has_ended(void **state) {
        WorkerFixture *fixture = *state;
        const Picture two[] = { png, jpeg };

        set_paused(fixture, true);
        (void) submit(fixture, 1, "m", &png, 1);
        (void) submit(fixture, 2, "m", two, 2);
        WAIT_UNTIL(fixture, uses_of(fixture, &png, IMAGE_PNG) == 2);
        (void) wait_for(worker_cancel(fixture, 1, false));
        WAIT_UNTIL(fixture, uses_of(fixture, &png, IMAGE_PNG) == 1);
        assert_true(is_stored(fixture, &png, IMAGE_PNG));
        assert_true(is_stored(fixture, &jpeg, IMAGE_JPEG));
        (void) wait_for(worker_cancel(fixture, 2, true));
        WAIT_UNTIL(fixture, !is_stored(fixture, &png, IMAGE_PNG) && !is_stored(fixture, &jpeg, IMAGE_JPEG));
        WAIT_UNTIL(fixture, !has_rows(fixture));
}

static void test_job_that_waits_keeps_its_files_through_a_restart(void **state) {
        WorkerFixture *fixture = *state;

        set_paused(fixture, true);
        (void) submit(fixture, 1, "m", &png, 1);
        WAIT_UNTIL(fixture, stored_status(fixture, 1) == JOB_QUEUED);
        worker_stop(fixture);
        worker_start(fixture);
        WAIT_UNTIL(fixture, stored_status(fixture, 1) == JOB_COMPLETED);
        WAIT_UNTIL(fixture, !is_stored(fixture, &png, IMAGE_PNG));
}

static void cancel_stored(WorkerFixture *fixture, unsigned number) {
        _cleanup_(job_freep) Job *job = stored_job(fixture, number);
        Store *store = commit_group_store(fixture->manager->group);

        job->status = JOB_CANCELLED;
        job->ended_at = 1;
        if (!store_group_open(store))
                assert_int_equal(store_group_begin(store), 0);
        assert_int_equal(store_end_queued(store, job), 0);
        assert_int_equal(store_group_commit(store), 0);
}

/* The second one without a commit that the group knows of: only looking again finds it. */
static void test_job_that_ends_while_another_is_looked_after(void **state) {
        WorkerFixture *fixture = *state;

        set_paused(fixture, true);
        (void) submit(fixture, 1, "m", &png, 1);
        (void) submit(fixture, 2, "m", &jpeg, 1);
        WAIT_UNTIL(fixture, stored_status(fixture, 2) == JOB_QUEUED && stored_status(fixture, 1) == JOB_QUEUED);
        (void) worker_cancel(fixture, 1, false);
        WAIT_UNTIL(fixture, !is_stored(fixture, &png, IMAGE_PNG));
        cancel_stored(fixture, 2);
        WAIT_UNTIL(fixture, !is_stored(fixture, &jpeg, IMAGE_JPEG) && !has_rows(fixture));
}

/* As if the process had ended between a job's end and the removal. */
static void test_start_looks_after_what_was_left(void **state) {
        WorkerFixture *fixture = *state;
        Store *store;

        set_paused(fixture, true);
        (void) submit(fixture, 1, "m", &png, 1);
        WAIT_UNTIL(fixture, stored_status(fixture, 1) == JOB_QUEUED);
        worker_stop(fixture);
        assert_int_equal(store_open(&store, fixture->database), 0);
        assert_int_equal(store_group_begin(store), 0);
        {
                _cleanup_(job_freep) Job *job = NULL;

                assert_int_equal(store_get(store, job_id(1), &job), 0);
                job->status = JOB_CANCELLED;
                job->ended_at = 1;
                assert_int_equal(store_end_queued(store, job), 0);
        }
        assert_int_equal(store_group_commit(store), 0);
        (void) store_free(store);
        worker_start(fixture);
        assert_true(is_stored(fixture, &png, IMAGE_PNG));
        WAIT_UNTIL(fixture, !is_stored(fixture, &png, IMAGE_PNG) && !has_rows(fixture));
}

static void test_file_that_is_also_an_image_stays(void **state) {
        WorkerFixture *fixture = *state;
        TestCall *first = worker_submit(fixture, 1, "a", true);
        const char *sha256;
        uint8_t *data = malloc(1 << 20);
        Picture own;
        ssize_t size;
        int fd;

        check_completed(first);
        sha256 = json_get_string(json_get_array(json_get_object(first->reply, "job"), "images")->child, "sha256");
        fd = image_store_open(fixture->manager->images, sha256, IMAGE_PNG);
        size = read(fd, data, 1 << 20);
        assert_true(size > 0);
        (void) close(fd);
        own = (Picture) { .data = data, .size = (size_t) size };
        check_completed(submit(fixture, 2, "m", &own, 1));
        WAIT_UNTIL(fixture, !has_rows(fixture));
        assert_true(is_stored(fixture, &own, IMAGE_PNG));
        free(data);
}

static void test_upload_is_no_image_that_can_be_opened(void **state) {
        WorkerFixture *fixture = *state;
        JsonValue *parameters = json_new_object();
        char sha256[SHA256_TEXT_MAX];

        set_paused(fixture, true);
        (void) submit(fixture, 1, "m", &png, 1);
        WAIT_UNTIL(fixture, stored_status(fixture, 1) == JOB_QUEUED);
        assert_int_equal(sha256_text(sample_png, sizeof(sample_png), sha256), 0);
        assert_int_equal(json_add_string(parameters, "sha256", sha256), 0);
        assert_int_equal(json_add_string(parameters, "format", "png"), 0);
        assert_string_equal(wait_for(worker_call(fixture, "io.atelier.Store.Open", parameters, false))->error,
                            "io.atelier.Store.ImageNotFound");
}

static void test_same_edit_is_a_hit_and_another_picture_is_not(void **state) {
        const MadePng mask = make_png(SAMPLE_WIDTH, SAMPLE_HEIGHT, 6, false, 0);
        const Picture masked[] = { png, picture_of(&mask, true) }, both[] = { png, picture_of(&mask, false) };
        const struct {
                const Picture *pictures;
                size_t n;
                const char *cache;
        } cases[] = {
                { &png, 1, "miss" }, { &png, 1, "hit" }, { &jpeg, 1, "miss" },
                { masked, 2, "miss" }, { both, 2, "miss" }, { masked, 2, "hit" },
        };

        for (unsigned i = 0; i < ELEMENTS(cases); i++) {
                TestCall *call = submit(*state, i + 1, "m", cases[i].pictures, cases[i].n);

                check_completed(call);
                assert_string_equal(json_get_string(json_get_object(call->reply, "job"), "cache"), cases[i].cache);
        }
        WAIT_UNTIL((WorkerFixture *) *state, !has_rows(*state));
        assert_false(is_stored(*state, &png, IMAGE_PNG));
}

static void test_idempotency_key_covers_the_bytes(void **state) {
        int one = file_of(&png, 1), other = file_of(&jpeg, 1);
        TestCall *first = submit_fd(*state, 1, "m", &png, 1, one, "k");
        TestCall *again, *changed;

        check_completed(first);
        again = submit_fd(*state, 2, "m", &png, 1, one, "k");
        check_completed(again);
        assert_string_equal(json_get_string(json_get_object(again->reply, "job"), "id"), job_id(1));
        changed = wait_for(submit_fd(*state, 3, "m", &jpeg, 1, other, "k"));
        assert_string_equal(changed->error, REFUSED);
        assert_string_equal(json_get_string(changed->reply, "code"), "idempotency_key_reused");
        assert_false(is_stored(*state, &jpeg, IMAGE_JPEG));
        assert_false(is_stored(*state, &png, IMAGE_PNG));
        (void) close(one);
        (void) close(other);
}

static void test_what_is_no_image_is_refused(void **state) {
        uint8_t glued[sizeof(sample_png) + 1];
        const Picture cut = { .data = sample_png, .size = sizeof(sample_png) - 1 };
        const Picture longer = { .data = glued, .size = sizeof(glued) };
        const Picture text = { .data = (const uint8_t *) "GIF89a", .size = 6 };
        const Picture second[] = { png, text };

        memcpy(glued, sample_png, sizeof(sample_png));
        glued[sizeof(sample_png)] = 0;
        check_refused(submit(*state, 1, "m", &cut, 1), "invalid_image", "image", "cut short (image 1");
        check_refused(submit(*state, 2, "m", &longer, 1), "invalid_image", "image", "behind the end");
        check_refused(submit(*state, 3, "m", second, 2), "invalid_image", "image", "(image 2 of the request)");
        assert_false(is_stored(*state, &png, IMAGE_PNG));
}

static void test_mask_is_a_png_with_alpha_of_the_first_image_s_size(void **state) {
        const MadePng alpha = make_png(SAMPLE_WIDTH, SAMPLE_HEIGHT, 6, false, 0);
        const MadePng grey = make_png(SAMPLE_WIDTH, SAMPLE_HEIGHT, 4, false, 0);
        const MadePng colour = make_png(SAMPLE_WIDTH, SAMPLE_HEIGHT, 2, true, 0);
        const MadePng opaque = make_png(SAMPLE_WIDTH, SAMPLE_HEIGHT, 2, false, 0);
        const MadePng wide = make_png(SAMPLE_WIDTH + 1, SAMPLE_HEIGHT, 6, false, 0);
        Picture pictures[2] = { jpeg };

        pictures[1] = picture_of(&alpha, true);
        check_completed(submit(*state, 1, "m", pictures, 2));
        pictures[1] = picture_of(&grey, true);
        check_completed(submit(*state, 2, "m", pictures, 2));
        pictures[1] = picture_of(&colour, true);
        check_completed(submit(*state, 3, "m", pictures, 2));
        pictures[1] = picture_of(&opaque, true);
        check_refused(submit(*state, 4, "m", pictures, 2), "invalid_image", "mask", "no alpha channel");
        pictures[1] = picture_of(&wide, true);
        check_refused(submit(*state, 5, "m", pictures, 2), "invalid_image", "mask", "25x16 pixels; expected 24x16");
        pictures[1] = jpeg;
        pictures[1].mask = true;
        check_refused(submit(*state, 6, "m", pictures, 2), "invalid_image", "mask", "expected a PNG file");
}

static void test_mask_may_come_before_the_images(void **state) {
        const MadePng alpha = make_png(SAMPLE_WIDTH, SAMPLE_HEIGHT, 6, false, 0);
        const Picture first[] = { picture_of(&alpha, true), png }, last[] = { png, picture_of(&alpha, true) };
        const Picture two[] = { picture_of(&alpha, true), png, picture_of(&alpha, true) };
        TestCall *call = submit(*state, 1, "m", first, 2);
        const JsonValue *uploads;

        check_completed(call);
        uploads = json_get_array(json_get_object(json_get_object(call->reply, "job"), "request"), "uploads");
        assert_false(json_has(uploads->child, "mask"));
        assert_true(json_get_bool(uploads->child->next, "mask", false));
        call = submit(*state, 2, "m", last, 2);
        check_completed(call);
        assert_string_equal(json_get_string(json_get_object(call->reply, "job"), "cache"), "hit");
        check_invalid(submit(*state, 3, "m", two, 3));
}

static void test_file_must_be_what_was_announced(void **state) {
        Picture shorter = png, longer = png;
        int pipe_fds[2], fd = file_of(&png, 1);

        shorter.announced = (int64_t) png.size - 1;
        longer.announced = (int64_t) png.size + 1;
        check_refused(submit(*state, 1, "m", &shorter, 1), "invalid_image", "image", "announced");
        check_refused(submit(*state, 2, "m", &longer, 1), "invalid_image", "image", "announced");
        assert_int_equal(pipe2(pipe_fds, O_CLOEXEC), 0);
        check_refused(submit_fd(*state, 3, "m", &png, 1, pipe_fds[0], NULL), "invalid_image", "image", "announced");
        check_invalid(submit_fd(*state, 4, "m", &png, 1, -1, NULL));
        check_invalid(submit_fd(*state, 5, "m", NULL, 0, fd, NULL));
        (void) close(fd);
        (void) close(pipe_fds[0]);
        (void) close(pipe_fds[1]);
}

static void test_number_of_images_at_the_limit_and_one_past(void **state) {
        const MadePng alpha = make_png(SAMPLE_WIDTH, SAMPLE_HEIGHT, 6, false, 0);
        Picture pictures[UPLOADS_TEST_MAX];

        for (unsigned i = 0; i < UPLOADS_TEST_MAX; i++)
                pictures[i] = png;
        check_completed(submit(*state, 1, "two", pictures, 2));
        check_refused(submit(*state, 2, "two", pictures, 3), "invalid_value", "image", "1 to 2 images for two, got 3");
        check_refused(submit(*state, 3, "none", pictures, 1), "unsupported_value", "model", "makes no edits");
        check_refused(submit(*state, 4, "m", pictures, 17), "invalid_value", "image", "1 to 16 images");
        check_invalid(submit(*state, 5, "m", pictures, 18));
        pictures[UPLOAD_IMAGES_MAX] = picture_of(&alpha, true);
        check_completed(submit(*state, 6, "m", pictures, UPLOADS_MAX));
        check_invalid(submit(*state, 7, "m", &pictures[UPLOAD_IMAGES_MAX], 1));
}

static void test_size_of_an_image_at_the_limit_and_one_past(void **state) {
        const size_t frame = make_png(8, 8, 2, false, 1).size - 1;
        const MadePng fits = make_png(8, 8, 2, false, 1024 - frame), larger = make_png(8, 8, 2, false, 1025 - frame);
        const Picture at_limit = picture_of(&fits, false), past = picture_of(&larger, false);
        Picture mask = { .mask = true, .data = sample_png, .size = sizeof(sample_png),
                         .announced = UPLOAD_MASK_BYTES_MAX + 1 };
        const Picture masked[] = { png, mask };

        assert_int_equal(at_limit.size, 1024);
        check_completed(submit(*state, 1, "two", &at_limit, 1));
        check_refused(submit(*state, 2, "two", &past, 1), "image_too_large", "image", "1 to 1024 bytes for two, got 1025");
        check_refused(submit(*state, 3, "m", masked, 2), "image_too_large", "mask", "4194304");
}

static void test_client_that_goes_leaves_nothing_behind(void **state) {
        WorkerFixture *fixture = *state;
        TestCall *call = submit(fixture, 1, "m", &png, 1);

        /* It has arrived and is being copied, or about to be. */
        WAIT_UNTIL(fixture, !uploads_idle(fixture->manager->uploads) || call->over);
        call->client = varlink_client_free(call->client);
        WAIT_UNTIL(fixture, uploads_idle(fixture->manager->uploads) && !has_rows(fixture));
        WAIT_UNTIL(fixture, !is_stored(fixture, &png, IMAGE_PNG));
}

static void on_parked(void *userdata) {
        WorkerFixture *fixture = userdata;

        assert_true(uploads_idle(fixture->manager->uploads));
        dispatcher_unpark(fixture->manager->dispatcher);
}

/* Another state is not put in place under somebody's feet. */
static void test_parking_waits_for_what_is_being_copied(void **state) {
        WorkerFixture *fixture = *state;
        TestCall *call = submit(fixture, 1, "m", &png, 1);

        WAIT_UNTIL(fixture, !uploads_idle(fixture->manager->uploads));
        dispatcher_park(fixture->manager->dispatcher, on_parked, fixture);
        WAIT_UNTIL(fixture, !dispatcher_parked(fixture->manager->dispatcher));
        assert_true(call->over || uploads_idle(fixture->manager->uploads));
}

static void test_many_at_once_all_get_their_turn(void **state) {
        TestCall *calls[32];

        for (unsigned i = 0; i < ELEMENTS(calls); i++)
                calls[i] = submit(*state, i + 1, "m", i % 2 ? &png : &jpeg, 1);
        for (unsigned i = 0; i < ELEMENTS(calls); i++)
                check_completed(calls[i]);
        WAIT_UNTIL((WorkerFixture *) *state, !has_rows(*state));
        assert_false(is_stored(*state, &png, IMAGE_PNG));
        assert_false(is_stored(*state, &jpeg, IMAGE_JPEG));
}

#define TEST(function) cmocka_unit_test_setup_teardown(function, set_up, worker_tear_down)

int main(void) {
        const struct CMUnitTest tests[] = {
                TEST(test_every_format_is_taken_and_described_by_its_bytes),
                TEST(test_files_go_when_the_job_has_ended),
                TEST(test_files_stay_until_the_last_job_that_needs_them_has_ended),
                TEST(test_job_that_waits_keeps_its_files_through_a_restart),
                TEST(test_job_that_ends_while_another_is_looked_after),
                TEST(test_start_looks_after_what_was_left),
                TEST(test_file_that_is_also_an_image_stays),
                TEST(test_upload_is_no_image_that_can_be_opened),
                TEST(test_same_edit_is_a_hit_and_another_picture_is_not),
                TEST(test_idempotency_key_covers_the_bytes),
                TEST(test_what_is_no_image_is_refused),
                TEST(test_mask_is_a_png_with_alpha_of_the_first_image_s_size),
                TEST(test_mask_may_come_before_the_images),
                TEST(test_file_must_be_what_was_announced),
                TEST(test_number_of_images_at_the_limit_and_one_past),
                TEST(test_size_of_an_image_at_the_limit_and_one_past),
                TEST(test_client_that_goes_leaves_nothing_behind),
                TEST(test_parking_waits_for_what_is_being_copied),
                TEST(test_many_at_once_all_get_their_turn),
        };

        fault_vfs_install();
        return cmocka_run_group_tests(tests, NULL, NULL);
}

/* The problem: a request brings pictures of somebody's along, up to hundreds of megabytes. They must be judged before
 * the job is accepted, survive whatever the job survives, and be gone when it has ended.
 *
 * The model: an intake is one call of Submit on its way in. Its bytes are copied from the peer's file to temporary images
 * in a helper thread, which judges and hashes them; those are kept as results are (durable, under the name of their
 * hash), and only then does the call go on and store its job, which names them (store-uploads.h). So a job that is
 * stored has its uploads, and jobs with equal ones share a file.
 *
 * Few intakes are copied at a time; the others wait in their order, with their bytes still in the peer's file.
 *
 * Removing: the database notes uploads whose job has ended. After a commit they are looked up; the lookup is a write of
 * the group itself, so what it has found is durable when it is told, and files that nobody else needs go. Then the notes
 * go. A crash in between leaves the notes, and the next start does it again. A file whose job never came to be
 * stored goes at once; only a crash between the two leaves it behind, unused and with no name that anybody knows. */
#include "queue/uploads.h"

#include <errno.h>
#include <string.h>
#include <sys/queue.h>

#include "base/log.h"
#include "dispatch/dispatcher.h"
#include "priority.h"
#include "queue/queue-private.h"
#include "queue/upload-intake.h"
#include "state/snapshot.h"
#include "store/store-uploads.h"

#define SWEEP_MAX 32  /* files removed in one turn */

typedef struct Intake {
        Uploads *uploads;
        VarlinkCall *call;           /* NULL: the client has gone */
        Caller caller;
        JsonValue *parameters;
        UploadsReceived received;
        UploadIntake copy;
        Failure failure;
        Keep keep;
        bool begun;
        TAILQ_ENTRY(Intake) entry;
} Intake;

TAILQ_HEAD(IntakeList, Intake);

/* Looks for uploads that are done, or forgets those that were looked after. */
typedef struct Sweep {
        Write write;
        Uploads *uploads;
        DoneUpload found[SWEEP_MAX];
        int n_found;
} Sweep;

struct Uploads {
        Manager *manager;
        struct IntakeList intakes;
        unsigned n_begun;
        Sweep sweep;
        sd_event_source *look, *begin;
        bool sweeping;
        bool may_have;               /* rows, of which some may be done */
        uint64_t generation;         /* of the state that this was said of */
};

/* ------------------------------------------------------------------ files */

static bool intake_has(const Intake *intake, const char *sha256, ImageFormat format) {
        for (size_t i = 0; intake->begun && intake->keep.n_images > i; i++) {
                const ImageFacts *facts = temporary_image_facts(intake->copy.images[i]);

                if (facts->format == format && strcmp(facts->sha256, sha256) == 0)
                        return true;
        }
        return false;
}

bool uploads_need_image(Uploads *uploads, const char *sha256, ImageFormat format) {
        Store *store = commit_group_store(uploads->manager->group);
        const Intake *intake;
        int64_t uses;

        TAILQ_FOREACH (intake, &uploads->intakes, entry)
                if (intake_has(intake, sha256, format))
                        return true;
        return !store || store_upload_uses(store, sha256, format, &uses) != 0 || uses > 0;
}

/* As with the images of a job that is deleted. */
static void remove_unused(Uploads *uploads, const char *sha256, ImageFormat format) {
        Manager *manager = uploads->manager;
        Store *store = commit_group_store(manager->group);
        int64_t uses;

        if (store && store_image_uses(store, sha256, format, &uses) == 0 && uses == 0 &&
            !uploads_need_image(uploads, sha256, format) &&
            !dispatcher_needs_image(manager->dispatcher, sha256, format) &&
            !snapshot_defers_removal(manager->snapshot, sha256, format))
                (void) image_store_remove(manager->images, sha256, format);
}

/* ------------------------------------------------------------------ intakes */

static Intake *intake_free(Intake *intake) {
        if (!intake)
                return NULL;
        if (intake->call)
                varlink_call_set_closed_handler(intake->call, NULL, NULL);
        upload_intake_done(&intake->copy);
        failure_done(&intake->failure);
        (void) json_free(intake->parameters);
        free(intake);
        return NULL;
}
DEFINE_CLEANUP(Intake *, intake_free);

static VarlinkCall *take_call(Intake *intake) {
        VarlinkCall *call = TAKE_PTR(intake->call);

        if (call)
                varlink_call_set_closed_handler(call, NULL, NULL);
        return call;
}

/* An intake that has begun is over. */
static void end_intake(Intake *intake) {
        Uploads *uploads = intake->uploads;

        TAILQ_REMOVE(&uploads->intakes, intake, entry);
        (void) intake_free(intake);
        uploads->n_begun--;
        (void) sd_event_source_set_enabled(uploads->begin, SD_EVENT_ONESHOT);
        if (uploads_idle(uploads))
                dispatcher_uploads_idle(uploads->manager->dispatcher);
}

/* Outside of the server's own call: what it would do with an error is done here. */
static void go_on(Intake *intake) {
        Manager *manager = intake->uploads->manager;
        VarlinkCall *call = take_call(intake);
        bool ended = false;
        int r;

        if (!call)
                return;
        varlink_call_note_end(call, &ended);
        r = intake->received(manager, call, &intake->caller, intake->parameters);
        if (ended)
                return;
        varlink_call_note_end(call, NULL);
        if (r < 0)
                (void) varlink_call_error_errno(call, r);
}

static int describe(Intake *intake) {
        JsonValue *request = (JsonValue *) json_get_object(intake->parameters, "request");

        cJSON_DeleteItemFromObjectCaseSensitive(request, "uploads");
        return json_add(request, "uploads", upload_intake_describe(&intake->copy));
}

static void fail(Intake *intake, int error) {
        VarlinkCall *call = take_call(intake);

        if (!call)
                return;
        if (error == -ECANCELED)
                varlink_call_abandon(call);
        else if (error == -ENOMEM)
                (void) varlink_call_error_errno(call, error);
        else
                (void) queue_reply_result(call, NULL, error);
}

static void on_kept(Keep *keep, int result) {
        Intake *intake = CONTAINER_OF(keep, Intake, keep);
        Uploads *uploads = intake->uploads;
        ImageFacts facts[UPLOADS_MAX];
        size_t n = intake->copy.n;

        for (size_t i = 0; i < n; i++)
                facts[i] = *temporary_image_facts(intake->copy.images[i]);
        if (result >= 0)
                result = describe(intake);
        if (result < 0)
                fail(intake, result);
        else {
                uploads->may_have = true;
                go_on(intake);
        }
        end_intake(intake);
        /* The job names them by now, or there is none. */
        for (size_t i = 0; i < n && result != -ECANCELED; i++)
                remove_unused(uploads, facts[i].sha256, facts[i].format);
}

static int copy(void *userdata) {
        Intake *intake = userdata;

        return upload_intake_copy(&intake->copy, intake->uploads->manager->images, &intake->failure);
}

static void on_copied(void *userdata, int result) {
        Intake *intake = userdata;
        VarlinkCall *call;

        if (result == 0 && intake->call) {
                intake->keep = (Keep) {
                        .images = intake->copy.images,
                        .n_images = intake->copy.n,
                        .done = on_kept,
                };
                keep_group_add(intake->uploads->manager->keeps, &intake->keep);
                return;
        }
        if (result < 0)
                fail(intake, result);
        else if ((call = take_call(intake)))
                (void) queue_refuse(call, &intake->failure);
        end_intake(intake);
}

/* A turn of its own: not while the threads come to their end. */
static int on_begin(_unused_ sd_event_source *source, void *userdata) {
        Uploads *uploads = userdata;
        Intake *intake, *next;

        for (intake = TAILQ_FIRST(&uploads->intakes); intake && uploads->n_begun < UPLOAD_INTAKES_MAX; intake = next) {
                int r;

                next = TAILQ_NEXT(intake, entry);
                if (intake->begun)
                        continue;
                intake->begun = true;
                uploads->n_begun++;
                r = thread_pool_run(uploads->manager->threads, copy, on_copied, intake);
                if (r >= 0)
                        continue;
                fail(intake, r);
                end_intake(intake);
        }
        return 0;
}

/* What has begun goes on to its end, which then finds nobody. */
static void on_client_gone(_unused_ VarlinkCall *call, void *userdata) {
        Intake *intake = userdata;

        intake->call = NULL;
        if (intake->begun)
                return;
        TAILQ_REMOVE(&intake->uploads->intakes, intake, entry);
        (void) intake_free(intake);
}

static int intake_new(Intake **ret, Uploads *uploads, const Caller *caller, const JsonValue *parameters) {
        _cleanup_(intake_freep) Intake *intake = calloc(1, sizeof(*intake));

        if (!intake)
                return -ENOMEM;
        intake->copy.fd = -1;
        intake->uploads = uploads;
        intake->caller = *caller;
        intake->parameters = cJSON_Duplicate(parameters, true);
        if (!intake->parameters)
                return -ENOMEM;
        *ret = TAKE_PTR(intake);
        return 0;
}

int uploads_receive(Uploads *uploads, VarlinkCall *call, const Caller *caller, const JsonValue *parameters,
                    UploadsReceived received) {
        const JsonValue *request = json_get_object(parameters, "request");
        _cleanup_(intake_freep) Intake *intake = NULL;
        int r;

        r = intake_new(&intake, uploads, caller, parameters);
        if (r < 0)
                return r;
        r = upload_intake_read(&intake->copy, json_get_array(request, "uploads"));
        if (r == 0)
                intake->copy.fd = varlink_call_take_fd(call, 0);
        if (r != 0 || intake->copy.fd < 0)
                return varlink_call_invalid_parameter(call, "request");
        /* What would be refused in the end is refused before its bytes are copied. */
        r = queue_check(uploads->manager->queue, call, caller, request);
        if (r != 0)
                return MIN(r, 0);

        intake->call = call;
        intake->received = received;
        varlink_call_set_closed_handler(call, on_client_gone, intake);
        TAILQ_INSERT_TAIL(&uploads->intakes, intake, entry);
        TAKE_PTR(intake);
        (void) sd_event_source_set_enabled(uploads->begin, SD_EVENT_ONESHOT);
        return 0;
}

bool uploads_idle(const Uploads *uploads) {
        return !uploads || uploads->n_begun == 0;
}

/* ------------------------------------------------------------------ jobs that have ended */

static int apply_look(Write *write, Store *store) {
        Sweep *sweep = CONTAINER_OF(write, Sweep, write);

        sweep->n_found = store_done_uploads(store, sweep->found, SWEEP_MAX);
        return MIN(sweep->n_found, 0);
}

static int apply_forget(Write *write, Store *store) {
        Sweep *sweep = CONTAINER_OF(write, Sweep, write);
        int r = 0;

        for (int i = 0; i < sweep->n_found && r >= 0; i++)
                r = store_remove_upload(store, &sweep->found[i]);
        return r;
}

/* Jobs may have ended meanwhile. What could not be forgotten is found again after the next commit. */
static void on_forgotten(Write *write, int result) {
        Uploads *uploads = CONTAINER_OF(write, Sweep, write)->uploads;

        uploads->sweeping = false;
        if (result >= 0)
                (void) sd_event_source_set_enabled(uploads->look, SD_EVENT_ONESHOT);
}

static void on_found(Write *write, int result) {
        Sweep *sweep = CONTAINER_OF(write, Sweep, write);
        Uploads *uploads = sweep->uploads;

        if (result < 0) {
                uploads->sweeping = false;
                return;
        }
        for (int i = 0; i < sweep->n_found; i++)
                remove_unused(uploads, sweep->found[i].sha256, sweep->found[i].format);
        sweep->write = (Write) { .apply = apply_forget, .done = on_forgotten };
        commit_group_add(uploads->manager->group, &sweep->write);
}

/* Only what is found begins a write, whose commit has us look again. */
static int on_look(_unused_ sd_event_source *source, void *userdata) {
        Uploads *uploads = userdata;
        Store *store = commit_group_store(uploads->manager->group);
        DoneUpload first;
        int n;

        if (!store || uploads->sweeping)
                return 0;
        uploads->generation = uploads->manager->state_generation;
        n = store_done_uploads(store, &first, 1);
        if (n == 0)
                (void) store_has_uploads(store, &uploads->may_have);
        if (n <= 0)
                return 0;
        uploads->may_have = true;
        uploads->sweeping = true;
        uploads->sweep.write = (Write) { .apply = apply_look, .done = on_found };
        commit_group_add(uploads->manager->group, &uploads->sweep.write);
        return 0;
}

void uploads_on_committed(Uploads *uploads) {
        if (uploads && !uploads->sweeping &&
            (uploads->may_have || uploads->generation != uploads->manager->state_generation))
                (void) sd_event_source_set_enabled(uploads->look, SD_EVENT_ONESHOT);
}

int uploads_new(Uploads **ret, Manager *manager) {
        _cleanup_(uploads_freep) Uploads *uploads = calloc(1, sizeof(*uploads));
        int r;

        if (!uploads)
                return -ENOMEM;
        uploads->manager = manager;
        uploads->sweep.uploads = uploads;
        TAILQ_INIT(&uploads->intakes);
        /* Its first turn looks after what an earlier process left. */
        r = sd_event_add_defer(service_event(manager->service), &uploads->look, on_look, uploads);
        if (r >= 0)
                r = sd_event_add_defer(service_event(manager->service), &uploads->begin, on_begin, uploads);
        if (r < 0)
                return r;
        (void) sd_event_source_set_description(uploads->look, "uploads of ended jobs");
        (void) sd_event_source_set_priority(uploads->look, PRIORITY_DISPATCH);
        (void) sd_event_source_set_description(uploads->begin, "uploads that come");

        *ret = TAKE_PTR(uploads);
        return 0;
}

Uploads *uploads_free(Uploads *uploads) {
        Intake *intake;

        if (!uploads)
                return NULL;
        while ((intake = TAILQ_FIRST(&uploads->intakes))) {
                TAILQ_REMOVE(&uploads->intakes, intake, entry);
                (void) intake_free(intake);
        }
        (void) sd_event_source_disable_unref(uploads->begin);
        (void) sd_event_source_disable_unref(uploads->look);
        free(uploads);
        return NULL;
}

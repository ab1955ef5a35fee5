/* The problem: a restored state must take the place of the one in use, whole or not at all, while clients ask.
 *
 * The model: `next` is built beside `current` (state-receiver.h), under an id that each call names, so that a scheduler
 * that was away cannot go on with what somebody else has begun. Adopt then goes through
 *
 *     CHECKING   in a helper thread: the database is sound and of ours, images are counted, all is durable
 *     PARKING    nothing is started any more; what is under way is waited for and committed, to the state in use
 *     exchange   in one turn of the loop: who waits for a job is sent away (and asks again), the store is closed, the
 *                folders are exchanged (state-folder.h), the store is opened; back again if that fails
 *
 * Until the exchange the state in use is untouched, and so it is after a failed one. Every job of the new state that had
 * not ended is held: nothing is paid for until an operator releases it. What is left of an adoption that nobody ended is
 * removed by the next one and at the next start. */
#include "state/adoption-private.h"

#include <errno.h>

#include "base/fd.h"
#include "base/log.h"
#include "base/text.h"

#define ADOPTION_PATIENCE_USEC USEC_PER_MINUTE  /* without a call: whoever began it has gone */

static int refuse_id(VarlinkCall *call, const char *id) {
        JsonValue *parameters = json_new_object();

        (void) json_add_string(parameters, "adoption", id);
        return varlink_call_error(call, "io.atelier.Store.AdoptionNotFound", parameters);
}

int adoption_refuse_busy(VarlinkCall *call) {
        return varlink_call_error(call, "io.atelier.Store.Busy", NULL);
}

Adoption *adoption_free(Adoption *adoption) {
        if (!adoption)
                return NULL;
        if (adoption->call)
                varlink_call_abandon(adoption->call);
        (void) sd_event_source_disable_unref(adoption->let_go);
        (void) sd_event_source_disable_unref(adoption->park_timer);
        (void) sd_event_source_disable_unref(adoption->patience_timer);
        (void) state_receiver_free(adoption->receiver);
        free(adoption);
        return NULL;
}

void adoption_forget(Adoption *adoption) {
        Manager *manager = adoption->manager;

        if (adoption->held)
                service_release(manager->service);
        manager->adoption = NULL;
        (void) adoption_free(adoption);
}

void adoption_quiesce(Adoption *adoption) {
        if (adoption && !adoption->busy)
                adoption_forget(adoption);
}

/* What was built stays until the next adoption, or the next start. */
static int on_patience(sd_event_source *source, _unused_ uint64_t usec, void *userdata) {
        Adoption *adoption = userdata;
        usec_t now = time_now_monotonic(), end = adoption->called_at + ADOPTION_PATIENCE_USEC;

        if (!adoption->busy && now >= end) {
                log_warning("an adoption was begun and not gone on with; it is given up");
                adoption_forget(adoption);
                return 0;
        }
        (void) sd_event_source_set_time_relative(source, adoption->busy ? ADOPTION_PATIENCE_USEC : end - now);
        return sd_event_source_set_enabled(source, SD_EVENT_ONESHOT);
}

/* From its first call on. */
static int hold(Adoption *adoption) {
        int r;

        r = sd_event_add_time_relative(service_event(adoption->manager->service), &adoption->patience_timer,
                                       CLOCK_MONOTONIC, ADOPTION_PATIENCE_USEC, 0, on_patience, adoption);
        if (r < 0)
                return r;
        (void) sd_event_source_set_description(adoption->patience_timer, "adoption");
        service_hold(adoption->manager->service);
        adoption->held = true;
        return 0;
}

/* ------------------------------------------------------------------ helper threads with a call */

/* A call that a helper thread works for. The caller may go away meanwhile. */
typedef struct FolderTask {
        Manager *manager;
        VarlinkCall *call;
        Adoption *adoption;         /* Prepare: the one that begins */
        int folder_fd;
        JsonValue *removed;
} FolderTask;

void adoption_on_caller_gone(_unused_ VarlinkCall *call, void *userdata) {
        *(VarlinkCall **) userdata = NULL;
}

VarlinkCall *adoption_take_call(VarlinkCall **call) {
        if (*call)
                varlink_call_set_closed_handler(*call, NULL, NULL);
        return TAKE_PTR(*call);
}

static int run_folder_task(Manager *manager, VarlinkCall *call, Adoption *adoption, ThreadWork work, ThreadDone done) {
        FolderTask *task = calloc(1, sizeof(*task));
        int r;

        if (!task)
                return -ENOMEM;
        *task = (FolderTask) { .manager = manager, .call = call, .adoption = adoption, .folder_fd = -1 };
        r = thread_pool_run(manager->threads, work, done, task);
        if (r < 0) {
                free(task);
                return r;
        }
        if (call)
                varlink_call_set_closed_handler(call, adoption_on_caller_gone, &task->call);
        service_hold(manager->service);
        return 0;
}

static void free_folder_task(FolderTask *task) {
        service_release(task->manager->service);
        (void) fd_close(task->folder_fd);
        (void) json_free(task->removed);
        free(task);
}

/* ------------------------------------------------------------------ Prepare, Abandon, Discard */

static int make_next(void *userdata) {
        FolderTask *task = userdata;

        return state_folder_make_next(task->manager->state, &task->folder_fd);
}

static int begin(FolderTask *task, JsonValue *reply) {
        Manager *manager = task->manager;
        int r;

        r = json_add_string(reply, "adoption", id_new(task->adoption->id));
        if (r >= 0)
                r = hold(task->adoption);
        if (r < 0)
                return r;
        return state_receiver_new(&task->adoption->receiver, TAKE_FD(task->folder_fd),
                                  service_settings(manager->service)->worker.storage_free_min);
}

static void on_next_made(void *userdata, int result) {
        FolderTask *task = userdata;
        VarlinkCall *call = adoption_take_call(&task->call);
        JsonValue *reply = json_new_object();

        if (result >= 0)
                result = begin(task, reply);
        task->adoption->busy = false;
        task->adoption->called_at = time_now_monotonic();
        if (result < 0 || !call)
                adoption_forget(task->adoption);
        if (call && result >= 0)
                (void) varlink_call_reply(call, TAKE_PTR(reply));
        else if (call)
                (void) varlink_call_error_errno(call, result);
        (void) json_free(reply);
        free_folder_task(task);
}

int adoption_prepare(Manager *manager, VarlinkCall *call) {
        int r;

        if (manager->snapshot || (manager->adoption && manager->adoption->busy))
                return adoption_refuse_busy(call);
        if (manager->adoption)
                adoption_forget(manager->adoption);
        manager->adoption = calloc(1, sizeof(Adoption));
        if (!manager->adoption)
                return -ENOMEM;
        manager->adoption->manager = manager;
        manager->adoption->busy = true;
        r = run_folder_task(manager, call, manager->adoption, make_next, on_next_made);
        if (r < 0)
                adoption_forget(manager->adoption);
        return r;
}

Adoption *adoption_find(Manager *manager, VarlinkCall *call, const char *id) {
        Adoption *adoption = manager->adoption;

        if (!adoption || !text_equal(adoption->id, id)) {
                (void) refuse_id(call, id);
                return NULL;
        }
        if (adoption->busy) {
                (void) adoption_refuse_busy(call);
                return NULL;
        }
        adoption->called_at = time_now_monotonic();
        return adoption;
}

static int remove_next(void *userdata) {
        FolderTask *task = userdata;

        return state_folder_remove_next(task->manager->state);
}

static void on_next_removed(void *userdata, int result) {
        FolderTask *task = userdata;
        VarlinkCall *call = adoption_take_call(&task->call);

        adoption_forget(task->adoption);
        if (call)
                (void) (result < 0 ? varlink_call_error_errno(call, result) : varlink_call_reply(call, NULL));
        free_folder_task(task);
}

static int remove_built(Adoption *adoption, VarlinkCall *call) {
        int r;

        r = run_folder_task(adoption->manager, call, adoption, remove_next, on_next_removed);
        if (r >= 0)
                adoption->busy = true;
        return r;
}

static int on_let_go(_unused_ sd_event_source *source, void *userdata) {
        Adoption *adoption = userdata;
        VarlinkCall *call = adoption_take_call(&adoption->call);
        int r;

        r = remove_built(adoption, call);
        if (r >= 0)
                return 0;
        if (call)
                (void) varlink_call_error_errno(call, r);
        adoption_forget(adoption);
        return 0;
}

/* Its caller may have gone away in the midst of Receive, and come back for this while a helper thread still reads. */
static int abandon_later(Adoption *adoption, VarlinkCall *call) {
        int r;

        r = sd_event_add_defer(service_event(adoption->manager->service), &adoption->let_go, on_let_go, adoption);
        if (r < 0)
                return r;
        (void) sd_event_source_set_description(adoption->let_go, "abandon adoption");
        (void) sd_event_source_set_enabled(adoption->let_go, SD_EVENT_OFF);
        adoption->abandoned = true;
        adoption->call = call;
        varlink_call_set_closed_handler(call, adoption_on_caller_gone, &adoption->call);
        return 0;
}

int adoption_abandon(Manager *manager, VarlinkCall *call, const char *id) {
        Adoption *adoption = manager->adoption;

        if (adoption && text_equal(adoption->id, id) && adoption->receiving && !adoption->abandoned)
                return abandon_later(adoption, call);
        adoption = adoption_find(manager, call, id);
        return adoption ? remove_built(adoption, call) : 0;
}

static void note_removed(const char *name, void *userdata) {
        (void) json_append(userdata, cJSON_CreateString(name));
}

static int discard(void *userdata) {
        FolderTask *task = userdata;

        task->removed = json_new_array();
        if (!task->removed)
                return -ENOMEM;
        return state_folder_discard_former(task->manager->state, note_removed, task->removed);
}

static void on_discarded(void *userdata, int result) {
        FolderTask *task = userdata;
        VarlinkCall *call = adoption_take_call(&task->call);
        JsonValue *reply = json_new_object();

        if (result >= 0)
                result = json_add(reply, "removed", TAKE_PTR(task->removed));
        if (call && result >= 0)
                (void) varlink_call_reply(call, TAKE_PTR(reply));
        else if (call)
                (void) varlink_call_error_errno(call, result);
        (void) json_free(reply);
        free_folder_task(task);
}

int adoption_discard_former(Manager *manager, VarlinkCall *call) {
        return run_folder_task(manager, call, NULL, discard, on_discarded);
}

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
#include "adoption.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/id.h"
#include "base/log.h"
#include "base/text.h"
#include "dispatcher.h"
#include "state-database.h"
#include "state-receiver.h"

#define DATABASE_NAME "atelier.db"
#define ADOPTION_PATIENCE_USEC USEC_PER_MINUTE  /* without a call: whoever began it has gone */

struct Adoption {
        Manager *manager;
        char id[ID_TEXT_MAX];
        StateReceiver *receiver;
        bool busy;                  /* a helper thread is at work on it, or it is being adopted */
        usec_t called_at;           /* monotonic: when it was last asked for anything */
        bool held;                  /* the worker stays for it, as long as its caller may come back */
        sd_event_source *patience_timer;

        bool receiving, abandoned;  /* abandoned: to be removed once the helper thread has let go of its files */
        sd_event_source *let_go;

        VarlinkCall *call;          /* of Adopt, or of an Abandon that waits; NULL: its caller has gone */
        const char *reason;         /* why it is refused; static */
        StateTotals totals;
        int64_t missing;
        char former[STATE_FORMER_NAME_MAX];
        sd_event_source *park_timer;
};

static int refuse_state(VarlinkCall *call, const char *reason) {
        JsonValue *parameters = json_new_object();

        (void) json_add_string(parameters, "reason", reason);
        return varlink_call_error(call, "io.atelier.Store.StateRefused", parameters);
}

static int refuse_id(VarlinkCall *call, const char *id) {
        JsonValue *parameters = json_new_object();

        (void) json_add_string(parameters, "adoption", id);
        return varlink_call_error(call, "io.atelier.Store.AdoptionNotFound", parameters);
}

static int refuse_busy(VarlinkCall *call) {
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

static void forget(Adoption *adoption) {
        Manager *manager = adoption->manager;

        if (adoption->held)
                service_release(manager->service);
        manager->adoption = NULL;
        (void) adoption_free(adoption);
}

void adoption_quiesce(Adoption *adoption) {
        if (adoption && !adoption->busy)
                forget(adoption);
}

/* What was built stays until the next adoption, or the next start. */
static int on_patience(sd_event_source *source, _unused_ uint64_t usec, void *userdata) {
        Adoption *adoption = userdata;
        usec_t now = time_now_monotonic(), end = adoption->called_at + ADOPTION_PATIENCE_USEC;

        if (!adoption->busy && now >= end) {
                log_warning("an adoption was begun and not gone on with; it is given up");
                forget(adoption);
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

static void on_caller_gone(_unused_ VarlinkCall *call, void *userdata) {
        *(VarlinkCall **) userdata = NULL;
}

static VarlinkCall *take_call(VarlinkCall **call) {
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
                varlink_call_set_closed_handler(call, on_caller_gone, &task->call);
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
        VarlinkCall *call = take_call(&task->call);
        JsonValue *reply = json_new_object();

        if (result >= 0)
                result = begin(task, reply);
        task->adoption->busy = false;
        task->adoption->called_at = time_now_monotonic();
        if (result < 0 || !call)
                forget(task->adoption);
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
                return refuse_busy(call);
        if (manager->adoption)
                forget(manager->adoption);
        manager->adoption = calloc(1, sizeof(Adoption));
        if (!manager->adoption)
                return -ENOMEM;
        manager->adoption->manager = manager;
        manager->adoption->busy = true;
        r = run_folder_task(manager, call, manager->adoption, make_next, on_next_made);
        if (r < 0)
                forget(manager->adoption);
        return r;
}

/* The adoption of this id that nobody works on. NULL after the call has been answered. */
static Adoption *find(Manager *manager, VarlinkCall *call, const char *id) {
        Adoption *adoption = manager->adoption;

        if (!adoption || !text_equal(adoption->id, id)) {
                (void) refuse_id(call, id);
                return NULL;
        }
        if (adoption->busy) {
                (void) refuse_busy(call);
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
        VarlinkCall *call = take_call(&task->call);

        forget(task->adoption);
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
        VarlinkCall *call = take_call(&adoption->call);
        int r;

        r = remove_built(adoption, call);
        if (r >= 0)
                return 0;
        if (call)
                (void) varlink_call_error_errno(call, r);
        forget(adoption);
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
        varlink_call_set_closed_handler(call, on_caller_gone, &adoption->call);
        return 0;
}

int adoption_abandon(Manager *manager, VarlinkCall *call, const char *id) {
        Adoption *adoption = manager->adoption;

        if (adoption && text_equal(adoption->id, id) && adoption->receiving && !adoption->abandoned)
                return abandon_later(adoption, call);
        adoption = find(manager, call, id);
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
        VarlinkCall *call = take_call(&task->call);
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

/* ------------------------------------------------------------------ Receive */

typedef struct Delivery {
        Adoption *adoption;
        VarlinkCall *call;
        size_t n;
        const char *reason;
        size_t refused;                              /* which one */
        struct {
                char *name;
                uint64_t size;
                int fd;
                char sha256[SHA256_TEXT_MAX];
        } members[VARLINK_FDS_MAX];
} Delivery;

static Delivery *delivery_free(Delivery *delivery) {
        if (!delivery)
                return NULL;
        for (size_t i = 0; i < delivery->n; i++) {
                free(delivery->members[i].name);
                (void) fd_close(delivery->members[i].fd);
        }
        free(delivery);
        return NULL;
}

DEFINE_CLEANUP(Delivery *, delivery_free);

static int receive(void *userdata) {
        Delivery *delivery = userdata;
        int r = 0;

        for (size_t i = 0; i < delivery->n && r == 0; i++) {
                delivery->refused = i;
                r = state_receiver_add(delivery->adoption->receiver, delivery->members[i].name,
                                       delivery->members[i].size, delivery->members[i].fd,
                                       delivery->members[i].sha256, &delivery->reason);
                /* Who writes into it is not to wait for us. */
                delivery->members[i].fd = fd_close(delivery->members[i].fd);
        }
        return r;
}

static int refuse_member(VarlinkCall *call, const char *name, const char *reason) {
        JsonValue *parameters = json_new_object();

        (void) json_add_string(parameters, "name", name);
        (void) json_add_string(parameters, "reason", reason);
        return varlink_call_error(call, "io.atelier.Store.MemberRefused", parameters);
}

static void reply_received(VarlinkCall *call, const Delivery *delivery) {
        JsonValue *reply = json_new_object(), *hashes = json_new_array();
        int r;

        r = json_add(reply, "sha256", hashes);
        for (size_t i = 0; i < delivery->n && r >= 0; i++)
                r = json_append(hashes, cJSON_CreateString(delivery->members[i].sha256));
        if (r >= 0)
                (void) varlink_call_reply(call, TAKE_PTR(reply));
        else
                (void) varlink_call_error_errno(call, r);
        (void) json_free(reply);
}

static void on_received(void *userdata, int result) {
        Delivery *delivery = userdata;
        VarlinkCall *call = take_call(&delivery->call);
        Adoption *adoption = delivery->adoption;
        const char *name = delivery->members[delivery->refused].name;

        adoption->receiving = false;
        adoption->busy = adoption->abandoned;
        adoption->called_at = time_now_monotonic();
        if (adoption->abandoned)
                (void) sd_event_source_set_enabled(adoption->let_go, SD_EVENT_ONESHOT);
        if (call && result == 0)
                reply_received(call, delivery);
        else if (call && result == STATE_REFUSED)
                (void) refuse_member(call, name, delivery->reason);
        else if (call && result == -ENOSPC)
                (void) refuse_member(call, name, "the disk is full");
        else if (call)
                (void) varlink_call_error_errno(call, result);
        service_release(adoption->manager->service);
        (void) delivery_free(delivery);
        if (service_stopping(adoption->manager->service))
                adoption_quiesce(adoption);
}

static int read_delivery(Delivery *delivery, VarlinkCall *call, const JsonValue *members) {
        const JsonValue *member;

        cJSON_ArrayForEach(member, members) {
                int64_t size = json_get_integer(member, "size_bytes", -1);
                int fd;

                if (delivery->n == VARLINK_FDS_MAX || size < 0)
                        return -EINVAL;
                fd = varlink_call_take_fd(call, delivery->n);
                if (fd < 0)
                        return -EINVAL;
                delivery->members[delivery->n].fd = fd;
                delivery->members[delivery->n].size = (uint64_t) size;
                delivery->members[delivery->n].name = strdup(json_get_string(member, "name"));
                if (!delivery->members[delivery->n++].name)
                        return -ENOMEM;
        }
        return delivery->n > 0 ? 0 : -EINVAL;
}

int adoption_receive(Manager *manager, VarlinkCall *call, const JsonValue *parameters) {
        _cleanup_(delivery_freep) Delivery *delivery = NULL;
        Adoption *adoption = find(manager, call, json_get_string(parameters, "adoption"));
        int r;

        if (!adoption)
                return 0;
        delivery = calloc(1, sizeof(*delivery));
        if (!delivery)
                return -ENOMEM;
        r = read_delivery(delivery, call, json_get_array(parameters, "members"));
        if (r == -EINVAL)
                return varlink_call_invalid_parameter(call, "members");
        if (r < 0)
                return r;
        delivery->adoption = adoption;
        delivery->call = call;
        r = thread_pool_run(manager->threads, receive, on_received, delivery);
        if (r < 0)
                return r;
        varlink_call_set_closed_handler(call, on_caller_gone, &delivery->call);
        service_hold(manager->service);
        adoption->busy = true;
        adoption->receiving = true;
        TAKE_PTR(delivery);
        return 0;
}

/* ------------------------------------------------------------------ Adopt: checking */

static int check_images(Adoption *adoption, StateDatabase *database) {
        StateImage image;
        int r;

        while ((r = state_database_next_image(database, &image)) > 0) {
                char path[sizeof("images/ab/.jpeg") + SHA256_TEXT_MAX];
                struct stat st;

                (void) snprintf(path, sizeof(path), "images/%.2s/%s.%s", image.sha256, image.sha256,
                                image_format_name(image.format));
                if (fstatat(state_receiver_folder(adoption->receiver), path, &st, AT_SYMLINK_NOFOLLOW) < 0) {
                        if (errno != ENOENT)
                                return -errno;
                        adoption->missing++;
                } else if ((uint64_t) st.st_size != image.size_bytes) {
                        adoption->reason = "an image has another size than its job says";
                        return STATE_REFUSED;
                }
        }
        return r;
}

static int check(void *userdata) {
        Adoption *adoption = userdata;
        _cleanup_(state_database_freep) StateDatabase *database = NULL;
        _cleanup_free_ char *path = text_format("%s/" DATABASE_NAME, state_folder_next(adoption->manager->state));
        int r;

        if (!path)
                return -ENOMEM;
        if (faccessat(state_receiver_folder(adoption->receiver), DATABASE_NAME, F_OK, 0) < 0)
                r = -EUCLEAN;
        else
                r = state_database_open(&database, path, true);
        if (r == -EUCLEAN)
                adoption->reason = "its database is missing, damaged, or none of Atelier's";
        else if (r == -EPROTONOSUPPORT)
                adoption->reason = "its database was made by a newer version of Atelier";
        if (r < 0)
                return adoption->reason ? STATE_REFUSED : r;

        adoption->totals = *state_database_totals(database);
        r = check_images(adoption, database);
        if (r != 0)
                return r;
        database = state_database_free(database);
        return state_receiver_sync(adoption->receiver);
}

/* ------------------------------------------------------------------ Adopt: the end */

static int format_adopted(JsonValue *reply, const Adoption *adoption) {
        int r;

        r = json_add_integer(reply, "jobs", adoption->totals.jobs);
        if (r >= 0)
                r = json_add_integer(reply, "images", adoption->totals.images - adoption->missing);
        if (r >= 0)
                r = json_add_integer(reply, "held", adoption->totals.held);
        if (r >= 0)
                r = json_add_integer(reply, "missing_total", adoption->missing);
        if (r >= 0)
                r = json_add_string(reply, "former", adoption->former);
        return r;
}

/* Whatever came of it: the call is answered, work goes on, on the one state or the other. */
static void finish(Adoption *adoption, int result) {
        VarlinkCall *call = take_call(&adoption->call);
        Service *service = adoption->manager->service;
        JsonValue *reply = json_new_object();

        if (result == 0)
                log_notice("a restored state is in use: %lld jobs, %lld of them held; the former one is kept as %s",
                           (long long) adoption->totals.jobs, (long long) adoption->totals.held, adoption->former);
        else
                (void) log_warning_errno(MIN(result, 0), "a restored state was refused%s%s", adoption->reason ? ": " : "",
                                         adoption->reason ?: "");
        if (call && result == 0) {
                int r = format_adopted(reply, adoption);

                (void) (r < 0 ? varlink_call_error_errno(call, r) : varlink_call_reply(call, TAKE_PTR(reply)));
        } else if (call && result == STATE_REFUSED)
                (void) refuse_state(call, adoption->reason);
        else if (call)
                (void) varlink_call_error_errno(call, result);
        (void) json_free(reply);
        adoption->busy = false;
        if (result == 0 || service_stopping(service))
                forget(adoption);
        service_release(service);
}

/* ------------------------------------------------------------------ Adopt: the exchange */

static int reopen_images(Manager *manager) {
        _cleanup_close_ int fd = state_folder_open_current(manager->state);

        return fd < 0 ? fd : image_store_move(manager->images, fd);
}

static int replace_state(void *userdata) {
        Manager *manager = userdata;
        int r;

        watchers_abandon_all(manager->watchers);
        r = state_folder_exchange(manager->state);
        return r < 0 ? r : reopen_images(manager);
}

static void put_back_state(void *userdata) {
        Manager *manager = userdata;
        int r;

        r = state_folder_exchange_back(manager->state);
        if (r >= 0)
                r = reopen_images(manager);
        if (r < 0)
                (void) log_error_errno(r, "the state in use can't be put back; it is in %s",
                                       state_folder_next(manager->state));
}

/* The state is in use from here on, whatever fails: a queue that can't be read is found again by the next start. */
static void take_over(Adoption *adoption) {
        Manager *manager = adoption->manager;
        int r;

        r = state_folder_keep_former(manager->state, time_now_realtime(), adoption->former);
        if (r < 0) {
                (void) log_warning_errno(r, "the former state keeps the name `next` until the next start");
                (void) stpcpy(adoption->former, "next");
        }
        r = dispatcher_recover(manager->dispatcher);
        if (r < 0)
                (void) log_error_errno(r, "the restored queue can't be read; restart the worker");
        adoption->totals.held = dispatcher_held(manager->dispatcher);
        (void) manager_look_for_paid_history(manager);
}

static void exchange(Adoption *adoption) {
        Manager *manager = adoption->manager;
        int r;

        (void) sd_event_source_set_enabled(adoption->park_timer, SD_EVENT_OFF);
        r = commit_group_replace(manager->group, replace_state, put_back_state, manager);
        if (r >= 0)
                take_over(adoption);
        else {
                (void) log_error_errno(r, "a restored state can't be put in place");
                adoption->reason = "it can't be put in place (the worker's journal says why); the state in use stays";
        }
        dispatcher_unpark(manager->dispatcher);
        finish(adoption, r < 0 ? STATE_REFUSED : 0);
}

static void on_parked(void *userdata) {
        exchange(userdata);
}

static int on_park_timeout(_unused_ sd_event_source *source, _unused_ uint64_t usec, void *userdata) {
        Adoption *adoption = userdata;

        adoption->reason = "jobs in progress did not end within worker.drain_timeout; try again";
        dispatcher_unpark(adoption->manager->dispatcher);
        finish(adoption, STATE_REFUSED);
        return 0;
}

static int park(Adoption *adoption) {
        Manager *manager = adoption->manager;
        usec_t patience = service_settings(manager->service)->worker.drain_timeout;
        int r;

        if (!adoption->park_timer) {
                r = sd_event_add_time_relative(service_event(manager->service), &adoption->park_timer, CLOCK_MONOTONIC,
                                               0, 0, on_park_timeout, adoption);
                if (r < 0)
                        return r;
                (void) sd_event_source_set_description(adoption->park_timer, "park");
        }
        r = sd_event_source_set_time_relative(adoption->park_timer, patience);
        if (r >= 0)
                r = sd_event_source_set_enabled(adoption->park_timer, SD_EVENT_ONESHOT);
        if (r >= 0)
                dispatcher_park(manager->dispatcher, on_parked, adoption);
        return r;
}

static void on_checked(void *userdata, int result) {
        Adoption *adoption = userdata;

        if (result == 0)
                result = park(adoption);
        if (result != 0)
                finish(adoption, result);
}

int adoption_adopt(Manager *manager, VarlinkCall *call, const char *id) {
        Adoption *adoption = find(manager, call, id);
        int r;

        if (!adoption)
                return 0;
        if (manager->snapshot)
                return refuse_busy(call);
        adoption->reason = NULL;
        adoption->missing = 0;
        r = thread_pool_run(manager->threads, check, on_checked, adoption);
        if (r < 0)
                return r;
        adoption->busy = true;
        adoption->call = call;
        varlink_call_set_closed_handler(call, on_caller_gone, &adoption->call);
        service_hold(manager->service);
        return 0;
}

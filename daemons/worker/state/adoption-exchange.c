#include "state/adoption-private.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "base/fd.h"
#include "base/log.h"
#include "base/text.h"
#include "dispatch/dispatcher.h"
#include "money/budget-wait.h"
#include "keys/client-keys.h"
#include "money/spending.h"
#include "store/store-audit.h"
#include "store/store-ledger.h"

/* io.atelier.Store.Adopt: checked, parked, exchanged. */

#define DATABASE_NAME "atelier.db"

static int refuse_state(VarlinkCall *call, const char *reason) {
        JsonValue *parameters = json_new_object();

        (void) json_add_string(parameters, "reason", reason);
        return varlink_call_error(call, "io.atelier.Store.StateRefused", parameters);
}

/* ------------------------------------------------------------------ checking */

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

/* ------------------------------------------------------------------ the end */

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
        VarlinkCall *call = adoption_take_call(&adoption->call);
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
                adoption_forget(adoption);
        service_release(service);
}

/* ------------------------------------------------------------------ the exchange */

/* An operator who has stopped spending does not start it by a restore. */
static int carry_over_pause(Store *next, Store *current) {
        BudgetPause pause;
        int r;

        r = store_get_budget_pause(current, &pause);
        if (r < 0 || pause.since == 0)
                return 0;
        r = store_group_begin(next);
        if (r >= 0)
                r = store_set_budget_pause(next, &pause);
        if (r >= 0)
                r = store_group_commit(next);
        budget_pause_done(&pause);
        return r;
}

/* Nothing is spent while jobs are parked: what is carried over now is all of it. A state in use whose ledger can't be read
 * is no reason to refuse the one that is to replace it. */
static int carry_over(Manager *manager) {
        _cleanup_free_ char *path = text_format("%s/" DATABASE_NAME, state_folder_next(manager->state));
        _cleanup_(store_freep) Store *next = NULL;
        Store *current = commit_group_store(manager->group);
        char amount[MONEY_TEXT_MAX];
        micros_t carried = 0;
        int64_t records;
        int r;

        r = path ? store_open(&next, path) : -ENOMEM;
        if (r >= 0)
                r = current ? store_ledger_carry_over(next, current, &carried) : LEDGER_FORMER_UNREADABLE;
        if (r == LEDGER_FORMER_UNREADABLE)
                log_warning("what was spent since the backup can't be read and is not in the restored ledger; compare "
                            "`atelierctl usage` with the provider's bill");
        else if (carried > 0)
                log_notice("the restored ledger takes over %s that were spent, or may have been, since the backup",
                           money_format(carried, amount));
        if (r >= 0 && current)
                r = carry_over_pause(next, current);
        if (r >= 0)
                r = store_audit_carry_over(next, current, &records);
        return MIN(r, 0);
}

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
        manager->state_generation++;
        r = spending_reload(manager->spending);
        if (r < 0)
                (void) log_warning_errno(r, "whether spending is paused can't be read");
        r = dispatcher_recover(manager->dispatcher);
        budget_wait_recount(manager->budget_wait);
        if (r < 0)
                (void) log_error_errno(r, "the restored queue can't be read; restart the worker");
        adoption->totals.held = dispatcher_held(manager->dispatcher);
        (void) manager_look_for_paid_history(manager);
        client_keys_look_for_secret(manager->client_keys);
}

/* A key that was revoked since the backup must not come back, nor the time before there were any. */
static int carry_keys(const Manager *manager) {
        _cleanup_free_ char *path = text_format("%s/" DATABASE_NAME, state_folder_next(manager->state));

        return path ? client_keys_carry(manager->client_keys, path) : -ENOMEM;
}

static void exchange(Adoption *adoption) {
        Manager *manager = adoption->manager;
        int r;

        (void) sd_event_source_set_enabled(adoption->park_timer, SD_EVENT_OFF);
        r = carry_over(manager);
        if (r >= 0)
                r = carry_keys(manager);
        if (r >= 0)
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
        Adoption *adoption = adoption_find(manager, call, id);
        int r;

        if (!adoption)
                return 0;
        if (manager->snapshot)
                return adoption_refuse_busy(call);
        adoption->reason = NULL;
        adoption->missing = 0;
        r = thread_pool_run(manager->threads, check, on_checked, adoption);
        if (r < 0)
                return r;
        adoption->busy = true;
        adoption->call = call;
        varlink_call_set_closed_handler(call, adoption_on_caller_gone, &adoption->call);
        service_hold(manager->service);
        return 0;
}

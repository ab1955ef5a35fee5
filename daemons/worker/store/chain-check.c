#include "store/chain-check.h"

#include <errno.h>
#include <stdlib.h>

#include "base/text.h"

#define PROGRESS_INTERVAL_USEC USEC_PER_SEC

typedef struct ChainCheck {
        Manager *manager;
        VarlinkCall *call;
        const ChainKind *kind;
        void *chain;
        uint64_t generation;        /* of the state that is looked at: in another one it begins afresh */
        usec_t told_at;             /* monotonic */
        sd_event_source *turn;
} ChainCheck;

static void end_check(ChainCheck *check) {
        service_release(check->manager->service);
        (void) sd_event_source_disable_unref(check->turn);
        check->kind->free(check->chain);
        free(check);
}

static void on_gone(_unused_ VarlinkCall *call, void *userdata) {
        end_check(userdata);
}

static int begin_afresh(ChainCheck *check) {
        check->kind->free(check->chain);
        check->chain = NULL;
        check->generation = check->manager->state_generation;
        return check->kind->new(&check->chain);
}

static JsonValue *build_reply(const ChainCheck *check) {
        JsonValue *reply = json_new_object();

        (void) json_add_integer(reply, check->kind->counts, check->kind->count(check->chain));
        return reply;
}

static void reply_end(ChainCheck *check, int result, const char *problem) {
        VarlinkCall *call = check->call;
        JsonValue *reply = build_reply(check);

        varlink_call_set_closed_handler(call, NULL, NULL);
        if (result < 0) {
                (void) json_free(reply);
                (void) varlink_call_error_errno(call, result);
        } else {
                (void) json_add_bool(reply, "ok", !problem);
                (void) json_add_string(reply, "problem", problem);
                (void) varlink_call_reply(call, reply);
        }
        end_check(check);
}

/* At most once a second. */
static int tell_progress(ChainCheck *check) {
        usec_t now = time_now_monotonic();

        if (!varlink_call_wants_more(check->call) || now < check->told_at + PROGRESS_INTERVAL_USEC)
                return 0;
        check->told_at = now;
        return varlink_call_notify(check->call, build_reply(check));
}

static int on_turn(_unused_ sd_event_source *source, void *userdata) {
        ChainCheck *check = userdata;
        Store *store = commit_group_store(check->manager->group);
        _cleanup_free_ char *problem = NULL;
        int r = 0;

        if (check->generation != check->manager->state_generation)
                r = begin_afresh(check);
        if (r >= 0)
                r = store ? check->kind->step(check->chain, store, &problem) : -EIO;
        if (r == CHAIN_MORE) {
                r = tell_progress(check);
                if (r < 0)
                        reply_end(check, r, NULL);
        } else if (r == -EUCLEAN)
                reply_end(check, 0, "the database is damaged: it can't be read");
        else
                reply_end(check, MIN(r, 0), problem);
        return 0;
}

int chain_check_start(Manager *manager, VarlinkCall *call, const ChainKind *kind) {
        ChainCheck *check = calloc(1, sizeof(*check));
        int r;

        if (!check)
                return -ENOMEM;
        check->manager = manager;
        check->call = call;
        check->kind = kind;
        r = begin_afresh(check);
        if (r >= 0)
                r = sd_event_add_defer(service_event(manager->service), &check->turn, on_turn, check);
        if (r >= 0)
                r = sd_event_source_set_priority(check->turn, SD_EVENT_PRIORITY_IDLE);
        if (r >= 0)
                r = sd_event_source_set_enabled(check->turn, SD_EVENT_ON);
        service_hold(manager->service);
        if (r < 0) {
                end_check(check);
                return r;
        }
        (void) sd_event_source_set_description(check->turn, "chain check");
        varlink_call_set_closed_handler(call, on_gone, check);
        return 0;
}

#include "dispatch/dispatch-turn.h"

#include <errno.h>
#include <string.h>

#include "dispatch/dispatch-route.h"
#include "dispatch/fallback.h"
#include "dispatch/key-refusal.h"

#define ROUTE_SKIPS_MAX 32      /* jobs of a lane that are looked at in vain in one turn */

typedef struct Lane {
        char *model;
        ProviderSlot *slot;     /* NULL: model or provider is not configured */
        Gate *gate;
        const ModelConf *chain; /* the model, where it has fallbacks; else NULL */
        unsigned skips;
        WaitingJob head;        /* sequence 0: not looked up yet */
        WaitingJob due;         /* the last retry that was offered; sequence 0: none was */
        WaitingJob skipped;     /* the last other one that must wait, likewise */
        bool wrapped;           /* it stands before the one whose turn it would be */
        unsigned images;        /* of the head; 0: not looked up */
        bool over;
} Lane;

struct DispatchTurn {
        Manager *manager;
        Store *store;
        FairShare *share;
        usec_t now;             /* realtime */
        usec_t wake;            /* monotonic */
        Lane *lanes;
        size_t n_lanes;
        int64_t *offered;       /* sequences */
        size_t n_offered;
        DispatchRoute route;    /* of the job that was offered last */
};

DispatchTurn *dispatch_turn_free(DispatchTurn *turn) {
        if (!turn)
                return NULL;
        for (size_t i = 0; i < turn->n_lanes; i++)
                free(turn->lanes[i].model);
        free(turn->route.note);
        free(turn->lanes);
        free(turn->offered);
        free(turn);
        return NULL;
}

static int add_lane(DispatchTurn *turn, const char *after) {
        const ModelConf *model;
        Lane *lanes, *lane;
        char *name;
        int r;

        r = store_next_waiting_model(turn->store, after, &name);
        if (r != 0)
                return r;
        lanes = reallocarray(turn->lanes, turn->n_lanes + 1, sizeof(*lanes));
        if (!lanes) {
                free(name);
                return -ENOMEM;
        }
        turn->lanes = lanes;
        model = settings_find_model(service_settings(turn->manager->service), name);
        lane = &turn->lanes[turn->n_lanes++];
        *lane = (Lane) { .model = name };
        if (model) {
                lane->slot = provider_table_find(turn->manager->providers, model->provider);
                lane->gate = gates_find(turn->manager->gates, name);
                lane->chain = fallback_has(model) ? model : NULL;
        }
        return 0;
}

int dispatch_turn_new(DispatchTurn **ret, Manager *manager, FairShare *share, usec_t now) {
        _cleanup_(dispatch_turn_freep) DispatchTurn *turn = NULL;
        int r = 0;

        turn = calloc(1, sizeof(*turn));
        if (!turn)
                return -ENOMEM;
        turn->manager = manager;
        turn->share = share;
        turn->store = commit_group_store(manager->group);
        turn->now = now;
        turn->wake = USEC_INFINITY;

        while (r == 0 && turn->store)
                r = add_lane(turn, turn->n_lanes > 0 ? turn->lanes[turn->n_lanes - 1].model : "");
        if (r < 0)
                return r;
        *ret = TAKE_PTR(turn);
        return 0;
}

/* A key that has gone missing comes back with the operator's next reload: until then its jobs wait. */
static bool is_closed(DispatchTurn *turn, const Lane *lane) {
        usec_t wait;

        if (!lane->slot || lane->chain)
                return false;
        if (!provider_has_key(lane->slot->provider) || lane->slot->running >= lane->slot->concurrency ||
            key_refusal_awaits(turn->manager, lane->slot->provider))
                return true;
        wait = lane->gate ? gate_wait(lane->gate, time_now_monotonic()) : 0;
        if (wait > 0)
                turn->wake = MIN(turn->wake, wait);
        return wait > 0;
}

/* What was offered does not wait any more, unless it could not be claimed. */
static bool was_offered(const DispatchTurn *turn, int64_t sequence) {
        for (size_t i = 0; i < turn->n_offered; i++)
                if (turn->offered[i] == sequence)
                        return true;
        return false;
}

/* The first job of the party whose turn it is: after the last one, and after the last of all the first again. Behind
 * one that must wait come that party's further ones, and then the parties after it. */
static int look_up_untried(DispatchTurn *turn, Lane *lane) {
        int r;

        if (lane->skipped.sequence > 0)
                r = store_next_untried(turn->store, lane->model, &lane->skipped, &lane->head);
        else
                r = store_next_party(turn->store, lane->model, fair_share_last(turn->share, lane->model), &lane->head);
        if (r == STORE_NOT_FOUND && !lane->wrapped) {
                lane->wrapped = lane->skipped.sequence > 0;
                r = store_next_untried(turn->store, lane->model, NULL, &lane->head);
        }
        return r == 0 && was_offered(turn, lane->head.sequence) ? STORE_NOT_FOUND : r;
}

static int look_up_head(DispatchTurn *turn, Lane *lane) {
        int r;

        if (lane->head.sequence > 0)
                return 0;
        r = store_next_due(turn->store, lane->model, turn->now, lane->due.sequence > 0 ? &lane->due : NULL,
                           &lane->head);
        if (r == STORE_NOT_FOUND)
                r = look_up_untried(turn, lane);
        if (r < 0)
                return r;
        lane->over = r == STORE_NOT_FOUND;
        lane->images = 0;
        return 0;
}

/* A request that can't be read counts as one image: its attempt will say so. */
static int look_up_images(DispatchTurn *turn, Lane *lane) {
        _cleanup_(json_freep) JsonValue *request = NULL;
        _cleanup_(job_freep) Job *job = NULL;
        int64_t n;
        int r;

        if (lane->images > 0)
                return 0;
        r = store_get(turn->store, lane->head.id, &job);
        if (r != 0)
                return r < 0 ? r : -EUCLEAN;
        (void) json_parse(job->request, strlen(job->request), &request, NULL);
        n = json_get_integer(request, "n", 1);
        lane->images = n < 1 || n > GENERATION_IMAGES_MAX ? 1 : (unsigned) n;
        return 0;
}

enum {
        PACED_OUT = 1,
};

/* Do the images of the lane's head fit into the provider's minute? PACED_OUT: no, and all lanes of the provider are
 * over. */
static int check_pace(DispatchTurn *turn, Lane *lane) {
        usec_t wait;
        int r;

        if (!lane->gate || !gate_is_paced(lane->gate))
                return 0;
        r = look_up_images(turn, lane);
        if (r < 0)
                return r;
        wait = gate_wait_for_images(lane->gate, lane->images, time_now_monotonic());
        if (wait == 0)
                return 0;

        turn->wake = MIN(turn->wake, wait);
        for (size_t i = 0; i < turn->n_lanes; i++)
                if (turn->lanes[i].slot == lane->slot)
                        turn->lanes[i].over = true;
        return PACED_OUT;
}

static bool goes_before(const DispatchTurn *turn, const Lane *a, const Lane *b) {
        uint64_t turn_a = fair_share_turn(turn->share, a->model), turn_b = fair_share_turn(turn->share, b->model);

        return turn_a != turn_b ? turn_a < turn_b : a->head.sequence < b->head.sequence;
}

/* The lane that had no turn for the longest time; NULL: none is open. */
static int find_next(DispatchTurn *turn, Lane **ret) {
        Lane *next = NULL;
        int r;

        for (size_t i = 0; i < turn->n_lanes; i++) {
                Lane *lane = &turn->lanes[i];

                if (!lane->over)
                        lane->over = is_closed(turn, lane);
                if (lane->over)
                        continue;
                r = look_up_head(turn, lane);
                if (r < 0)
                        return r;
                if (!lane->over && (!next || goes_before(turn, lane, next)))
                        next = lane;
        }
        *ret = next;
        return 0;
}

/* The head must wait, and lets those behind it go by. */
static void skip_head(Lane *lane) {
        if (lane->head.not_before > 0)
                lane->due = lane->head;
        else
                lane->skipped = lane->head;
        lane->head.sequence = 0;
        lane->over = ++lane->skips == ROUTE_SKIPS_MAX;
}

/* Where the lane's head goes. DISPATCH_ROUTE_WAITS: nowhere yet. */
static int find_route(DispatchTurn *turn, Lane *lane) {
        int r;

        free(turn->route.note);
        turn->route = (DispatchRoute) { .slot = lane->slot, .gate = lane->gate, .images = lane->images };
        if (!lane->chain || !lane->slot)
                return 0;
        r = dispatch_route_find(turn->manager, lane->chain, lane->head.id, &turn->route, &turn->wake);
        if (r == DISPATCH_ROUTE_WAITS)
                skip_head(lane);
        return r;
}

static int offer(DispatchTurn *turn, Lane *lane, DispatchJob *ret) {
        int64_t *offered;
        int r;

        offered = reallocarray(turn->offered, turn->n_offered + 1, sizeof(*offered));
        if (!offered)
                return -ENOMEM;
        turn->offered = offered;
        r = fair_share_take(turn->share, lane->model, lane->head.party);
        if (r < 0)
                return r;
        turn->offered[turn->n_offered++] = lane->head.sequence;
        if (lane->head.not_before > 0)
                lane->due = lane->head;
        *ret = (DispatchJob) {
                .waiting = lane->head,
                .slot = turn->route.slot,
                .gate = turn->route.gate,
                .model = turn->route.model,
                .note = turn->route.note,
                .images = turn->route.images,
        };
        lane->head.sequence = 0;
        return 0;
}

int dispatch_turn_next(DispatchTurn *turn, DispatchJob *ret) {
        Lane *next;
        int r;

        do {
                r = find_next(turn, &next);
                if (r < 0)
                        return r;
                if (!next)
                        return DISPATCH_TURN_OVER;
                r = next->chain ? 0 : check_pace(turn, next);
                if (r == 0)
                        r = find_route(turn, next);
                if (r < 0)
                        return r;
        } while (r > 0);

        return offer(turn, next, ret);
}

usec_t dispatch_turn_wake(const DispatchTurn *turn) {
        return turn->wake;
}

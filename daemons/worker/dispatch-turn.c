#include "dispatch-turn.h"

#include <errno.h>

typedef struct Lane {
        char *model;
        ProviderSlot *slot;     /* NULL: model or provider is not configured */
        WaitingJob head;        /* sequence 0: not looked up yet */
        bool taken;             /* the head was offered: the next one is behind it */
        bool over;
} Lane;

struct DispatchTurn {
        Manager *manager;
        Store *store;
        usec_t now;             /* realtime */
        Lane *lanes;
        size_t n_lanes;
};

DispatchTurn *dispatch_turn_free(DispatchTurn *turn) {
        if (!turn)
                return NULL;
        for (size_t i = 0; i < turn->n_lanes; i++)
                free(turn->lanes[i].model);
        free(turn->lanes);
        free(turn);
        return NULL;
}

static int add_lane(DispatchTurn *turn, const char *after) {
        const ModelConf *model;
        Lane *lanes;
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
        turn->lanes[turn->n_lanes++] = (Lane) {
                .model = name,
                .slot = model ? provider_table_find(turn->manager->providers, model->provider) : NULL,
        };
        return 0;
}

int dispatch_turn_new(DispatchTurn **ret, Manager *manager, usec_t now) {
        _cleanup_(dispatch_turn_freep) DispatchTurn *turn = NULL;
        int r = 0;

        turn = calloc(1, sizeof(*turn));
        if (!turn)
                return -ENOMEM;
        turn->manager = manager;
        turn->store = commit_group_store(manager->group);
        turn->now = now;

        while (r == 0 && turn->store)
                r = add_lane(turn, turn->n_lanes > 0 ? turn->lanes[turn->n_lanes - 1].model : "");
        if (r < 0)
                return r;
        *ret = TAKE_PTR(turn);
        return 0;
}

/* A key that has gone missing comes back with the operator's next reload: until then its jobs wait. */
static bool is_closed(const Lane *lane) {
        return lane->slot &&
               (!provider_has_key(lane->slot->provider) || lane->slot->running >= lane->slot->concurrency);
}

static int look_up_head(DispatchTurn *turn, Lane *lane) {
        WaitingJob after = lane->head;
        int r;

        if (lane->head.sequence > 0 && !lane->taken)
                return 0;
        r = store_next_waiting(turn->store, lane->model, turn->now, lane->taken ? &after : NULL, &lane->head);
        if (r < 0)
                return r;
        lane->over = r == STORE_NOT_FOUND;
        lane->taken = false;
        return 0;
}

int dispatch_turn_next(DispatchTurn *turn, WaitingJob *ret, ProviderSlot **ret_slot) {
        Lane *next = NULL;
        int r;

        for (size_t i = 0; i < turn->n_lanes; i++) {
                Lane *lane = &turn->lanes[i];

                lane->over |= is_closed(lane);
                if (lane->over)
                        continue;
                r = look_up_head(turn, lane);
                if (r < 0)
                        return r;
                if (!lane->over && (!next || lane->head.sequence < next->head.sequence))
                        next = lane;
        }
        if (!next)
                return DISPATCH_TURN_OVER;

        next->taken = true;
        *ret = next->head;
        *ret_slot = next->slot;
        return 0;
}

#include "dispatch/fair-share.h"

#include <errno.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/map.h"

/* A model that had a turn. There are as many as the configuration has had since the start. */
typedef struct Turn {
        char party[FAIR_SHARE_PARTY_MAX];
        uint64_t number;
        char model[];
} Turn;

struct FairShare {
        Map *models;       /* name → Turn */
        uint64_t number;   /* of the last turn of all */
};

int fair_share_new(FairShare **ret) {
        _cleanup_(fair_share_freep) FairShare *share = calloc(1, sizeof(*share));
        int r;

        if (!share)
                return -ENOMEM;
        r = map_new(&share->models);
        if (r < 0)
                return r;
        *ret = TAKE_PTR(share);
        return 0;
}

FairShare *fair_share_free(FairShare *share) {
        Turn *turn;

        if (!share)
                return NULL;
        while (share->models && (turn = map_first(share->models))) {
                (void) map_remove(share->models, turn->model);
                free(turn);
        }
        (void) map_free(share->models);
        free(share);
        return NULL;
}

const char *fair_share_last(const FairShare *share, const char *model) {
        const Turn *turn = map_get(share->models, model);

        return turn ? turn->party : "";
}

uint64_t fair_share_turn(const FairShare *share, const char *model) {
        const Turn *turn = map_get(share->models, model);

        return turn ? turn->number : 0;
}

static int turn_new(Turn **ret, FairShare *share, const char *model) {
        size_t size = strlen(model) + 1;
        Turn *turn = calloc(1, sizeof(*turn) + size);
        int r;

        if (!turn)
                return -ENOMEM;
        memcpy(turn->model, model, size);
        r = map_put(share->models, turn->model, turn);
        if (r < 0) {
                free(turn);
                return r;
        }
        *ret = turn;
        return 0;
}

int fair_share_take(FairShare *share, const char *model, const char *party) {
        Turn *turn = map_get(share->models, model);
        int r;

        if (!turn) {
                r = turn_new(&turn, share, model);
                if (r < 0)
                        return r;
        }
        turn->number = ++share->number;
        (void) snprintf(turn->party, sizeof(turn->party), "%s", party);
        return 0;
}

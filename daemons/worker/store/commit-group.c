#include "store/commit-group.h"

#include <errno.h>

#include "base/text.h"
#include "base/time.h"
#include "priority.h"

#define REOPEN_INTERVAL_USEC USEC_PER_SEC

typedef struct WriteList {
        Write *first, **end;
        size_t count;
} WriteList;

struct CommitGroup {
        char *path;
        Store *store;                     /* NULL: closed after a failure */
        CommitGroupHooks hooks;
        void *userdata;
        sd_event_source *commit_source, *reopen_timer;
        WriteList open;                   /* the group */
        WriteList doubtful;               /* their commit failed with `doubt` */
        int doubt;
        int lost;                         /* SQLite rolled the open group back; every write of it fails with this */
        usec_t opened_at;                 /* monotonic: when the group got its first write */
        bool urgent;                      /* the commit goes before everything else */
};

static void list_init(WriteList *list) {
        *list = (WriteList) { .end = &list->first };
}

static void list_add(WriteList *list, Write *write) {
        write->next = NULL;
        *list->end = write;
        list->end = &write->next;
        list->count++;
}

static void list_prepend(WriteList *list, Write *write) {
        write->next = list->first;
        list->first = write;
        if (!write->next)
                list->end = &write->next;
        list->count++;
}

/* Each write is its owner's again once it is told, and may be freed or added anew. */
static void report(WriteList *list, int error) {
        Write *write = list->first;

        list_init(list);
        while (write) {
                Write *next = write->next;

                write->done(write, error < 0 ? error : write->result);
                write = next;
        }
}

/* ------------------------------------------------------------------ doubt */

static int settle_writes(CommitGroup *group, Store *store) {
        for (Write *write = group->doubtful.first; write; write = write->next) {
                int r;

                if (write->result != 0)
                        continue;
                r = write->settle ? write->settle(write, store) : 0;
                if (r < 0)
                        return r;
                write->stands = r == WRITE_STANDS;
        }
        return 0;
}

static int settle(CommitGroup *group, Store *store) {
        int r;

        r = store_group_begin(store);
        if (r < 0)
                return r;
        r = settle_writes(group, store);
        if (r >= 0)
                return store_group_commit(store);
        store_group_rollback(store);
        return r;
}

/* What settle() decided counts once it is durable: then the outcomes are known. */
static void reopen(CommitGroup *group) {
        _cleanup_(store_freep) Store *store = NULL;
        int r;

        r = store_open(&store, group->path);
        if (r >= 0)
                r = settle(group, store);
        if (r < 0) {
                (void) sd_event_source_set_time_relative(group->reopen_timer, REOPEN_INTERVAL_USEC);
                (void) sd_event_source_set_enabled(group->reopen_timer, SD_EVENT_ONESHOT);
                return;
        }

        group->store = TAKE_PTR(store);
        for (Write *write = group->doubtful.first; write; write = write->next)
                if (write->result == 0 && !write->stands)
                        write->result = group->doubt;
        report(&group->doubtful, 0);
        group->hooks.reopened(group->userdata);
}

static int on_reopen_timer(_unused_ sd_event_source *source, _unused_ uint64_t usec, void *userdata) {
        reopen(userdata);
        return 0;
}

/* The last one is settled first: a job that was submitted and claimed in one group is given back, then refused. */
static void fail_group(CommitGroup *group, int error) {
        Write *write = group->open.first;

        assert(!group->doubtful.first);

        list_init(&group->open);
        group->doubt = error;
        while (write) {
                Write *next = write->next;

                list_prepend(&group->doubtful, write);
                write = next;
        }

        group->store = store_free(group->store);
        group->hooks.failed(error, group->userdata);
        reopen(group);
}

/* ------------------------------------------------------------------ the group */

/* Of a group that came to its commit only lack of space says that nothing is there; of one that was rolled back
 * before, any error does, and the store is as good as before unless the disk failed. */
static bool store_is_suspect(int error, bool committing) {
        return error < 0 && error != -ENOSPC && (committing || error != -ENOMEM);
}

static void set_urgent(CommitGroup *group, bool urgent) {
        if (group->urgent == urgent)
                return;
        group->urgent = urgent;
        (void) sd_event_source_set_priority(group->commit_source,
                                            urgent ? SD_EVENT_PRIORITY_IMPORTANT : PRIORITY_COMMIT);
}

static void finish_group(CommitGroup *group) {
        int error = group->lost;
        bool committing = error == 0 && group->store && store_group_open(group->store);

        group->lost = 0;
        (void) sd_event_source_set_enabled(group->commit_source, SD_EVENT_OFF);
        set_urgent(group, false);
        if (committing) {
                error = store_group_commit(group->store);
                if (error >= 0)
                        group->hooks.committed(group->open.count, group->userdata);
        }

        if (group->store && store_is_suspect(error, committing))
                fail_group(group, error);
        else
                report(&group->open, error);
}

/* Asked in every turn of the loop that begins with an open group. */
static int on_prepare(_unused_ sd_event_source *source, void *userdata) {
        CommitGroup *group = userdata;

        if (time_now_monotonic() >= group->opened_at + COMMIT_OPEN_USEC_MAX)
                set_urgent(group, true);
        return 0;
}

static int on_commit(_unused_ sd_event_source *source, void *userdata) {
        finish_group(userdata);
        return 0;
}

static int apply(CommitGroup *group, Write *write) {
        int r = 0;

        if (group->lost < 0)
                return group->lost;
        if (!group->store)
                return -EIO;
        if (!store_group_open(group->store))
                r = store_group_begin(group->store);
        if (r >= 0)
                r = write->apply(write, group->store);
        if (r < 0 && !store_group_open(group->store))
                group->lost = r;
        return r;
}

void commit_group_add(CommitGroup *group, Write *write) {
        write->result = apply(group, write);
        if (group->open.count == 0)
                group->opened_at = time_now_monotonic();
        list_add(&group->open, write);
        (void) sd_event_source_set_enabled(group->commit_source, SD_EVENT_ONESHOT);
        if (group->open.count >= COMMIT_GROUP_MAX)
                set_urgent(group, true);
}

static void reopen_or_fail(CommitGroup *group) {
        int r;

        r = store_open(&group->store, group->path);
        if (r >= 0)
                return;
        group->hooks.failed(r, group->userdata);
        (void) sd_event_source_set_time_relative(group->reopen_timer, REOPEN_INTERVAL_USEC);
        (void) sd_event_source_set_enabled(group->reopen_timer, SD_EVENT_ONESHOT);
}

int commit_group_replace(CommitGroup *group, int (*replace)(void *userdata), void (*put_back)(void *userdata),
                         void *userdata) {
        int r;

        while (group->open.first)
                finish_group(group);
        if (!group->store)
                return -EIO;

        group->store = store_free(group->store);
        r = replace(userdata);
        if (r >= 0)
                r = store_open(&group->store, group->path);
        if (r < 0) {
                put_back(userdata);
                reopen_or_fail(group);
        }
        return r;
}

Store *commit_group_store(CommitGroup *group) {
        return group->store;
}

int commit_group_new(CommitGroup **ret, sd_event *event, const char *path, const CommitGroupHooks *hooks,
                     void *userdata) {
        _cleanup_(commit_group_freep) CommitGroup *group = NULL;
        int r;

        group = calloc(1, sizeof(*group));
        if (!group)
                return -ENOMEM;
        group->hooks = *hooks;
        group->userdata = userdata;
        list_init(&group->open);
        list_init(&group->doubtful);
        group->path = strdup(path);
        if (!group->path)
                return -ENOMEM;

        r = store_open(&group->store, path);
        if (r < 0)
                return r;
        r = sd_event_add_defer(event, &group->commit_source, on_commit, group);
        if (r < 0)
                return r;
        (void) sd_event_source_set_description(group->commit_source, "commit");
        (void) sd_event_source_set_prepare(group->commit_source, on_prepare);
        (void) sd_event_source_set_priority(group->commit_source, PRIORITY_COMMIT);
        (void) sd_event_source_set_enabled(group->commit_source, SD_EVENT_OFF);
        r = sd_event_add_time_relative(event, &group->reopen_timer, CLOCK_MONOTONIC, 0, 0, on_reopen_timer, group);
        if (r < 0)
                return r;
        (void) sd_event_source_set_description(group->reopen_timer, "reopen");
        (void) sd_event_source_set_enabled(group->reopen_timer, SD_EVENT_OFF);

        *ret = TAKE_PTR(group);
        return 0;
}

/* `done` may add writes once more: an end that was made ready by the answer to a start. */
CommitGroup *commit_group_free(CommitGroup *group) {
        if (!group)
                return NULL;

        while (group->open.first)
                finish_group(group);
        report(&group->doubtful, -ECANCELED);
        (void) sd_event_source_disable_unref(group->reopen_timer);
        (void) sd_event_source_disable_unref(group->commit_source);
        (void) store_free(group->store);
        free(group->path);
        free(group);
        return NULL;
}

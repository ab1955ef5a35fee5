#include "commit-group.h"

#include <errno.h>

#include "base/text.h"
#include "base/time.h"
#include "priority.h"

#define REOPEN_INTERVAL_USEC USEC_PER_SEC

struct CommitGroup {
        char *path;
        Store *store;                     /* NULL: closed after a failure */
        CommitGroupHooks hooks;
        void *userdata;
        sd_event_source *commit_source, *reopen_timer;
        Write *first, **end;
        size_t count;
};

static Write *take_writes(CommitGroup *group) {
        Write *first = group->first;

        group->first = NULL;
        group->end = &group->first;
        group->count = 0;
        return first;
}

static void report(Write *write, int error) {
        while (write) {
                Write *next = write->next;

                write->done(write, error < 0 ? error : write->result);
                write = next;
        }
}

static void reopen(CommitGroup *group) {
        if (store_open(&group->store, group->path) >= 0) {
                group->hooks.reopened(group->userdata);
                return;
        }
        (void) sd_event_source_set_time_relative(group->reopen_timer, REOPEN_INTERVAL_USEC);
        (void) sd_event_source_set_enabled(group->reopen_timer, SD_EVENT_ONESHOT);
}

static int on_reopen_timer(_unused_ sd_event_source *source, _unused_ uint64_t usec, void *userdata) {
        CommitGroup *group = userdata;

        if (!group->store)
                reopen(group);
        return 0;
}

/* Ends the group with what the commit said, or with `error` when it came to no commit. */
static void finish_group(CommitGroup *group, int error) {
        size_t count = group->count;
        Write *writes = take_writes(group);
        bool close;

        (void) sd_event_source_set_enabled(group->commit_source, SD_EVENT_OFF);
        if (group->store && error >= 0 && store_group_open(group->store))
                error = store_group_commit(group->store);
        if (error >= 0)
                group->hooks.committed(count, group->userdata);

        close = group->store && error < 0 && error != -ENOSPC && error != -ENOMEM;
        if (close) {
                group->store = store_free(group->store);
                group->hooks.failed(error, group->userdata);
        }
        report(writes, error);
        if (close)
                reopen(group);
}

static int on_commit(_unused_ sd_event_source *source, void *userdata) {
        finish_group(userdata, 0);
        return 0;
}

static int begin(CommitGroup *group) {
        if (!group->store)
                return -EIO;
        return store_group_open(group->store) ? 0 : store_group_begin(group->store);
}

void commit_group_add(CommitGroup *group, Write *write) {
        int r;

        write->next = NULL;
        *group->end = write;
        group->end = &write->next;
        group->count++;

        r = begin(group);
        write->result = r < 0 ? r : write->apply(write, group->store);
        (void) sd_event_source_set_enabled(group->commit_source, SD_EVENT_ONESHOT);

        /* SQLite has rolled everything back: nobody in this group has been written. */
        if (r >= 0 && write->result < 0 && !store_group_open(group->store))
                finish_group(group, write->result);
        else if (group->count >= COMMIT_GROUP_MAX)
                finish_group(group, 0);
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
        group->end = &group->first;
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
        (void) sd_event_source_set_priority(group->commit_source, PRIORITY_COMMIT);
        (void) sd_event_source_set_enabled(group->commit_source, SD_EVENT_OFF);
        r = sd_event_add_time_relative(event, &group->reopen_timer, CLOCK_MONOTONIC, 0, 0, on_reopen_timer, group);
        if (r < 0)
                return r;
        (void) sd_event_source_set_enabled(group->reopen_timer, SD_EVENT_OFF);

        *ret = TAKE_PTR(group);
        return 0;
}

CommitGroup *commit_group_free(CommitGroup *group) {
        if (!group)
                return NULL;

        if (group->first)
                finish_group(group, 0);
        (void) sd_event_source_disable_unref(group->reopen_timer);
        (void) sd_event_source_disable_unref(group->commit_source);
        (void) store_free(group->store);
        free(group->path);
        free(group);
        return NULL;
}

#include "images/keep-group.h"

#include <errno.h>

#include "priority.h"

#define GROUP_IMAGES_MAX 256  /* in one sync; the others make the next */

/* What one helper thread works on. It touches nothing else. */
typedef struct Batch {
        KeepGroup *group;
        Keep *keeps;
        TemporaryImage *images[GROUP_IMAGES_MAX];
        int results[GROUP_IMAGES_MAX];
        size_t count;
} Batch;

struct KeepGroup {
        ThreadPool *threads;
        ImageStore *images;
        sd_event_source *source;
        Keep *first, **end;
        Batch batch;
        bool syncing;
};

static int sync_batch(void *userdata) {
        Batch *batch = userdata;

        image_store_keep(batch->group->images, batch->images, batch->results, batch->count);
        return 0;
}

/* The first error among a keep's images, which stand beside each other from `at` on. */
static int result_of(const Batch *batch, const Keep *keep, size_t at) {
        for (size_t i = 0; i < keep->n_images; i++)
                if (batch->results[at + i] < 0)
                        return batch->results[at + i];
        return 0;
}

static void schedule(KeepGroup *group) {
        if (group->first && !group->syncing)
                (void) sd_event_source_set_enabled(group->source, SD_EVENT_ONESHOT);
}

static void on_synced(void *userdata, int result) {
        Batch *batch = userdata;
        KeepGroup *group = batch->group;
        Keep *keep = batch->keeps;
        size_t at = 0;

        group->syncing = false;
        while (keep) {
                Keep *next = keep->next;
                size_t n = keep->n_images;

                keep->done(keep, result < 0 ? result : result_of(batch, keep, at));
                at += n;
                keep = next;
        }
        schedule(group);
}

/* Moves what waits into the batch, as much as fits. */
static void fill_batch(KeepGroup *group) {
        Batch *batch = &group->batch;
        Keep **end = &batch->keeps;

        batch->count = 0;
        while (group->first && batch->count + group->first->n_images <= GROUP_IMAGES_MAX) {
                Keep *keep = group->first;

                group->first = keep->next;
                for (size_t i = 0; i < keep->n_images; i++)
                        batch->images[batch->count++] = keep->images[i];
                *end = keep;
                end = &keep->next;
        }
        *end = NULL;
        if (!group->first)
                group->end = &group->first;
}

static int on_gathered(_unused_ sd_event_source *source, void *userdata) {
        KeepGroup *group = userdata;
        int r;

        fill_batch(group);
        group->syncing = true;
        r = thread_pool_run(group->threads, sync_batch, on_synced, &group->batch);
        if (r < 0)
                on_synced(&group->batch, r);
        return 0;
}

void keep_group_add(KeepGroup *group, Keep *keep) {
        assert(keep->n_images <= GROUP_IMAGES_MAX);

        keep->next = NULL;
        *group->end = keep;
        group->end = &keep->next;
        schedule(group);
}

int keep_group_new(KeepGroup **ret, sd_event *event, ThreadPool *threads, ImageStore *images) {
        _cleanup_(keep_group_freep) KeepGroup *group = NULL;
        int r;

        group = calloc(1, sizeof(*group));
        if (!group)
                return -ENOMEM;
        group->threads = threads;
        group->images = images;
        group->end = &group->first;
        group->batch.group = group;

        r = sd_event_add_defer(event, &group->source, on_gathered, group);
        if (r < 0)
                return r;
        (void) sd_event_source_set_description(group->source, "keep images");
        (void) sd_event_source_set_priority(group->source, PRIORITY_DISPATCH);
        (void) sd_event_source_set_enabled(group->source, SD_EVENT_OFF);

        *ret = TAKE_PTR(group);
        return 0;
}

KeepGroup *keep_group_free(KeepGroup *group) {
        if (!group)
                return NULL;

        for (Keep *keep; (keep = group->first);) {
                group->first = keep->next;
                keep->done(keep, -ECANCELED);
        }
        (void) sd_event_source_disable_unref(group->source);
        free(group);
        return NULL;
}

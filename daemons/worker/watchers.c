#include "watchers.h"

#include <errno.h>

#include "base/fd.h"
#include "base/log.h"
#include "base/map.h"
#include "base/text.h"

typedef struct Watched Watched;

typedef struct Watcher {
        Watched *watched;
        VarlinkCall *call;
        struct Watcher *next;
} Watcher;

/* One job that somebody waits for. */
struct Watched {
        Watchers *watchers;
        char id[JOB_ID_MAX];
        Watcher *first;
        unsigned count;
};

struct Watchers {
        ImageStore *images;
        Map *jobs;  /* id → Watched */
        /* Set by watchers_abandon(): from then on no other job is waited for here. */
        bool (*goes_on)(const char *id, void *userdata);
        void *userdata;
};

static Watched *watched_free(Watched *watched) {
        assert(!watched->first);

        (void) map_remove(watched->watchers->jobs, watched->id);
        free(watched);
        return NULL;
}

static void watched_abandon(Watched *watched) {
        for (Watcher *watcher; (watcher = watched->first);) {
                VarlinkCall *call = watcher->call;

                watched->first = watcher->next;
                free(watcher);
                varlink_call_set_closed_handler(call, NULL, NULL);
                varlink_call_abandon(call);
        }
        (void) watched_free(watched);
}

int watchers_new(Watchers **ret, ImageStore *images) {
        _cleanup_(watchers_freep) Watchers *watchers = NULL;
        int r;

        watchers = calloc(1, sizeof(*watchers));
        if (!watchers)
                return -ENOMEM;
        watchers->images = images;
        r = map_new(&watchers->jobs);
        if (r < 0)
                return r;

        *ret = TAKE_PTR(watchers);
        return 0;
}

Watchers *watchers_free(Watchers *watchers) {
        if (!watchers)
                return NULL;
        if (watchers->jobs)
                watchers_abandon_all(watchers);
        (void) map_free(watchers->jobs);
        free(watchers);
        return NULL;
}

/* The peer has gone: the call is freed by the server after this. */
static void on_closed(VarlinkCall *call, void *userdata) {
        Watched *watched = userdata;

        for (Watcher **link = &watched->first; *link; link = &(*link)->next)
                if ((*link)->call == call) {
                        Watcher *watcher = *link;

                        *link = watcher->next;
                        free(watcher);
                        watched->count--;
                        break;
                }
        if (!watched->first)
                (void) watched_free(watched);
}

static int push_images(Watchers *watchers, const Job *job, VarlinkCall *call) {
        for (size_t i = 0; i < job->n_images; i++) {
                const ImageFacts *facts = &job->images[i].facts;
                _cleanup_close_ int fd = -1;
                int r;

                fd = image_store_open(watchers->images, facts->sha256, facts->format);
                if (fd < 0)
                        return fd;
                r = varlink_call_push_fd(call, fd);
                if (r < 0)
                        return r;
        }
        return 0;
}

static int job_reply(const Job *job, JsonValue **ret) {
        _cleanup_(json_freep) JsonValue *reply = json_new_object();
        int r;

        r = json_add(reply, "job", job_to_json(job));
        if (r >= 0)
                *ret = TAKE_PTR(reply);
        return r;
}

/* The last reply. An image that can't be opened is an error of ours, said as such and not as a finished job. */
static int reply_last(Watchers *watchers, const Job *job, VarlinkCall *call) {
        JsonValue *reply;
        int r;

        r = job->status == JOB_COMPLETED ? push_images(watchers, job, call) : 0;
        if (r >= 0)
                r = job_reply(job, &reply);
        if (r < 0) {
                (void) log_record(LOG_ERR, r, LOG_FIELDS({ "ATELIER_JOB", job->id }), "job %s can't be shown", job->id);
                return varlink_call_error_errno(call, r);
        }
        return varlink_call_reply(call, reply);
}

static int reply_more(const Job *job, VarlinkCall *call) {
        JsonValue *reply;
        int r;

        r = job_reply(job, &reply);
        return r < 0 ? r : varlink_call_notify(call, reply);
}

static int get_watched(Watchers *watchers, const char *id, Watched **ret) {
        Watched *watched = map_get(watchers->jobs, id);
        int r;

        if (!watched) {
                watched = calloc(1, sizeof(*watched));
                if (!watched)
                        return -ENOMEM;
                watched->watchers = watchers;
                (void) memcpy(watched->id, id, strlen(id) + 1);
                r = map_put(watchers->jobs, watched->id, watched);
                if (r < 0) {
                        free(watched);
                        return r;
                }
        }

        *ret = watched;
        return 0;
}

static int add_watcher(Watchers *watchers, const char *id, VarlinkCall *call) {
        Watched *watched;
        Watcher *watcher;
        int r;

        r = get_watched(watchers, id, &watched);
        if (r < 0)
                return r;
        if (watched->count >= WATCHERS_PER_JOB_MAX)
                return -EUSERS;
        watcher = malloc(sizeof(*watcher));
        if (!watcher) {
                if (!watched->first)
                        (void) watched_free(watched);
                return -ENOMEM;
        }

        *watcher = (Watcher) { watched, call, watched->first };
        watched->first = watcher;
        watched->count++;
        varlink_call_set_closed_handler(call, on_closed, watched);
        return 0;
}

static bool left_to_next_worker(const Watchers *watchers, const Job *job) {
        return watchers->goes_on && !watchers->goes_on(job->id, watchers->userdata);
}

int watchers_add(Watchers *watchers, const Job *job, VarlinkCall *call) {
        int r;

        if (job_status_ended(job->status) || !varlink_call_wants_more(call))
                return reply_last(watchers, job, call);
        if (left_to_next_worker(watchers, job)) {
                varlink_call_abandon(call);
                return 0;
        }

        r = reply_more(job, call);
        if (r == -ECONNRESET)
                return r;
        if (r >= 0)
                r = add_watcher(watchers, job->id, call);
        return r < 0 ? varlink_call_error_errno(call, r) : 0;
}

/* A call whose peer has gone is over without its closed handler. */
static void notify_more(Watched *watched, const Job *job) {
        for (Watcher **link = &watched->first; *link;) {
                Watcher *watcher = *link;

                if (reply_more(job, watcher->call) != -ECONNRESET) {
                        link = &watcher->next;
                        continue;
                }
                *link = watcher->next;
                free(watcher);
                watched->count--;
        }
        if (!watched->first)
                (void) watched_free(watched);
}

void watchers_notify(Watchers *watchers, const Job *job) {
        Watched *watched = map_get(watchers->jobs, job->id);

        if (!watched)
                return;

        if (!job_status_ended(job->status)) {
                if (left_to_next_worker(watchers, job))
                        watched_abandon(watched);
                else
                        notify_more(watched, job);
                return;
        }

        for (Watcher *watcher; (watcher = watched->first);) {
                VarlinkCall *call = watcher->call;

                watched->first = watcher->next;
                free(watcher);
                varlink_call_set_closed_handler(call, NULL, NULL);
                (void) reply_last(watchers, job, call);
        }
        (void) watched_free(watched);
}

void watchers_abandon_all(Watchers *watchers) {
        for (Watched *watched; (watched = map_first(watchers->jobs));)
                watched_abandon(watched);
}

void watchers_abandon(Watchers *watchers, bool (*goes_on)(const char *id, void *userdata), void *userdata) {
        Watched *watched;
        size_t slot = 0;

        watchers->goes_on = goes_on;
        watchers->userdata = userdata;

        /* Removing moves entries: the same place is looked at again. */
        while ((watched = map_next(watchers->jobs, &slot)))
                if (!goes_on(watched->id, userdata)) {
                        watched_abandon(watched);
                        slot = 0;
                }
}

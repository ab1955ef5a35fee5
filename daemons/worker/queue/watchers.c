/* The model: each job that somebody waits for has a list of the calls that wait. A change of state is told to all of
 * them at once, and the end ends them.
 *
 * Partial images go to those who asked for them, a descriptor each. A reader that is slow holds back nobody: what its
 * socket does not take waits here, at most WATCHER_PARTIALS_MAX of them, and the oldest gives way. They wait for
 * nothing else: a change of state and the end overtake them, and drop those that waited. */
#include "queue/watchers.h"

#include <errno.h>

#include "base/fd.h"
#include "base/log.h"
#include "base/map.h"
#include "base/text.h"
#include "queue/shown-image.h"

typedef struct Watched Watched;

typedef struct Watcher {
        Watched *watched;
        VarlinkCall *call;
        struct Watcher *next;
        bool with_partials;
        ShownImage *waiting[WATCHER_PARTIALS_MAX]; /* the oldest first */
        unsigned n_waiting;
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
        ImageLinks *links;
        Map *jobs;  /* id → Watched */
        /* Set by watchers_abandon(): from then on no other job is waited for here. */
        bool (*goes_on)(const char *id, void *userdata);
        void *userdata;
};

static ShownImage *watcher_pop(Watcher *watcher) {
        ShownImage *oldest = watcher->waiting[0];

        watcher->n_waiting--;
        (void) memmove(watcher->waiting, watcher->waiting + 1, watcher->n_waiting * sizeof(watcher->waiting[0]));
        return oldest;
}

static void watcher_drop_partials(Watcher *watcher) {
        while (watcher->n_waiting > 0)
                (void) shown_image_unref(watcher_pop(watcher));
}

static Watcher *watcher_free(Watcher *watcher) {
        watcher_drop_partials(watcher);
        free(watcher);
        return NULL;
}

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
                (void) watcher_free(watcher);
                varlink_call_set_closed_handler(call, NULL, NULL);
                varlink_call_abandon(call);
        }
        (void) watched_free(watched);
}

int watchers_new(Watchers **ret, ImageStore *images, ImageLinks *links) {
        _cleanup_(watchers_freep) Watchers *watchers = NULL;
        int r;

        watchers = calloc(1, sizeof(*watchers));
        if (!watchers)
                return -ENOMEM;
        watchers->images = images;
        watchers->links = links;
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

/* It waits no longer; nor does anybody for the job, if it was the last. */
static void watcher_remove(Watcher *watcher) {
        Watched *watched = watcher->watched;
        Watcher **link = &watched->first;

        while (*link != watcher)
                link = &(*link)->next;
        *link = watcher->next;
        (void) watcher_free(watcher);
        watched->count--;
        if (!watched->first)
                (void) watched_free(watched);
}

/* The peer has gone: the call is freed by the server after this. */
static void on_closed(_unused_ VarlinkCall *call, void *userdata) {
        watcher_remove(userdata);
}

/* The socket has taken what was sent: on with what waited. */
static void on_drained(VarlinkCall *call, void *userdata) {
        Watcher *watcher = userdata;

        while (watcher->n_waiting > 0 && varlink_call_is_drained(call)) {
                _cleanup_(shown_image_unrefp) ShownImage *partial = watcher_pop(watcher);

                if (shown_image_send(partial, call) == -ECONNRESET) {
                        watcher_remove(watcher);
                        return;
                }
        }
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
        if (r >= 0 && job->rates)
                r = json_add(reply, "rates", cJSON_Duplicate(job->rates, true));
        if (r >= 0)
                *ret = TAKE_PTR(reply);
        return r;
}

static int append_link(JsonValue *array, const ImageLink *link) {
        _cleanup_(json_freep) JsonValue *object = json_new_object();
        int r;

        r = json_add_string(object, "path", link->path);
        if (r >= 0)
                r = json_add_integer(object, "expires_at", (int64_t) (link->expires * USEC_PER_SEC));
        return r < 0 ? r : json_append(array, TAKE_PTR(object));
}

/* The images are made and paid for: where none can be signed the reply goes without. */
static int add_links(Watchers *watchers, const Job *job, JsonValue *reply) {
        JsonValue *links = json_new_array();
        int r;

        r = json_add(reply, "links", links);
        for (size_t i = 0; i < job->n_images && r >= 0; i++) {
                const ImageFacts *facts = &job->images[i].facts;
                ImageLink link;

                r = image_links_make(watchers->links, facts->sha256, facts->format, IMAGE_LINK_SECONDS_DEFAULT, &link);
                if (r < 0) {
                        cJSON_DeleteItemFromObjectCaseSensitive(reply, "links");
                        (void) log_record(LOG_WARNING, r, LOG_FIELDS({ "ATELIER_JOB", job->id }),
                                          "job %s is answered without signed links", job->id);
                        return 0;
                }
                r = append_link(links, &link);
        }
        return r;
}

static bool wants_links(const Job *job) {
        return job->status == JOB_COMPLETED && text_equal(job->response_format, "url");
}

/* The last reply. An image that can't be opened is an error of ours, said as such and not as a finished job. */
static int reply_last(Watchers *watchers, const Job *job, VarlinkCall *call) {
        _cleanup_(json_freep) JsonValue *reply = NULL;
        int r;

        r = job->status == JOB_COMPLETED ? push_images(watchers, job, call) : 0;
        if (r >= 0)
                r = job_reply(job, &reply);
        if (r >= 0 && wants_links(job))
                r = add_links(watchers, job, reply);
        if (r < 0) {
                (void) log_record(LOG_ERR, r, LOG_FIELDS({ "ATELIER_JOB", job->id }), "job %s can't be shown", job->id);
                return varlink_call_error_errno(call, r);
        }
        return varlink_call_reply(call, TAKE_PTR(reply));
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

static int add_watcher(Watchers *watchers, const char *id, VarlinkCall *call, bool with_partials) {
        Watched *watched;
        Watcher *watcher;
        int r;

        r = get_watched(watchers, id, &watched);
        if (r < 0)
                return r;
        if (watched->count >= WATCHERS_PER_JOB_MAX)
                return -EUSERS;
        watcher = calloc(1, sizeof(*watcher));
        if (!watcher) {
                if (!watched->first)
                        (void) watched_free(watched);
                return -ENOMEM;
        }

        *watcher = (Watcher) {
                .watched = watched,
                .call = call,
                .next = watched->first,
                .with_partials = with_partials,
        };
        watched->first = watcher;
        watched->count++;
        varlink_call_set_closed_handler(call, on_closed, watcher);
        if (with_partials)
                varlink_call_set_drained_handler(call, on_drained, watcher);
        return 0;
}

static bool left_to_next_worker(const Watchers *watchers, const Job *job) {
        return watchers->goes_on && !watchers->goes_on(job->id, watchers->userdata);
}

int watchers_add(Watchers *watchers, const Job *job, VarlinkCall *call, bool with_partials) {
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
                r = add_watcher(watchers, job->id, call, with_partials);
        return r < 0 ? varlink_call_error_errno(call, r) : 0;
}

/* A call whose peer has gone is over without its closed handler. */
static void notify_more(Watched *watched, const Job *job) {
        for (Watcher **link = &watched->first; *link;) {
                Watcher *watcher = *link;

                watcher_drop_partials(watcher);
                if (reply_more(job, watcher->call) != -ECONNRESET) {
                        link = &watcher->next;
                        continue;
                }
                *link = watcher->next;
                (void) watcher_free(watcher);
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
                (void) watcher_free(watcher);
                varlink_call_set_closed_handler(call, NULL, NULL);
                (void) reply_last(watchers, job, call);
        }
        (void) watched_free(watched);
}

/* Returns -ECONNRESET when the peer has gone. */
static int watcher_show(Watcher *watcher, ShownImage *partial) {
        if (watcher->n_waiting == 0 && varlink_call_is_drained(watcher->call))
                return shown_image_send(partial, watcher->call);

        if (watcher->n_waiting == WATCHER_PARTIALS_MAX)
                (void) shown_image_unref(watcher_pop(watcher));
        watcher->waiting[watcher->n_waiting++] = shown_image_ref(partial);
        return 0;
}

/* For looking at: what keeps one from being shown is worth a line for those who look for bugs. */
void watchers_show(Watchers *watchers, const Job *job, const PartialImage *image) {
        Watched *watched = map_get(watchers->jobs, job->id);
        _cleanup_(shown_image_unrefp) ShownImage *partial = NULL;

        for (Watcher *watcher = watched ? watched->first : NULL, *next; watcher; watcher = next) {
                int r = 0;

                next = watcher->next;
                if (!watcher->with_partials)
                        continue;
                if (!partial)
                        r = shown_image_new(&partial, job, image);
                if (r < 0) {
                        (void) log_debug_errno(r, "a partial image of job %s can't be shown", job->id);
                        return;
                }
                if (watcher_show(watcher, partial) == -ECONNRESET)
                        watcher_remove(watcher);
        }
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

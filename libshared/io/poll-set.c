/* Many file descriptors behind one event source: an epoll descriptor that is itself polled by sd-event.
 *
 * The loop sees one IO source for the nested descriptor, which is readable while any of its own is. One turn takes a
 * batch of events and hands them to the handlers; what is left is still readable (everything is level-triggered), so
 * other sources of the loop get their turn in between, and the kernel's ready list goes round, so that no descriptor
 * starves another.
 *
 * A handler may free any source, also one whose event waits further back in the batch. A freed source is therefore
 * only marked and unlinked from the kernel's set while a batch is handled, and its memory is released after it. */
#include "io/poll-set.h"

#include <errno.h>
#include <sys/epoll.h>
#include <unistd.h>

#include "base/fd.h"

#define POLL_SET_BATCH_EVENTS 128

struct PollSet {
        int epoll_fd;
        sd_event_source *event_source;
        size_t n_sources;
        bool dispatching;
        PollSource *freed;  /* during a batch: to be released after it */
};

struct PollSource {
        PollSet *set;
        int fd;
        uint32_t events;
        PollHandler handler;  /* NULL once freed */
        void *userdata;
        PollSource *next_freed;
};

static void poll_set_release_freed(PollSet *set) {
        PollSource *source;

        while ((source = set->freed)) {
                set->freed = source->next_freed;
                free(source);
        }
}

static int poll_set_dispatch(sd_event_source *event_source, int fd, uint32_t revents, void *userdata) {
        struct epoll_event events[POLL_SET_BATCH_EVENTS];
        PollSet *set = userdata;
        int n, r = 0;

        (void) event_source;
        (void) revents;

        n = epoll_wait(fd, events, ELEMENTS(events), 0);
        if (n < 0)
                return errno == EINTR ? 0 : -errno;

        set->dispatching = true;
        for (int i = 0; i < n && r >= 0; i++) {
                PollSource *source = events[i].data.ptr;

                if (source->handler)
                        r = source->handler(source, source->fd, events[i].events, source->userdata);
        }
        set->dispatching = false;

        poll_set_release_freed(set);
        return r < 0 ? r : 0;
}

int poll_set_new(PollSet **ret, sd_event *event, const char *description, int64_t priority) {
        _cleanup_(poll_set_freep) PollSet *set = NULL;
        int r;

        set = calloc(1, sizeof(*set));
        if (!set)
                return -ENOMEM;

        set->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
        if (set->epoll_fd < 0)
                return -errno;

        r = sd_event_add_io(event, &set->event_source, set->epoll_fd, EPOLLIN, poll_set_dispatch, set);
        if (r < 0)
                return r;
        r = sd_event_source_set_priority(set->event_source, priority);
        if (r < 0)
                return r;
        r = sd_event_source_set_exit_on_failure(set->event_source, true);
        if (r < 0)
                return r;
        (void) sd_event_source_set_description(set->event_source, description);

        *ret = TAKE_PTR(set);
        return 0;
}

PollSet *poll_set_free(PollSet *set) {
        if (!set)
                return NULL;

        assert(set->n_sources == 0);
        assert(!set->dispatching);

        sd_event_source_disable_unref(set->event_source);
        fd_close(set->epoll_fd);
        free(set);
        return NULL;
}

bool poll_set_ready(const PollSet *set) {
        struct epoll_event event;

        return epoll_wait(set->epoll_fd, &event, 1, 0) > 0;
}

int poll_set_add(PollSet *set, int fd, uint32_t events, PollHandler handler, void *userdata, PollSource **ret) {
        _cleanup_free_ PollSource *source = NULL;

        assert(handler);

        source = malloc(sizeof(*source));
        if (!source)
                return -ENOMEM;
        *source = (PollSource) { .set = set, .fd = fd, .events = events, .handler = handler, .userdata = userdata };

        if (epoll_ctl(set->epoll_fd, EPOLL_CTL_ADD, fd,
                      &(struct epoll_event) { .events = events, .data.ptr = source }) < 0)
                return -errno;

        set->n_sources++;
        *ret = TAKE_PTR(source);
        return 0;
}

int poll_source_set_events(PollSource *source, uint32_t events) {
        if (source->events == events)
                return 0;

        if (epoll_ctl(source->set->epoll_fd, EPOLL_CTL_MOD, source->fd,
                      &(struct epoll_event) { .events = events, .data.ptr = source }) < 0)
                return -errno;

        source->events = events;
        return 0;
}

PollSource *poll_source_free(PollSource *source) {
        PollSet *set;

        if (!source)
                return NULL;

        set = source->set;
        assert(set->n_sources > 0);
        set->n_sources--;
        (void) epoll_ctl(set->epoll_fd, EPOLL_CTL_DEL, source->fd, NULL);

        if (set->dispatching) {
                source->handler = NULL;
                source->next_freed = set->freed;
                set->freed = source;
        } else
                free(source);
        return NULL;
}

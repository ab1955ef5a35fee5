#include "receivers.h"

#include <errno.h>
#include <string.h>

#include "base/log.h"
#include "base/text.h"

/* conf/conf-file.h says which files there are; but for the first they are the administrator's. */
#define SHIPPED_FILE "models.conf"
#define DROP_INS_FOLDER "atelier.conf.d"

struct Receivers {
        Receiver *items;
        size_t count;
};

static const Notifier *const notifiers[] = {
        [RECEIVER_SLACK] = &slack_notifier,
        [RECEIVER_WEBHOOK] = &webhook_notifier,
        [RECEIVER_JOURNALD] = &journald_notifier,
};

static bool is_url(const char *text) {
        const char *rest = text_after(text, "https://") ?: text_after(text, "http://");

        return rest && *rest && *rest != '/' && !strpbrk(text, " \t\r\n");
}

/* `place` is where the configuration has named it last. A drop-in may be called as it pleases. */
static bool is_as_shipped(const char *place) {
        const char *file = place ? strrchr(place, '/') : NULL;

        return file && text_after(file, "/" SHIPPED_FILE ":") && !strstr(place, "/" DROP_INS_FOLDER "/");
}

/* What is not there is no trouble where nobody has asked for it: that is how the shipped receivers wait for their
 * credential. */
static void lack_url(Receiver *receiver, const char *reference, const char *place) {
        receiver->problem = "no url";
        receiver->dormant = is_as_shipped(place);
        if (!receiver->dormant)
                log_warning("receiver %s is configured, but %s is not there or empty; it is not told", receiver->name,
                            reference);
}

static int take_url(Receiver *receiver, const char *reference, const char *place) {
        _cleanup_(secret_freep) char *url = NULL;
        int r;

        r = secret_resolve(reference, &url);
        if (r == -ENOMEM)
                return r;
        if (r == -ENOENT)
                lack_url(receiver, reference, place);
        else if (r < 0) {
                receiver->problem = "unreadable url";
                (void) log_warning_errno(r, "the url of receiver %s can't be read from %s", receiver->name,
                                         reference);
        } else if (!is_url(url)) {
                receiver->problem = "bad url";
                log_warning("what %s holds is no http or https URL; receiver %s is not told", reference, receiver->name);
        } else
                receiver->url = TAKE_PTR(url);
        return 0;
}

static int add(Receivers *receivers, const ReceiverConf *conf, const char *place) {
        Receiver *receiver = &receivers->items[receivers->count++];

        *receiver = (Receiver) {
                .name = strdup(conf->name),
                .notifier = notifiers[conf->kind],
                .severity = (AlertSeverity) conf->severity,
                .timeout = conf->timeout,
        };
        if (!receiver->name)
                return -ENOMEM;
        return conf->kind == RECEIVER_JOURNALD ? 0 : take_url(receiver, conf->url, place);
}

static const ReceiverConf *find_journald(const ConfGroups *groups) {
        static const ReceiverConf shipped = { .name = (char *) RECEIVER_NAME_JOURNALD, .kind = RECEIVER_JOURNALD };

        for (size_t i = 0; i < groups->count; i++) {
                const ReceiverConf *conf = groups->items[i];

                if (conf->kind == RECEIVER_JOURNALD)
                        return conf;
        }
        return &shipped;
}

int receivers_new(Receivers **ret, const Settings *settings) {
        const ConfGroups *groups = &settings->common.receivers;
        _cleanup_(receivers_freep) Receivers *receivers = calloc(1, sizeof(*receivers));
        int r;

        if (!receivers || !(receivers->items = calloc(groups->count + 1, sizeof(*receivers->items))))
                return -ENOMEM;

        r = add(receivers, find_journald(groups), NULL);
        for (size_t i = 0; i < groups->count && r >= 0; i++) {
                const ReceiverConf *conf = groups->items[i];

                if (conf->kind != RECEIVER_JOURNALD)
                        r = add(receivers, conf, groups->places ? groups->places[i] : NULL);
        }
        if (r < 0)
                return r;

        *ret = TAKE_PTR(receivers);
        return 0;
}

Receivers *receivers_free(Receivers *receivers) {
        if (!receivers)
                return NULL;

        for (size_t i = 0; i < receivers->count; i++) {
                free(receivers->items[i].name);
                (void) secret_free(receivers->items[i].url);
        }
        free(receivers->items);
        free(receivers);
        return NULL;
}

const Receiver *receivers_at(const Receivers *receivers, size_t i) {
        return i < receivers->count ? &receivers->items[i] : NULL;
}

const Receiver *receivers_find(const Receivers *receivers, const char *name) {
        for (size_t i = 0; i < receivers->count; i++)
                if (text_equal(receivers->items[i].name, name))
                        return &receivers->items[i];
        return NULL;
}

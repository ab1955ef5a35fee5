#include "io/varlink-messenger.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "base/text.h"
#include "io/varlink-client.h"

#define RUNTIME_DIRECTORY "/run/atelier"

typedef struct Message {
        struct Message *next;
        VarlinkMessenger *messenger;
        VarlinkClient *client;
        char *what;
} Message;

struct VarlinkMessenger {
        sd_event *event;
        PollSet *poll;
        MessengerBusyHandler busy;
        void *userdata;
        Message *messages;
        size_t n_messages;
};

int varlink_messenger_new(VarlinkMessenger **ret, sd_event *event, MessengerBusyHandler busy, void *userdata) {
        _cleanup_(varlink_messenger_freep) VarlinkMessenger *messenger = calloc(1, sizeof(*messenger));
        int r;

        if (!messenger)
                return -ENOMEM;
        messenger->event = sd_event_ref(event);
        messenger->busy = busy;
        messenger->userdata = userdata;
        r = poll_set_new(&messenger->poll, event, "messages", SD_EVENT_PRIORITY_NORMAL);
        if (r < 0)
                return r;
        *ret = TAKE_PTR(messenger);
        return 0;
}

static void end_message(Message *message) {
        VarlinkMessenger *messenger = message->messenger;

        for (Message **link = &messenger->messages; *link; link = &(*link)->next)
                if (*link == message) {
                        *link = message->next;
                        break;
                }
        (void) varlink_client_free(message->client);
        free(message->what);
        free(message);
        if (--messenger->n_messages == 0)
                messenger->busy(false, messenger->userdata);
}

VarlinkMessenger *varlink_messenger_free(VarlinkMessenger *messenger) {
        if (!messenger)
                return NULL;
        while (messenger->messages)
                end_message(messenger->messages);
        (void) poll_set_free(messenger->poll);
        (void) sd_event_unref(messenger->event);
        free(messenger);
        return NULL;
}

static void on_answered(_unused_ VarlinkClient *client, const VarlinkReply *reply, void *userdata) {
        Message *message = userdata;

        if (reply->status < 0)
                (void) log_warning_errno(reply->status, "%s", message->what);
        else if (reply->error)
                log_warning("%s: %s", message->what, reply->error);
        end_message(message);
}

static Message *begin_message(VarlinkMessenger *messenger, const char *what) {
        Message *message = calloc(1, sizeof(*message));

        if (!message || !(message->what = strdup(what))) {
                free(message);
                return NULL;
        }
        message->messenger = messenger;
        message->next = messenger->messages;
        messenger->messages = message;
        if (messenger->n_messages++ == 0)
                messenger->busy(true, messenger->userdata);
        return message;
}

static int send(VarlinkMessenger *messenger, const char *daemon, const char *method, JsonValue *parameters,
                const char *what) {
        _cleanup_(json_freep) JsonValue *owned = parameters;
        _cleanup_free_ char *path =
                text_format("%s/io.atelier.%s", getenv("ATELIER_RUNTIME_DIRECTORY") ?: RUNTIME_DIRECTORY, daemon);
        Message *message;
        int r;

        if (!owned || !path)
                return -ENOMEM;
        if (messenger->n_messages >= MESSAGES_MAX)
                return -EBUSY;
        message = begin_message(messenger, what);
        if (!message)
                return -ENOMEM;
        r = varlink_client_connect(&message->client, messenger->event, messenger->poll, path);
        if (r >= 0)
                r = varlink_client_call(message->client, method, TAKE_PTR(owned), false, MESSAGE_PATIENCE_USEC, on_answered,
                                        message);
        if (r < 0)
                end_message(message);
        return r;
}

void varlink_messenger_send(VarlinkMessenger *messenger, const char *daemon, const char *method, JsonValue *parameters,
                            const char *what) {
        int r = send(messenger, daemon, method, parameters, what);

        if (r < 0)
                (void) log_warning_errno(r, "%s", what);
}

#include "state/adoption-private.h"

#include <errno.h>
#include <string.h>

#include "base/fd.h"

/* io.atelier.Store.Receive: a call's members go to a helper thread, which reads each descriptor to its end. */

typedef struct Delivery {
        Adoption *adoption;
        VarlinkCall *call;
        size_t n;
        const char *reason;
        size_t refused;                              /* which one */
        struct {
                char *name;
                uint64_t size;
                int fd;
                char sha256[SHA256_TEXT_MAX];
        } members[VARLINK_FDS_MAX];
} Delivery;

static Delivery *delivery_free(Delivery *delivery) {
        if (!delivery)
                return NULL;
        for (size_t i = 0; i < delivery->n; i++) {
                free(delivery->members[i].name);
                (void) fd_close(delivery->members[i].fd);
        }
        free(delivery);
        return NULL;
}

DEFINE_CLEANUP(Delivery *, delivery_free);

static int receive(void *userdata) {
        Delivery *delivery = userdata;
        int r = 0;

        for (size_t i = 0; i < delivery->n && r == 0; i++) {
                delivery->refused = i;
                r = state_receiver_add(delivery->adoption->receiver, delivery->members[i].name,
                                       delivery->members[i].size, delivery->members[i].fd,
                                       delivery->members[i].sha256, &delivery->reason);
                /* Who writes into it is not to wait for us. */
                delivery->members[i].fd = fd_close(delivery->members[i].fd);
        }
        return r;
}

static int refuse_member(VarlinkCall *call, const char *name, const char *reason) {
        JsonValue *parameters = json_new_object();

        (void) json_add_string(parameters, "name", name);
        (void) json_add_string(parameters, "reason", reason);
        return varlink_call_error(call, "io.atelier.Store.MemberRefused", parameters);
}

static void reply_received(VarlinkCall *call, const Delivery *delivery) {
        JsonValue *reply = json_new_object(), *hashes = json_new_array();
        int r;

        r = json_add(reply, "sha256", hashes);
        for (size_t i = 0; i < delivery->n && r >= 0; i++)
                r = json_append(hashes, cJSON_CreateString(delivery->members[i].sha256));
        if (r >= 0)
                (void) varlink_call_reply(call, TAKE_PTR(reply));
        else
                (void) varlink_call_error_errno(call, r);
        (void) json_free(reply);
}

static void on_received(void *userdata, int result) {
        Delivery *delivery = userdata;
        VarlinkCall *call = adoption_take_call(&delivery->call);
        Adoption *adoption = delivery->adoption;
        const char *name = delivery->members[delivery->refused].name;

        adoption->receiving = false;
        adoption->busy = adoption->abandoned;
        adoption->called_at = time_now_monotonic();
        if (adoption->abandoned)
                (void) sd_event_source_set_enabled(adoption->let_go, SD_EVENT_ONESHOT);
        if (call && result == 0)
                reply_received(call, delivery);
        else if (call && result == STATE_REFUSED)
                (void) refuse_member(call, name, delivery->reason);
        else if (call && result == -ENOSPC)
                (void) refuse_member(call, name, "the disk is full");
        else if (call)
                (void) varlink_call_error_errno(call, result);
        service_release(adoption->manager->service);
        (void) delivery_free(delivery);
        if (service_stopping(adoption->manager->service))
                adoption_quiesce(adoption);
}

static int read_delivery(Delivery *delivery, VarlinkCall *call, const JsonValue *members) {
        const JsonValue *member;

        cJSON_ArrayForEach(member, members) {
                int64_t size = json_get_integer(member, "size_bytes", -1);
                int fd;

                if (delivery->n == VARLINK_FDS_MAX || size < 0)
                        return -EINVAL;
                fd = varlink_call_take_fd(call, delivery->n);
                if (fd < 0)
                        return -EINVAL;
                delivery->members[delivery->n].fd = fd;
                delivery->members[delivery->n].size = (uint64_t) size;
                delivery->members[delivery->n].name = strdup(json_get_string(member, "name"));
                if (!delivery->members[delivery->n++].name)
                        return -ENOMEM;
        }
        return delivery->n > 0 ? 0 : -EINVAL;
}

int adoption_receive(Manager *manager, VarlinkCall *call, const JsonValue *parameters) {
        _cleanup_(delivery_freep) Delivery *delivery = NULL;
        Adoption *adoption = adoption_find(manager, call, json_get_string(parameters, "adoption"));
        int r;

        if (!adoption)
                return 0;
        delivery = calloc(1, sizeof(*delivery));
        if (!delivery)
                return -ENOMEM;
        r = read_delivery(delivery, call, json_get_array(parameters, "members"));
        if (r == -EINVAL)
                return varlink_call_invalid_parameter(call, "members");
        if (r < 0)
                return r;
        delivery->adoption = adoption;
        delivery->call = call;
        r = thread_pool_run(manager->threads, receive, on_received, delivery);
        if (r < 0)
                return r;
        varlink_call_set_closed_handler(call, adoption_on_caller_gone, &delivery->call);
        service_hold(manager->service);
        adoption->busy = true;
        adoption->receiving = true;
        TAKE_PTR(delivery);
        return 0;
}

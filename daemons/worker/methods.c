#include "methods.h"

#include <errno.h>
#include <sys/stat.h>

#include "audit/audit-methods.h"
#include "audit/audit.h"
#include "base/fd.h"
#include "base/text.h"
#include "dispatch/dispatcher.h"
#include "health.h"
#include "interfaces/interfaces.h"
#include "keys/caller.h"
#include "keys/key-methods.h"
#include "keys/link-methods.h"
#include "money/ledger-methods.h"
#include "queue/queue.h"
#include "queue/uploads.h"
#include "state/adoption.h"
#include "state/snapshot.h"
#include "webhooks/webhooks.h"

/* ------------------------------------------------------------------ io.atelier.Queue */

static OptimiseWish optimise_wish(const JsonValue *parameters) {
        if (!json_has(parameters, "optimise"))
                return OPTIMISE_UNSAID;
        return json_get_bool(parameters, "optimise", false) ? OPTIMISE_ON : OPTIMISE_OFF;
}

static SubmitTerms submit_terms(const JsonValue *parameters) {
        return (SubmitTerms) {
                .priority = job_priority_from_name(json_get_string(parameters, "priority") ?: "normal"),
                .cache = {
                        .no_cache = json_get_bool(parameters, "no_cache", false),
                        .no_store = json_get_bool(parameters, "no_store", false),
                },
                .optimise = optimise_wish(parameters),
                .webhook = json_get_string(parameters, "webhook"),
        };
}

static int submit(Manager *manager, VarlinkCall *call, const Caller *caller, const JsonValue *parameters) {
        const SubmitTerms terms = submit_terms(parameters);

        return queue_submit(manager->queue, call, caller, json_get_string(parameters, "request_id"),
                            json_get_string(parameters, "idempotency_key"), json_get_object(parameters, "request"),
                            &terms, json_get_bool(parameters, "with_partial_images", false));
}

static int on_submit(VarlinkCall *call, const JsonValue *parameters, void *userdata) {
        Manager *manager = userdata;
        const Failure *failure;
        Caller caller;

        failure = caller_judge(manager, parameters, CALLER_ASKS, &caller);
        if (failure)
                return queue_refuse(call, failure);
        if (json_has(json_get_object(parameters, "request"), "uploads"))
                return uploads_receive(manager->uploads, call, &caller, parameters, submit);
        return submit(manager, call, &caller, parameters);
}

static int on_quote(VarlinkCall *call, const JsonValue *parameters, void *userdata) {
        Manager *manager = userdata;
        const Failure *failure;
        Caller caller;

        failure = caller_judge(manager, parameters, CALLER_ASKS, &caller);
        if (failure)
                return queue_refuse(call, failure);
        return queue_quote(manager->queue, call, &caller, json_get_object(parameters, "request"),
                           optimise_wish(parameters));
}

static int on_get_cache(VarlinkCall *call, _unused_ const JsonValue *parameters, void *userdata) {
        Manager *manager = userdata;

        return queue_get_cache(manager->queue, call);
}

static int on_clear_cache(VarlinkCall *call, _unused_ const JsonValue *parameters, void *userdata) {
        Manager *manager = userdata;

        return queue_clear_cache(manager->queue, call);
}

static int on_watch(VarlinkCall *call, const JsonValue *parameters, void *userdata) {
        Manager *manager = userdata;
        const Failure *failure;
        Caller caller;

        failure = caller_judge(manager, parameters, CALLER_LOOKS, &caller);
        if (failure)
                return queue_refuse(call, failure);
        return queue_watch(manager->queue, call, &caller, json_get_string(parameters, "id"),
                           json_get_bool(parameters, "with_partial_images", false));
}

static int on_get(VarlinkCall *call, const JsonValue *parameters, void *userdata) {
        Manager *manager = userdata;
        const Failure *failure;
        Caller caller;

        failure = caller_judge(manager, parameters, CALLER_LOOKS, &caller);
        if (failure)
                return queue_refuse(call, failure);
        return queue_get(manager->queue, call, &caller, json_get_string(parameters, "id"));
}

static int on_list(VarlinkCall *call, const JsonValue *parameters, void *userdata) {
        Manager *manager = userdata;
        const char *status = json_get_string(parameters, "status");
        int64_t limit = json_get_integer(parameters, "limit", QUEUE_LIST_DEFAULT);
        const Failure *failure;
        Caller caller;

        failure = caller_judge(manager, parameters, CALLER_LOOKS, &caller);
        if (failure)
                return queue_refuse(call, failure);
        if (limit < 1 || limit > QUEUE_LIST_MAX)
                return varlink_call_invalid_parameter(call, "limit");
        return queue_list(manager->queue, call, &caller, status ? job_status_from_name(status) : JOB_STATUS_INVALID,
                          json_get_string(parameters, "after"), (size_t) limit);
}

static int on_cancel(VarlinkCall *call, const JsonValue *parameters, void *userdata) {
        Manager *manager = userdata;
        const Failure *failure;
        Caller caller;

        failure = caller_judge(manager, parameters, CALLER_LOOKS, &caller);
        if (failure)
                return queue_refuse(call, failure);
        return queue_cancel(manager->queue, call, &caller, json_get_string(parameters, "id"),
                            json_get_bool(parameters, "delete", false));
}

static JsonValue *model_to_json(const ModelConf *model) {
        _cleanup_(json_freep) JsonValue *value = json_new_object();
        int r;

        r = json_add_string(value, "id", model->name);
        if (r >= 0)
                r = json_add_string(value, "provider", model->provider);
        if (r >= 0)
                r = json_add_integer(value, "created", model->created);
        if (r >= 0)
                r = json_add_string(value, "owned_by", model->owned_by ?: model->provider);
        if (r >= 0)
                r = json_add_string(value, "alias_of", model->alias_of);
        if (r >= 0)
                r = json_add_string(value, "shutdown_date", model->shutdown_date);
        if (r >= 0)
                r = json_add_string(value, "replaced_by", model->replaced_by);
        return r < 0 ? NULL : TAKE_PTR(value);
}

/* Only what can be asked for now: a model that was shut down, or whose provider has no key, is not listed. */
static bool model_available(const Manager *manager, const ModelConf *model) {
        ProviderSlot *slot = provider_table_find(manager->providers, model->provider);

        return time_now_realtime() < model->shutdown && slot && provider_has_key(slot->provider);
}

static int on_list_models(VarlinkCall *call, const JsonValue *parameters, void *userdata) {
        Manager *manager = userdata;
        const ConfGroups *models = &service_settings(manager->service)->common.models;
        _cleanup_(json_freep) JsonValue *reply = json_new_object();
        const Failure *failure;
        JsonValue *array;
        Caller caller;
        int r;

        failure = caller_judge(manager, parameters, CALLER_ASKS, &caller);
        if (failure)
                return queue_refuse(call, failure);
        array = json_new_array();
        r = json_add(reply, "models", array);
        for (size_t i = 0; r >= 0 && i < models->count; i++)
                if (model_available(manager, models->items[i]) && caller_may_ask_for(manager, &caller, models->items[i]))
                        r = json_append(array, model_to_json(models->items[i]));
        return r < 0 ? r : varlink_call_reply(call, TAKE_PTR(reply));
}

static int on_check_health(VarlinkCall *call, _unused_ const JsonValue *parameters, void *userdata) {
        Manager *manager = userdata;

        return health_check(manager->health, call);
}

static int on_pause(VarlinkCall *call, _unused_ const JsonValue *parameters, void *userdata) {
        Manager *manager = userdata;

        dispatcher_set_paused(manager->dispatcher, true);
        return varlink_call_reply(call, NULL);
}

static int on_resume(VarlinkCall *call, _unused_ const JsonValue *parameters, void *userdata) {
        Manager *manager = userdata;

        dispatcher_set_paused(manager->dispatcher, false);
        return varlink_call_reply(call, NULL);
}

static int on_release(VarlinkCall *call, const JsonValue *parameters, void *userdata) {
        Manager *manager = userdata;

        return queue_release(manager->queue, call, json_get_array(parameters, "ids"));
}

/* Batches */

static int on_submit_batch(VarlinkCall *call, const JsonValue *parameters, void *userdata) {
        Manager *manager = userdata;
        const BatchTerms terms = {
                .submit = submit_terms(parameters),
                .idempotency_key = json_get_string(parameters, "idempotency_key"),
                .metadata = json_get_object(parameters, "metadata"),
        };
        const Failure *failure;
        Caller caller;

        failure = caller_judge(manager, parameters, CALLER_ASKS, &caller);
        if (failure)
                return queue_refuse(call, failure);
        return queue_submit_batch(manager->queue, call, &caller, json_get_string(parameters, "request_id"),
                                  json_get_array(parameters, "items"), &terms);
}

static int on_get_batch(VarlinkCall *call, const JsonValue *parameters, void *userdata) {
        Manager *manager = userdata;
        const Failure *failure;
        Caller caller;

        failure = caller_judge(manager, parameters, CALLER_LOOKS, &caller);
        if (failure)
                return queue_refuse(call, failure);
        return queue_get_batch(manager->queue, call, &caller, json_get_string(parameters, "id"));
}

static int on_list_batches(VarlinkCall *call, const JsonValue *parameters, void *userdata) {
        Manager *manager = userdata;
        int64_t limit = json_get_integer(parameters, "limit", QUEUE_BATCHES_MAX);
        const Failure *failure;
        Caller caller;

        failure = caller_judge(manager, parameters, CALLER_LOOKS, &caller);
        if (failure)
                return queue_refuse(call, failure);
        if (limit < 1 || limit > QUEUE_BATCHES_MAX)
                return varlink_call_invalid_parameter(call, "limit");
        return queue_list_batches(manager->queue, call, &caller, json_get_string(parameters, "after"), (size_t) limit);
}

static int on_list_batch_items(VarlinkCall *call, const JsonValue *parameters, void *userdata) {
        Manager *manager = userdata;
        int64_t limit = json_get_integer(parameters, "limit", QUEUE_LIST_DEFAULT);
        const Failure *failure;
        Caller caller;

        failure = caller_judge(manager, parameters, CALLER_LOOKS, &caller);
        if (failure)
                return queue_refuse(call, failure);
        if (limit < 1 || limit > QUEUE_LIST_MAX)
                return varlink_call_invalid_parameter(call, "limit");
        return queue_list_batch_items(manager->queue, call, &caller, json_get_string(parameters, "id"),
                                      json_get_integer(parameters, "after", 0), (size_t) limit);
}

static int on_cancel_batch(VarlinkCall *call, const JsonValue *parameters, void *userdata) {
        Manager *manager = userdata;
        const Failure *failure;
        Caller caller;

        failure = caller_judge(manager, parameters, CALLER_LOOKS, &caller);
        if (failure)
                return queue_refuse(call, failure);
        return queue_cancel_batch(manager->queue, call, &caller, json_get_string(parameters, "id"));
}

static const VarlinkMethod queue_methods[] = {
        { "Submit", on_submit, false },
        { "Quote", on_quote, false },
        { "GetCache", on_get_cache, false },
        { "ClearCache", on_clear_cache, false },
        { "Watch", on_watch, false },
        { "Get", on_get, false },
        { "List", on_list, false },
        { "Cancel", on_cancel, false },
        { "ListModels", on_list_models, false },
        { "CheckHealth", on_check_health, false },
        { "Pause", on_pause, false },
        { "Resume", on_resume, false },
        { "Release", on_release, false },
        { "SubmitBatch", on_submit_batch, false },
        { "GetBatch", on_get_batch, false },
        { "ListBatches", on_list_batches, false },
        { "ListBatchItems", on_list_batch_items, false },
        { "CancelBatch", on_cancel_batch, false },
        {},
};

/* ------------------------------------------------------------------ io.atelier.Store */

static int image_not_found(VarlinkCall *call, const char *sha256) {
        _cleanup_(json_freep) JsonValue *parameters = json_new_object();
        int r;

        r = json_add_string(parameters, "sha256", sha256);
        if (r < 0)
                return r;
        return varlink_call_error(call, "io.atelier.Store.ImageNotFound", TAKE_PTR(parameters));
}

static int refuse_image(VarlinkCall *call, const Failure *failure) {
        JsonValue *parameters = failure_to_json(failure);

        return parameters ? varlink_call_error(call, "io.atelier.Store.Refused", parameters) : -ENOMEM;
}

/* An image is seen once a job has ended with it: a file that no job uses is none. */
static int check_used(Manager *manager, const char *sha256, ImageFormat format) {
        Store *store = commit_group_store(manager->group);
        int64_t uses;
        int r;

        if (!store)
                return -EIO;
        r = store_image_uses(store, sha256, format, &uses);
        if (r < 0)
                return r;
        return r > 0 || uses == 0 ? -ENOENT : 0;
}

/* NULL when whoever shows the link, or else the caller, may see the image if there is one. */
static const Failure *judge_opening(Manager *manager, const JsonValue *parameters, const char *sha256, ImageFormat format) {
        const JsonValue *link = json_get_object(parameters, "link");
        Caller caller;

        return link ? link_judge(manager, sha256, format, link)
                    : caller_judge(manager, parameters, CALLER_LOOKS, &caller);
}

static int on_open(VarlinkCall *call, const JsonValue *parameters, void *userdata) {
        Manager *manager = userdata;
        const char *sha256 = json_get_string(parameters, "sha256");
        ImageFormat format = image_format_from_name(json_get_string(parameters, "format"));
        _cleanup_(json_freep) JsonValue *reply = json_new_object();
        _cleanup_close_ int fd = -1;
        const Failure *failure;
        struct stat st;
        int r;

        failure = judge_opening(manager, parameters, sha256, format);
        if (failure)
                return refuse_image(call, failure);
        if (!sha256_text_valid(sha256) || format == IMAGE_FORMAT_INVALID)
                return image_not_found(call, sha256);
        r = check_used(manager, sha256, format);
        if (r >= 0)
                r = fd = image_store_open(manager->images, sha256, format);
        if (r == -ENOENT)
                return image_not_found(call, sha256);
        if (r < 0)
                return r;

        if (fstat(fd, &st) < 0)
                return -errno;
        r = json_add_integer(reply, "size_bytes", st.st_size);
        if (r >= 0)
                r = varlink_call_push_fd(call, fd);
        return r < 0 ? r : varlink_call_reply(call, TAKE_PTR(reply));
}

static int on_snapshot(VarlinkCall *call, _unused_ const JsonValue *parameters, void *userdata) {
        return snapshot_start(userdata, call);
}

static int on_prepare_adoption(VarlinkCall *call, _unused_ const JsonValue *parameters, void *userdata) {
        return adoption_prepare(userdata, call);
}

static int on_receive(VarlinkCall *call, const JsonValue *parameters, void *userdata) {
        return adoption_receive(userdata, call, parameters);
}

static int on_adopt(VarlinkCall *call, const JsonValue *parameters, void *userdata) {
        return adoption_adopt(userdata, call, json_get_string(parameters, "adoption"));
}

static int on_abandon_adoption(VarlinkCall *call, const JsonValue *parameters, void *userdata) {
        return adoption_abandon(userdata, call, json_get_string(parameters, "adoption"));
}

static int on_discard_former(VarlinkCall *call, _unused_ const JsonValue *parameters, void *userdata) {
        return adoption_discard_former(userdata, call);
}

static const VarlinkMethod store_methods[] = {
        { "Open", on_open, false },
        { "Snapshot", on_snapshot, true },
        { "PrepareAdoption", on_prepare_adoption, false },
        { "Receive", on_receive, false },
        { "Adopt", on_adopt, false },
        { "AbandonAdoption", on_abandon_adoption, false },
        { "DiscardFormer", on_discard_former, false },
        {},
};

int worker_methods_add(VarlinkServer *server, Manager *manager) {
        int r;

        r = varlink_server_add_interface(server, interface_queue, queue_methods, manager);
        if (r >= 0)
                r = key_methods_add(server, manager);
        if (r >= 0)
                r = varlink_server_add_interface(server, interface_store, store_methods, manager);
        if (r >= 0)
                r = webhook_methods_add(server, manager);
        if (r >= 0)
                r = link_methods_add(server, manager);
        if (r >= 0)
                r = ledger_methods_add(server, manager);
        if (r < 0)
                return r;
        varlink_server_set_observer(server, audit_observe, manager->audit);
        return audit_methods_add(server, manager);
}

/* /v1/models, as OpenAI has it. */
#include <errno.h>

#include "base/text.h"
#include "exchange.h"

#define MODELS_DEADLINE_USEC (30 * USEC_PER_SEC)

/* Null where no end is known, as OpenAI has it. */
static int add_shutdown_date(JsonValue *object, const JsonValue *model) {
        const char *date = json_get_string(model, "shutdown_date");

        return date ? json_add_string(object, "shutdown_date", date) : json_add_null(object, "shutdown_date");
}

static int make_model(const JsonValue *model, JsonValue **ret) {
        _cleanup_(json_freep) JsonValue *object = json_new_object();
        int r;

        r = json_add_string(object, "id", json_get_string(model, "id"));
        if (r >= 0)
                r = json_add_string(object, "object", "model");
        if (r >= 0)
                r = json_add_integer(object, "created", json_get_integer(model, "created", 0));
        if (r >= 0)
                r = json_add_string(object, "owned_by", json_get_string(model, "owned_by"));
        if (r >= 0)
                r = add_shutdown_date(object, model);
        if (r >= 0)
                r = json_add_string(object, "replaced_by", json_get_string(model, "replaced_by"));
        if (r >= 0)
                r = json_add_string(object, "alias_of", json_get_string(model, "alias_of"));
        if (r < 0)
                return r;

        *ret = TAKE_PTR(object);
        return 0;
}

static int answer_list(_unused_ ApiManager *manager, _unused_ HttpRequest *request, const VarlinkReply *reply,
                       HttpReply **ret) {
        const JsonValue *models = json_get_array(reply->parameters, "models");
        _cleanup_(json_freep) JsonValue *list = json_new_object();
        JsonValue *data = NULL;
        int r;

        r = json_add_string(list, "object", "list");
        if (r >= 0)
                r = json_add(list, "data", data = json_new_array());
        for (const JsonValue *model = models ? models->child : NULL; model && r >= 0; model = model->next) {
                JsonValue *object;

                r = make_model(model, &object);
                if (r >= 0)
                        r = json_append(data, object);
        }
        return r < 0 ? r : http_reply_new_json(ret, MHD_HTTP_OK, list);
}

static int answer_one(_unused_ ApiManager *manager, HttpRequest *request, const VarlinkReply *reply, HttpReply **ret) {
        const JsonValue *models = json_get_array(reply->parameters, "models");
        const char *id = http_request_match(request)->argument;
        _cleanup_(json_freep) JsonValue *object = NULL;
        ApiError error;
        int r;

        for (const JsonValue *model = models ? models->child : NULL; model; model = model->next)
                if (text_equal(json_get_string(model, "id"), id)) {
                        r = make_model(model, &object);
                        return r < 0 ? r : http_reply_new_json(ret, MHD_HTTP_OK, object);
                }

        api_error_set(&error, 404, ERROR_TYPE_REQUEST, "model_not_found", "model",
                      "The model '%.128s' does not exist.", id);
        return http_reply_new_error(ret, &error);
}

static const ExchangeKind list_models = {
        .method = { "io.atelier.Queue.ListModels", .deadline = MODELS_DEADLINE_USEC },
        .answer = answer_list,
};

static const ExchangeKind find_model = {
        .method = { "io.atelier.Queue.ListModels", .deadline = MODELS_DEADLINE_USEC },
        .answer = answer_one,
};

void route_list_models(ApiManager *manager, HttpRequest *request) {
        exchange_start(manager, request, &list_models, NULL);
}

void route_get_model(ApiManager *manager, HttpRequest *request) {
        exchange_start(manager, request, &find_model, NULL);
}

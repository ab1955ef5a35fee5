#include "io/service-varlink.h"

#include <errno.h>
#include <unistd.h>

#include "base/log.h"
#include "base/text.h"

bool service_authorize(const VarlinkPeer *peer, const char *method, void *userdata) {
        return access_allowed(service_access(userdata), peer, method);
}

bool service_accepts_fds(const VarlinkPeer *peer, void *userdata) {
        for (const char *const *method = service_kind(userdata)->fds_methods; *method; method++)
                if (access_allowed(service_access(userdata), peer, *method))
                        return true;
        return false;
}

static int on_ping(VarlinkCall *call, _unused_ const JsonValue *parameters, _unused_ void *userdata) {
        return varlink_call_reply(call, NULL);
}

static const char *const environment_names[] = { "development", "staging", "production" };

static int on_get_status(VarlinkCall *call, _unused_ const JsonValue *parameters, void *userdata) {
        Service *service = userdata;
        const ServiceKind *kind = service_kind(service);
        _cleanup_(json_freep) JsonValue *reply = json_new_object();
        _cleanup_free_ char *status = service_status_text(service);
        JsonValue *facts = json_new_array();
        int r;

        r = json_add(reply, "facts", facts);
        if (r >= 0)
                r = json_add_string(reply, "daemon", kind->name);
        if (r >= 0)
                r = json_add_string(reply, "version", ATELIER_VERSION);
        if (r >= 0)
                r = json_add_integer(reply, "pid", getpid());
        if (r >= 0)
                r = json_add_integer(reply, "started_at", (int64_t) service_started_at(service));
        if (r >= 0)
                r = json_add_string(reply, "status", status ?: "");
        if (r >= 0)
                r = json_add_string(reply, "environment",
                                    environment_names[service_settings(service)->common.environment]);
        if (r >= 0 && kind->facts)
                r = kind->facts(facts, service_userdata(service));
        if (r < 0)
                return r;

        return varlink_call_reply(call, TAKE_PTR(reply));
}

static int on_get_metrics(VarlinkCall *call, _unused_ const JsonValue *parameters, void *userdata) {
        Service *service = userdata;
        _cleanup_(json_freep) JsonValue *reply = json_new_object();
        _cleanup_(buffer_done) Buffer buffer = {};
        _cleanup_free_ char *text = NULL;
        int r = 0;

        if (service_kind(service)->metrics)
                r = service_kind(service)->metrics(&buffer, service_userdata(service));
        if (r < 0)
                return r;
        text = buffer_take_text(&buffer);
        if (!text)
                return -ENOMEM;
        r = json_add_string(reply, "text", text);
        if (r < 0)
                return r;

        return varlink_call_reply(call, TAKE_PTR(reply));
}

static int on_set_log_level(VarlinkCall *call, const JsonValue *parameters, _unused_ void *userdata) {
        int64_t level = json_get_integer(parameters, "level", -1);

        if (level < LOG_EMERG || level > LOG_DEBUG)
                return varlink_call_invalid_parameter(call, "level");
        log_set_level((int) level);
        return varlink_call_reply(call, NULL);
}

/* The lines of an error text as an array of strings. */
static JsonValue *lines_to_array(Buffer *lines) {
        _cleanup_(json_freep) JsonValue *array = json_new_array();
        _cleanup_free_ char *text = buffer_take_text(lines);

        for (char *rest = text, *line; (line = strsep(&rest, "\n"));)
                if (*line && json_append(array, cJSON_CreateString(line)) < 0)
                        return NULL;
        return TAKE_PTR(array);
}

static int on_reload(VarlinkCall *call, _unused_ const JsonValue *parameters, void *userdata) {
        _cleanup_(json_freep) JsonValue *failure = NULL;
        _cleanup_(buffer_done) Buffer errors = {};
        int r;

        r = service_reload(userdata, &errors);
        if (r >= 0)
                return varlink_call_reply(call, NULL);
        if (errors.size == 0)
                return r;

        log_error("the new configuration is bad; the old one stays: %.*s", (int) errors.size, (char *) errors.data);
        failure = json_new_object();
        r = json_add(failure, "errors", lines_to_array(&errors));
        if (r < 0)
                return r;
        return varlink_call_error(call, "io.atelier.Daemon.ConfigurationInvalid", TAKE_PTR(failure));
}

const VarlinkMethod service_methods[] = {
        { "Ping", on_ping, false },
        { "GetStatus", on_get_status, false },
        { "GetMetrics", on_get_metrics, false },
        { "SetLogLevel", on_set_log_level, false },
        { "Reload", on_reload, false },
        {},
};

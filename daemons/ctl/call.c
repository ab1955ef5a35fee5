#include <ctype.h>
#include <errno.h>
#include <stdio.h>

#include "base/text.h"
#include "base/time.h"
#include "ctl.h"
#include "io/varlink-client.h"
#include "io/varlink.h"

#define RUNTIME_DIRECTORY "/run/atelier"
#define CALL_TIMEOUT_USEC (60 * USEC_PER_SEC)

const char *const ctl_daemons[] = { "api", "worker", "scheduler", "alerter", NULL };

bool ctl_is_daemon(const char *name) {
        for (const char *const *daemon = ctl_daemons; *daemon; daemon++)
                if (text_equal(*daemon, name))
                        return true;
        return false;
}

/* "worker" lives at /run/atelier/io.atelier.Worker. */
static char *socket_path(const char *daemon) {
        const char *folder = getenv("ATELIER_RUNTIME_DIRECTORY");

        return text_format("%s/io.atelier.%c%s", text_empty(folder) ? RUNTIME_DIRECTORY : folder,
                           toupper((unsigned char) daemon[0]), daemon + 1);
}

static void explain_connection(const char *daemon, const char *path, int error) {
        if (error == -ENOENT || error == -ECONNREFUSED)
                fprintf(stderr, "atelierctl: nothing listens on %s; start it with: systemctl start atelier-%s.socket\n",
                        path, daemon);
        else if (error == -EACCES || error == -EPERM)
                fprintf(stderr, "atelierctl: %s: permission denied; be root or a member of group atelier\n", path);
        else if (error == -ETIMEDOUT)
                fprintf(stderr, "atelierctl: atelier-%s does not answer; see: journalctl -u atelier-%s\n", daemon,
                        daemon);
        else
                fprintf(stderr, "atelierctl: atelier-%s: %s; see: journalctl -u atelier-%s\n", daemon,
                        strerror(-error), daemon);
}

static void explain_error(const char *daemon, const char *method, const char *error, const JsonValue *parameters) {
        const JsonValue *line;

        if (text_equal(error, "io.atelier.Daemon.ConfigurationInvalid")) {
                cJSON_ArrayForEach(line, json_get_array(parameters, "errors"))
                        fprintf(stderr, "%s\n", cJSON_GetStringValue(line));
                fprintf(stderr, "atelierctl: the configuration is bad; atelier-%s goes on with the old one\n", daemon);
        } else if (text_equal(error, VARLINK_ERROR_PERMISSION_DENIED))
                fprintf(stderr, "atelierctl: %s: not allowed; be root or a member of group atelier-admin\n", method);
        else
                fprintf(stderr, "atelierctl: atelier-%s answers %s to %s\n", daemon, error, method);
}

int ctl_call(const char *daemon, const char *method, JsonValue *parameters, JsonValue **ret) {
        _cleanup_free_ char *path = socket_path(daemon), *error = NULL;
        _cleanup_(json_freep) JsonValue *reply = NULL;
        int r;

        if (!path) {
                (void) json_free(parameters);
                return EXIT_FAILURE;
        }
        r = varlink_call_blocking(path, method, parameters, CALL_TIMEOUT_USEC, NULL, NULL, &reply, &error);
        if (r < 0) {
                explain_connection(daemon, path, r);
                return EXIT_FAILURE;
        }
        if (error) {
                explain_error(daemon, method, error, reply);
                return EXIT_FAILURE;
        }

        if (ret)
                *ret = TAKE_PTR(reply);
        return EXIT_SUCCESS;
}

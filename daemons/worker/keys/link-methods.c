#include "keys/link-methods.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/log.h"
#include "base/text.h"
#include "interfaces/interfaces.h"
#include "keys/caller.h"
#include "keys/image-links.h"

#define REFUSED "io.atelier.Links.Refused"

#define FAILURE(number, kind, name, text) \
        { .status = (number), .type = (char *) (kind), .code = (char *) (name), .message = (char *) (text) }

static const Failure link_invalid = FAILURE(
        403, "invalid_request_error", "link_invalid",
        "The link is not one of this server's, is not whole, or was revoked. Ask whoever gave it to you for a new one.");

static const Failure link_expired = FAILURE(
        403, "invalid_request_error", "link_expired",
        "The link has expired. Ask whoever gave it to you for a new one.");

static const Failure secret_unavailable = FAILURE(
        503, "server_error", "storage_unavailable",
        "Links can't be checked at the moment. Try again later.");

static const Failure seconds_out_of_range = {
        .status = 400,
        .type = (char *) "invalid_request_error",
        .code = (char *) "invalid_value",
        .param = (char *) "expires_in",
        .message = (char *) "Invalid value for 'expires_in': expected 60 to 604800 seconds.",
};

const Failure *link_judge(Manager *manager, const char *sha256, ImageFormat format, const JsonValue *link) {
        int r;

        if (!sha256_text_valid(sha256) || format == IMAGE_FORMAT_INVALID)
                return &link_invalid;
        r = image_links_check(manager->image_links, sha256, format, json_get_string(link, "expires"),
                              json_get_string(link, "signature"));
        if (r < 0) {
                (void) log_debug_errno(r, "a link can't be checked");
                return &secret_unavailable;
        }
        if (r == IMAGE_LINK_EXPIRED)
                return &link_expired;
        return r == IMAGE_LINK_INVALID ? &link_invalid : NULL;
}

static int refuse(VarlinkCall *call, const Failure *failure) {
        JsonValue *parameters = failure_to_json(failure);

        return parameters ? varlink_call_error(call, REFUSED, parameters) : -ENOMEM;
}

static int reply_not_found(VarlinkCall *call, const char *sha256) {
        JsonValue *parameters = json_new_object();

        (void) json_add_string(parameters, "sha256", sha256);
        return varlink_call_error(call, "io.atelier.Links.ImageNotFound", parameters);
}

static int reply_unavailable(VarlinkCall *call, int error) {
        JsonValue *parameters = json_new_object();

        (void) json_add_string(parameters, "reason", strerror(-error));
        return varlink_call_error(call, "io.atelier.Links.StoreUnavailable", parameters);
}

/* A hash has one format: that of its bytes. -ENOENT when no job has ended with it. */
static int find_format(const Manager *manager, const char *sha256, ImageFormat *ret) {
        Store *store = commit_group_store(manager->group);

        if (!store)
                return -EIO;
        for (ImageFormat format = 0; format < _IMAGE_FORMATS; format++) {
                int64_t uses = 0;
                int r = store_image_uses(store, sha256, format, &uses);

                if (r < 0)
                        return r;
                if (uses > 0) {
                        *ret = format;
                        return 0;
                }
        }
        return -ENOENT;
}

static int add_url(JsonValue *object, const char *public_url, const char *path) {
        _cleanup_free_ char *url = NULL;
        size_t length;

        if (!public_url)
                return 0;
        length = strlen(public_url);
        while (length > 0 && public_url[length - 1] == '/')
                length--;
        url = text_format("%.*s%s", (int) length, public_url, path);
        return url ? json_add_string(object, "url", url) : -ENOMEM;
}

static int reply_link(VarlinkCall *call, const Manager *manager, const ImageLink *made) {
        _cleanup_(json_freep) JsonValue *reply = json_new_object();
        JsonValue *link = json_new_object();
        int r;

        r = json_add(reply, "link", link);
        if (r >= 0)
                r = json_add_string(link, "path", made->path);
        if (r >= 0)
                r = add_url(link, service_settings(manager->service)->api.public_url, made->path);
        if (r >= 0)
                r = json_add_integer(link, "expires_at", (int64_t) (made->expires * USEC_PER_SEC));
        return r < 0 ? r : varlink_call_reply(call, TAKE_PTR(reply));
}

static int on_create(VarlinkCall *call, const JsonValue *parameters, void *userdata) {
        int64_t seconds = json_get_integer(parameters, "expires_in", IMAGE_LINK_SECONDS_DEFAULT);
        const char *sha256 = json_get_string(parameters, "sha256");
        Manager *manager = userdata;
        const Failure *failure;
        ImageFormat format = IMAGE_FORMAT_INVALID;
        ImageLink link;
        Caller caller;
        int r;

        failure = caller_judge(manager, parameters, CALLER_LOOKS, &caller);
        if (failure)
                return refuse(call, failure);
        if (seconds < IMAGE_LINK_SECONDS_MIN || seconds > IMAGE_LINK_SECONDS_MAX)
                return refuse(call, &seconds_out_of_range);
        r = sha256_text_valid(sha256) ? find_format(manager, sha256, &format) : -ENOENT;
        if (r == -ENOENT)
                return reply_not_found(call, sha256);
        if (r >= 0)
                r = image_links_make(manager->image_links, sha256, format, (uint64_t) seconds, &link);
        return r < 0 ? reply_unavailable(call, r) : reply_link(call, manager, &link);
}

static int on_revoke_all(VarlinkCall *call, _unused_ const JsonValue *parameters, void *userdata) {
        Manager *manager = userdata;
        int r;

        r = image_links_revoke_all(manager->image_links);
        return r < 0 ? reply_unavailable(call, r) : varlink_call_reply(call, NULL);
}

int link_methods_add(VarlinkServer *server, Manager *manager) {
        static const VarlinkMethod methods[] = {
                { "Create", on_create, false },
                { "RevokeAll", on_revoke_all, false },
                {},
        };

        return varlink_server_add_interface(server, interface_links, methods, manager);
}

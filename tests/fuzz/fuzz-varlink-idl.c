/* Any text as an interface; behind a NUL byte, any JSON as the parameters of its methods. */
#include <errno.h>
#include <stdint.h>
#include <string.h>

#include "io/varlink-idl.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Every word of the text may be a method or an error. */
static void check_members(const VarlinkInterface *interface, const JsonValue *object) {
        static const char letters[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789";
        _cleanup_free_ char *text = strdup(varlink_interface_text(interface));
        char *p = text;

        while (p && *(p += strcspn(p, letters))) {
                size_t length = strspn(p, letters);
                const char *field = NULL;
                char end = p[length];

                p[length] = 0;
                if (varlink_interface_has_method(interface, p)) {
                        assert(!varlink_interface_has_error(interface, p));
                        assert(varlink_interface_check_input(interface, p, object, &field) == 0 || field);
                        field = NULL;
                        assert(varlink_interface_check_output(interface, p, object, &field) == 0 || field);
                } else if (varlink_interface_has_error(interface, p))
                        assert(varlink_interface_check_error(interface, p, object, &field) == 0 || field);
                p[length] = end;
                p += length;
        }
}

static void check_error(const char *text, const VarlinkIdlError *error) {
        size_t lines = 1;

        for (const char *p = text; *p; p++)
                lines += *p == '\n';
        assert(error->reason);
        assert(error->line >= 1 && error->line <= lines);
        assert(error->column >= 1 && error->column <= strlen(text) + 1);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
        _cleanup_(varlink_interface_freep) VarlinkInterface *interface = NULL;
        _cleanup_(json_freep) JsonValue *object = NULL;
        _cleanup_free_ char *text = malloc(size + 1);
        VarlinkIdlError error = {};
        size_t length;
        int r;

        if (!text)
                return 0;
        memcpy(text, data, size);
        text[size] = 0;
        length = strlen(text);

        r = varlink_interface_parse(text, &interface, &error);
        if (r == -EBADMSG)
                check_error(text, &error);
        if (r < 0)
                return 0;
        assert(strcmp(varlink_interface_text(interface), text) == 0);

        if (length >= size || json_parse(text + length + 1, size - length - 1, &object, NULL) < 0)
                object = json_new_object();
        if (object)
                check_members(interface, object);
        return 0;
}

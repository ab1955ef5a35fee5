/* The Varlink interface definition language (varlink.org/Interface-Definition), portable subset.
 *
 * An interface is parsed from the very text that org.varlink.service hands out; methods' parameters are then checked
 * against it, so that what introspection shows and what is accepted cannot differ. Subset: `?` first, at most one
 * container level, `[]T` and `[string]T`. */
#pragma once

#include "base/json.h"
#include "base/macro.h"

#define VARLINK_IDL_BYTES_MAX (256 * 1024)
#define VARLINK_IDL_DEPTH_MAX 64

typedef struct VarlinkInterface VarlinkInterface;

typedef struct VarlinkIdlError {
        unsigned line, column;  /* from 1 */
        const char *reason;     /* static */
} VarlinkIdlError;

/* -EBADMSG with *error (may be NULL), -ENOMEM. The text is copied. */
int varlink_interface_parse(const char *text, VarlinkInterface **ret, VarlinkIdlError *error);
VarlinkInterface *varlink_interface_free(VarlinkInterface *interface);
DEFINE_CLEANUP(VarlinkInterface *, varlink_interface_free);

const char *varlink_interface_name(const VarlinkInterface *interface);
const char *varlink_interface_text(const VarlinkInterface *interface);
bool varlink_interface_has_method(const VarlinkInterface *interface, const char *name);
bool varlink_interface_has_error(const VarlinkInterface *interface, const char *name);

enum {
        VARLINK_INVALID_PARAMETER = 1,
};

/* Checks a method's input or output, or an error's parameters; the interface must have that method or error. 0, or
 * VARLINK_INVALID_PARAMETER with the name of the first field that is unknown, missing or of a wrong type in *ret_field
 * (owned by the interface or the object). */
int varlink_interface_check_input(const VarlinkInterface *interface, const char *method, const JsonValue *object,
                                  const char **ret_field);
int varlink_interface_check_output(const VarlinkInterface *interface, const char *method, const JsonValue *object,
                                   const char **ret_field);
int varlink_interface_check_error(const VarlinkInterface *interface, const char *error, const JsonValue *object,
                                  const char **ret_field);

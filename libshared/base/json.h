/* JSON (RFC 8259) as trees, over cJSON.
 *
 * cJSON alone accepts duplicate names, invalid UTF-8, raw control characters, numbers such as 01 or 1e999, and cuts
 * strings at \u0000. json_parse() therefore runs a strict check over the text first, in one pass and without memory
 * of its own but for the names of open objects; only a text that passes reaches cJSON. Integers are exact to ±2^53;
 * a number written as an integer beyond that is refused, not rounded. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <cjson/cJSON.h>

#include "base/macro.h"

typedef cJSON JsonValue;

#define JSON_DEPTH_MAX 32              /* nested arrays and objects */
#define JSON_MEMBERS_MAX 256           /* members of one object */
#define JSON_ELEMENTS_MAX 65536        /* values in one text, of every kind */
#define JSON_INTEGER_MAX (INT64_C(1) << 53)

/* Where a text stopped being JSON that we take, and why. */
typedef struct JsonError {
        size_t offset;       /* bytes from the start */
        const char *reason;  /* static text: "duplicate name", "invalid UTF-8", … */
} JsonError;

/* Checks text[0..size). 0, or -EBADMSG with *error filled in (error may be NULL). Takes 128 KiB of stack. */
int json_check(const char *text, size_t size, JsonError *error);

/* Checks and parses. -EBADMSG as above, -ENOMEM. */
int json_parse(const char *text, size_t size, JsonValue **ret, JsonError *error);

JsonValue *json_free(JsonValue *value);
DEFINE_CLEANUP(JsonValue *, json_free);

/* Compact text; the caller frees it. NULL when memory is short. It always is JSON: what is not UTF-8 in a string
 * becomes U+FFFD, a number that is not finite null. */
char *json_format(const JsonValue *value);

/* Reading. `object` may be NULL or of another type: the member is then absent. A member that is null counts as
 * absent for all but json_member(). */
const JsonValue *json_member(const JsonValue *object, const char *name);
bool json_has(const JsonValue *object, const char *name);
const char *json_get_string(const JsonValue *object, const char *name);            /* NULL: absent or not a string */
bool json_get_bool(const JsonValue *object, const char *name, bool fallback);
int64_t json_get_integer(const JsonValue *object, const char *name, int64_t fallback);
const JsonValue *json_get_array(const JsonValue *object, const char *name);
const JsonValue *json_get_object(const JsonValue *object, const char *name);

/* True when value is a number without a fraction within ±2^53. */
bool json_is_integer(const JsonValue *value);
int64_t json_to_integer(const JsonValue *value);

/* Building. Each adds a member and returns 0, -ENOMEM, or -EINVAL for an integer beyond ±2^53; a NULL text adds
 * nothing. json_add() takes `value` over, also on failure; a NULL object or value is -ENOMEM, so that
 * json_add(o, "x", json_new_array()) needs no check of its own. */
JsonValue *json_new_object(void);
JsonValue *json_new_array(void);
int json_add(JsonValue *object, const char *name, JsonValue *value);
int json_add_string(JsonValue *object, const char *name, const char *text);
int json_add_integer(JsonValue *object, const char *name, int64_t number);
int json_add_bool(JsonValue *object, const char *name, bool truth);
int json_add_null(JsonValue *object, const char *name);
int json_append(JsonValue *array, JsonValue *value);   /* takes value over; NULL is -ENOMEM */

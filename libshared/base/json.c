#include "base/json.h"

#include <errno.h>
#include <math.h>
#include <string.h>

int json_parse(const char *text, size_t size, JsonValue **ret, JsonError *error) {
        JsonValue *value;
        int r;

        r = json_check(text, size, error);
        if (r < 0)
                return r;

        /* The text is good, so memory is all that can be missing. */
        value = cJSON_ParseWithLengthOpts(text, size, NULL, false);
        if (!value)
                return -ENOMEM;

        *ret = value;
        return 0;
}

JsonValue *json_free(JsonValue *value) {
        cJSON_Delete(value);
        return NULL;
}

const JsonValue *json_member(const JsonValue *object, const char *name) {
        if (!cJSON_IsObject(object))
                return NULL;
        for (const JsonValue *member = object->child; member; member = member->next)
                if (strcmp(member->string, name) == 0)
                        return member;
        return NULL;
}

bool json_has(const JsonValue *object, const char *name) {
        const JsonValue *member = json_member(object, name);

        return member && !cJSON_IsNull(member);
}

const char *json_get_string(const JsonValue *object, const char *name) {
        return cJSON_GetStringValue(json_member(object, name));
}

bool json_get_bool(const JsonValue *object, const char *name, bool fallback) {
        const JsonValue *member = json_member(object, name);

        return cJSON_IsBool(member) ? cJSON_IsTrue(member) : fallback;
}

int64_t json_get_integer(const JsonValue *object, const char *name, int64_t fallback) {
        const JsonValue *member = json_member(object, name);

        return json_is_integer(member) ? json_to_integer(member) : fallback;
}

const JsonValue *json_get_array(const JsonValue *object, const char *name) {
        const JsonValue *member = json_member(object, name);

        return cJSON_IsArray(member) ? member : NULL;
}

const JsonValue *json_get_object(const JsonValue *object, const char *name) {
        const JsonValue *member = json_member(object, name);

        return cJSON_IsObject(member) ? member : NULL;
}

bool json_is_integer(const JsonValue *value) {
        return cJSON_IsNumber(value) && fabs(value->valuedouble) <= (double) JSON_INTEGER_MAX &&
               value->valuedouble == trunc(value->valuedouble);
}

int64_t json_to_integer(const JsonValue *value) {
        assert(json_is_integer(value));

        return (int64_t) value->valuedouble;
}

JsonValue *json_new_object(void) {
        return cJSON_CreateObject();
}

JsonValue *json_new_array(void) {
        return cJSON_CreateArray();
}

int json_add(JsonValue *object, const char *name, JsonValue *value) {
        if (value && cJSON_AddItemToObject(object, name, value))
                return 0;

        cJSON_Delete(value);
        return -ENOMEM;
}

int json_add_string(JsonValue *object, const char *name, const char *text) {
        return text ? json_add(object, name, cJSON_CreateString(text)) : 0;
}

int json_add_integer(JsonValue *object, const char *name, int64_t number) {
        if (number > JSON_INTEGER_MAX || number < -JSON_INTEGER_MAX)
                return -EINVAL;
        return json_add(object, name, cJSON_CreateNumber((double) number));
}

int json_add_bool(JsonValue *object, const char *name, bool truth) {
        return json_add(object, name, cJSON_CreateBool(truth));
}

int json_add_null(JsonValue *object, const char *name) {
        return json_add(object, name, cJSON_CreateNull());
}

int json_append(JsonValue *array, JsonValue *value) {
        if (value && cJSON_AddItemToArray(array, value))
                return 0;

        cJSON_Delete(value);
        return -ENOMEM;
}

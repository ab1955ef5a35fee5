/* Checks of JSON values against a parsed interface. Recursion is bounded by the depth of the value. */
#include <string.h>

#include "base/text.h"
#include "io/varlink-idl-tree.h"

static const IdlMember *find_kind(const VarlinkInterface *interface, const char *name, IdlMemberKind kind) {
        const IdlMember *member = idl_find_member(interface, name);

        return member && member->kind == kind ? member : NULL;
}

bool varlink_interface_has_method(const VarlinkInterface *interface, const char *name) {
        return find_kind(interface, name, IDL_METHOD);
}

bool varlink_interface_has_error(const VarlinkInterface *interface, const char *name) {
        return find_kind(interface, name, IDL_ERROR);
}

static const IdlField *shape_find(const IdlShape *shape, const char *name) {
        for (size_t i = 0; i < shape->n_fields; i++)
                if (strcmp(shape->fields[i].name, name) == 0)
                        return &shape->fields[i];
        return NULL;
}

static bool check_struct(const IdlShape *shape, const JsonValue *object, const char **ret_field);

/* On failure *ret_field is set only if the fault lies within a struct below. */
static bool check_shape(const IdlShape *shape, const JsonValue *value, const char **ret_field) {
        if (shape->kind == IDL_STRUCT)
                return check_struct(shape, value, ret_field);
        return cJSON_IsString(value) && shape_find(shape, value->valuestring);
}

static bool check_element(const IdlType *type, const JsonValue *value, const char **ret_field) {
        switch (type->kind) {
        case IDL_BOOL:
                return cJSON_IsBool(value);
        case IDL_INT:
                return json_is_integer(value);
        case IDL_FLOAT:
                return cJSON_IsNumber(value);
        case IDL_STRING:
                return cJSON_IsString(value);
        case IDL_OBJECT:
                return cJSON_IsObject(value);
        case IDL_NAMED:
                return check_shape(&type->member->shape, value, ret_field);
        case IDL_STRUCT:
        case IDL_ENUM:
                return check_shape(&type->shape, value, ret_field);
        }
        return false;
}

static bool check_type(const IdlType *type, const JsonValue *value, const char **ret_field) {
        const JsonValue *element;

        if (cJSON_IsNull(value))
                return type->nullable;
        /* Text of our own that goes out as it is stored; a parsed message never has it. */
        if (cJSON_IsRaw(value))
                return true;
        if (type->container == IDL_SINGLE)
                return check_element(type, value, ret_field);
        if (type->container == IDL_ARRAY ? !cJSON_IsArray(value) : !cJSON_IsObject(value))
                return false;

        cJSON_ArrayForEach(element, value)
                if (!check_element(type, element, ret_field))
                        return false;
        return true;
}

static bool check_struct(const IdlShape *shape, const JsonValue *object, const char **ret_field) {
        bool seen[IDL_FIELDS_MAX] = {};
        const JsonValue *member;
        size_t next = 0;

        if (!cJSON_IsObject(object))
                return false;

        cJSON_ArrayForEach(member, object) {
                const IdlField *field;

                /* Members mostly come in the order of the fields. */
                if (next < shape->n_fields && strcmp(shape->fields[next].name, member->string) == 0)
                        field = &shape->fields[next];
                else
                        field = shape_find(shape, member->string);
                if (!field) {
                        *ret_field = member->string;
                        return false;
                }

                next = (size_t) (field - shape->fields) + 1;
                seen[next - 1] = true;
                if (!check_type(&field->type, member, ret_field)) {
                        *ret_field = *ret_field ?: field->name;
                        return false;
                }
        }

        for (size_t i = 0; i < shape->n_fields; i++)
                if (!seen[i] && !shape->fields[i].type.nullable) {
                        *ret_field = shape->fields[i].name;
                        return false;
                }
        return true;
}

static int check_parameters(const IdlShape *shape, const JsonValue *object, const char **ret_field) {
        const char *field = NULL;

        if (check_struct(shape, object, &field))
                return 0;
        *ret_field = field ?: "parameters";
        return VARLINK_INVALID_PARAMETER;
}

int varlink_interface_check_input(const VarlinkInterface *interface, const char *method, const JsonValue *object,
                                  const char **ret_field) {
        const IdlMember *member = find_kind(interface, method, IDL_METHOD);

        assert(member);
        return check_parameters(&member->shape, object, ret_field);
}

int varlink_interface_check_output(const VarlinkInterface *interface, const char *method, const JsonValue *object,
                                   const char **ret_field) {
        const IdlMember *member = find_kind(interface, method, IDL_METHOD);

        assert(member);
        return check_parameters(&member->output, object, ret_field);
}

int varlink_interface_check_error(const VarlinkInterface *interface, const char *error, const JsonValue *object,
                                  const char **ret_field) {
        const IdlMember *member = find_kind(interface, error, IDL_ERROR);

        assert(member);
        return check_parameters(&member->shape, object, ret_field);
}

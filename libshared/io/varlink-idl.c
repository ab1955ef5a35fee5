/* Parser of the Varlink interface definition language.
 *
 *     interface = "interface" NAME member*
 *     member    = "type" Name (struct | enum) | "method" Name struct "->" struct | "error" Name struct
 *     struct    = "(" [ field ":" type { "," field ":" type } ] ")"
 *     enum      = "(" value { "," value } ")"
 *     type      = [ "?" ] [ "[]" | "[string]" ] ( bool | int | float | string | object | Name | struct | enum )
 *
 * Space and comments (# to the end of the line) may stand between any two tokens. The parser goes by recursive
 * descent over the text, one token ahead; every failure names the place of the token at fault. Types may be used
 * before they are defined, so names are looked up at the end. */
#include "io/varlink-idl-tree.h"

#include <ctype.h>
#include <errno.h>
#include <string.h>

#include "base/text.h"

typedef struct Parser {
        const char *text;
        size_t offset;            /* of the token */
        size_t size;              /* of the token, 0 at the end of the text */
        size_t failed_at;
        const char *reason;
} Parser;

static int parser_fail_at(Parser *parser, size_t offset, const char *reason) {
        parser->failed_at = offset;
        parser->reason = reason;
        return -EBADMSG;
}

static int parser_fail(Parser *parser, const char *reason) {
        return parser_fail_at(parser, parser->offset, reason);
}

static bool is_word(char c) {
        return isalnum((unsigned char) c) || c == '_';
}

/* A word's bytes: letters, digits and underscores; in an interface's name dots and dashes too. */
static size_t token_size(const char *p, bool dotted) {
        size_t size = 0;

        while (is_word(p[size]) || (dotted && p[size] != 0 && strchr(".-", p[size])))
                size++;
        if (size > 0 || *p == 0)
                return size;
        return strncmp(p, "->", 2) == 0 ? 2 : 1;
}

static void parser_read(Parser *parser, bool dotted) {
        const char *p = parser->text + parser->offset + parser->size;

        for (;;) {
                p += strspn(p, " \t\r\n");
                if (*p != '#')
                        break;
                p += strcspn(p, "\n");
        }
        parser->offset = (size_t) (p - parser->text);
        parser->size = token_size(p, dotted);
}

static void parser_next(Parser *parser) {
        parser_read(parser, false);
}

static bool parser_sees(const Parser *parser, const char *token) {
        return strlen(token) == parser->size && memcmp(parser->text + parser->offset, token, parser->size) == 0;
}

static bool parser_accepts(Parser *parser, const char *token) {
        if (!parser_sees(parser, token))
                return false;
        parser_next(parser);
        return true;
}

static int parser_expects(Parser *parser, const char *token, const char *reason) {
        return parser_accepts(parser, token) ? 0 : parser_fail(parser, reason);
}

/* ---------------------------------------------------------------- names */

/* [A-Za-z](_?[A-Za-z0-9])* */
static bool field_name_valid(const char *p, size_t size) {
        if (size == 0 || !isalpha((unsigned char) p[0]) || p[size - 1] == '_')
                return false;
        for (size_t i = 1; i < size; i++)
                if (!is_word(p[i]) || (p[i] == '_' && p[i - 1] == '_'))
                        return false;
        return true;
}

/* [A-Z][A-Za-z0-9]* */
static bool member_name_valid(const char *p, size_t size) {
        if (size == 0 || !isupper((unsigned char) p[0]))
                return false;
        for (size_t i = 1; i < size; i++)
                if (!isalnum((unsigned char) p[i]))
                        return false;
        return true;
}

/* Reverse domain: two labels or more of letters and digits with single dashes inside, beginning with a letter. */
static bool interface_name_valid(const char *p, size_t size) {
        bool dots = false;

        if (size == 0 || !isalpha((unsigned char) p[0]) || !isalnum((unsigned char) p[size - 1]))
                return false;
        for (size_t i = 1; i < size; i++) {
                if (p[i] == '_' || (!isalnum((unsigned char) p[i]) && !isalnum((unsigned char) p[i - 1])))
                        return false;
                dots = dots || p[i] == '.';
        }
        return dots;
}

static int parser_take_name(Parser *parser, bool (*valid)(const char *p, size_t size), const char *reason,
                            char **ret) {
        const char *p = parser->text + parser->offset;

        if (!valid(p, parser->size))
                return parser_fail(parser, reason);

        *ret = strndup(p, parser->size);
        if (!*ret)
                return -ENOMEM;
        parser_next(parser);
        return 0;
}

/* ---------------------------------------------------------------- structs, enums, types */

static void shape_done(IdlShape *shape) {
        for (size_t i = 0; i < shape->n_fields; i++) {
                free(shape->fields[i].name);
                free(shape->fields[i].type.name);
                shape_done(&shape->fields[i].type.shape);
        }
        free(shape->fields);
        *shape = (IdlShape) {};
}

static int parse_shape(Parser *parser, unsigned depth, IdlShape *shape);

static int parse_container(Parser *parser, IdlType *type) {
        int r;

        if (parser_accepts(parser, "?"))
                type->nullable = true;
        if (!parser_accepts(parser, "["))
                return 0;

        type->container = parser_accepts(parser, "string") ? IDL_MAP : IDL_ARRAY;
        r = parser_expects(parser, "]", "expected \"[]\" or \"[string]\"");
        if (r < 0)
                return r;
        if (parser_sees(parser, "["))
                return parser_fail(parser, "an array or map of arrays or maps");
        if (parser_sees(parser, "?"))
                return parser_fail(parser, "\"?\" stands before the container");
        return 0;
}

static int parse_type(Parser *parser, unsigned depth, IdlType *type) {
        static const char *const words[] = {
                [IDL_BOOL] = "bool", [IDL_INT] = "int", [IDL_FLOAT] = "float",
                [IDL_STRING] = "string", [IDL_OBJECT] = "object",
        };
        int r;

        r = parse_container(parser, type);
        if (r < 0)
                return r;

        if (parser_sees(parser, "(")) {
                r = parse_shape(parser, depth + 1, &type->shape);
                type->kind = type->shape.kind;
                return r;
        }
        for (size_t i = 0; i < ELEMENTS(words); i++)
                if (parser_accepts(parser, words[i])) {
                        type->kind = (IdlKind) i;
                        return 0;
                }

        type->kind = IDL_NAMED;
        type->offset = parser->offset;
        return parser_take_name(parser, member_name_valid, "expected a type", &type->name);
}

static int shape_add_field(Parser *parser, IdlShape *shape, IdlField **ret) {
        size_t offset = parser->offset;
        IdlField *fields, *field;
        int r;

        if (shape->n_fields >= IDL_FIELDS_MAX)
                return parser_fail(parser, "too many fields");
        fields = reallocarray(shape->fields, shape->n_fields + 1, sizeof(IdlField));
        if (!fields)
                return -ENOMEM;

        shape->fields = fields;
        field = &fields[shape->n_fields];
        *field = (IdlField) {};
        r = parser_take_name(parser, field_name_valid, "expected the name of a field", &field->name);
        if (r < 0)
                return r;

        shape->n_fields++;
        for (size_t i = 0; i + 1 < shape->n_fields; i++)
                if (text_equal(fields[i].name, field->name))
                        return parser_fail_at(parser, offset, "doubled name of a field");
        *ret = field;
        return 0;
}

/* Struct or enum: the colon behind the first name tells. */
static int parse_shape(Parser *parser, unsigned depth, IdlShape *shape) {
        IdlField *field;
        int r;

        shape->kind = IDL_STRUCT;
        if (depth > VARLINK_IDL_DEPTH_MAX)
                return parser_fail(parser, "nested too deeply");
        r = parser_expects(parser, "(", "expected \"(\"");
        if (r < 0 || parser_accepts(parser, ")"))
                return r;

        do {
                r = shape_add_field(parser, shape, &field);
                if (r < 0)
                        return r;
                if (shape->n_fields == 1 && !parser_sees(parser, ":"))
                        shape->kind = IDL_ENUM;
                if (shape->kind == IDL_ENUM)
                        continue;

                r = parser_expects(parser, ":", "expected \":\"");
                if (r < 0)
                        return r;
                r = parse_type(parser, depth, &field->type);
                if (r < 0)
                        return r;
        } while (parser_accepts(parser, ","));

        return parser_expects(parser, ")", "expected \",\" or \")\"");
}

static int parse_struct(Parser *parser, IdlShape *shape) {
        size_t offset = parser->offset;
        int r;

        r = parse_shape(parser, 1, shape);
        if (r < 0)
                return r;
        if (shape->kind != IDL_STRUCT)
                return parser_fail_at(parser, offset, "expected a struct, this is an enum");
        return 0;
}

/* ---------------------------------------------------------------- members */

static int parse_member(Parser *parser, IdlMember *member) {
        int r;

        if (parser_accepts(parser, "type"))
                member->kind = IDL_TYPE;
        else if (parser_accepts(parser, "method"))
                member->kind = IDL_METHOD;
        else if (parser_accepts(parser, "error"))
                member->kind = IDL_ERROR;
        else
                return parser_fail(parser, "expected \"type\", \"method\" or \"error\"");

        member->offset = parser->offset;
        r = parser_take_name(parser, member_name_valid, "expected a name that begins with a capital", &member->name);
        if (r < 0)
                return r;

        r = member->kind == IDL_TYPE ? parse_shape(parser, 1, &member->shape) : parse_struct(parser, &member->shape);
        if (r < 0 || member->kind != IDL_METHOD)
                return r;

        r = parser_expects(parser, "->", "expected \"->\"");
        if (r < 0)
                return r;
        return parse_struct(parser, &member->output);
}

static int interface_grow(VarlinkInterface *interface) {
        size_t allocated = interface->n_allocated * 2 ?: 16;
        IdlMember *members;

        if (interface->n_members < interface->n_allocated)
                return 0;

        members = reallocarray(interface->members, allocated, sizeof(IdlMember));
        if (!members)
                return -ENOMEM;
        interface->members = members;
        interface->n_allocated = allocated;
        return 0;
}

static int parse_interface(Parser *parser, VarlinkInterface *interface) {
        int r;

        parser_next(parser);
        if (!parser_sees(parser, "interface"))
                return parser_fail(parser, "expected \"interface\"");
        parser_read(parser, true);
        r = parser_take_name(parser, interface_name_valid, "expected the interface's name, a reverse domain",
                             &interface->name);
        if (r < 0)
                return r;

        while (parser->size > 0) {
                r = interface_grow(interface);
                if (r < 0)
                        return r;

                IdlMember *member = &interface->members[interface->n_members++];
                *member = (IdlMember) {};
                r = parse_member(parser, member);
                if (r < 0)
                        return r;
        }
        return 0;
}

/* ---------------------------------------------------------------- names to what they mean */

static int member_compare(const void *a, const void *b) {
        const IdlMember *x = a, *y = b;

        return strcmp(x->name, y->name) ?: (x->offset > y->offset) - (x->offset < y->offset);
}

static int sort_members(Parser *parser, VarlinkInterface *interface) {
        size_t doubled = SIZE_MAX;

        if (interface->n_members == 0)
                return 0;

        qsort(interface->members, interface->n_members, sizeof(IdlMember), member_compare);
        for (size_t i = 1; i < interface->n_members; i++)
                if (text_equal(interface->members[i - 1].name, interface->members[i].name))
                        doubled = MIN(doubled, interface->members[i].offset);
        return doubled == SIZE_MAX ? 0 : parser_fail_at(parser, doubled, "doubled name");
}

const IdlMember *idl_find_member(const VarlinkInterface *interface, const char *name) {
        size_t low = 0, high = interface->n_members;

        while (low < high) {
                size_t middle = low + (high - low) / 2;
                int order = strcmp(name, interface->members[middle].name);

                if (order == 0)
                        return &interface->members[middle];
                if (order < 0)
                        high = middle;
                else
                        low = middle + 1;
        }
        return NULL;
}

static int resolve_shape(Parser *parser, const VarlinkInterface *interface, IdlShape *shape) {
        for (size_t i = 0; i < shape->n_fields; i++) {
                IdlType *type = &shape->fields[i].type;
                int r = 0;

                if (type->name) {
                        type->member = idl_find_member(interface, type->name);
                        if (!type->member || type->member->kind != IDL_TYPE)
                                r = parser_fail_at(parser, type->offset, "no type of this name");
                } else
                        r = resolve_shape(parser, interface, &type->shape);
                if (r < 0)
                        return r;
        }
        return 0;
}

static int resolve_members(Parser *parser, const VarlinkInterface *interface) {
        for (size_t i = 0; i < interface->n_members; i++) {
                int r;

                r = resolve_shape(parser, interface, &interface->members[i].shape);
                if (r < 0)
                        return r;
                r = resolve_shape(parser, interface, &interface->members[i].output);
                if (r < 0)
                        return r;
        }
        return 0;
}

/* ---------------------------------------------------------------- the interface */

static void parser_locate(const Parser *parser, VarlinkIdlError *error) {
        *error = (VarlinkIdlError) { .line = 1, .column = 1, .reason = parser->reason };
        for (size_t i = 0; i < parser->failed_at; i++) {
                error->column++;
                if (parser->text[i] == '\n') {
                        error->line++;
                        error->column = 1;
                }
        }
}

static int interface_parse(Parser *parser, VarlinkInterface *interface) {
        size_t size = strlen(parser->text);
        int r;

        if (size > VARLINK_IDL_BYTES_MAX)
                return parser_fail_at(parser, 0, "too long");
        if (!utf8_valid(parser->text, size))
                return parser_fail_at(parser, 0, "not UTF-8");

        r = parse_interface(parser, interface);
        if (r < 0)
                return r;
        r = sort_members(parser, interface);
        if (r < 0)
                return r;
        r = resolve_members(parser, interface);
        if (r < 0)
                return r;

        interface->text = strdup(parser->text);
        return interface->text ? 0 : -ENOMEM;
}

int varlink_interface_parse(const char *text, VarlinkInterface **ret, VarlinkIdlError *error) {
        _cleanup_(varlink_interface_freep) VarlinkInterface *interface = NULL;
        Parser parser = { .text = text };
        int r;

        interface = calloc(1, sizeof(*interface));
        if (!interface)
                return -ENOMEM;

        r = interface_parse(&parser, interface);
        if (r == -EBADMSG && error)
                parser_locate(&parser, error);
        if (r < 0)
                return r;

        *ret = TAKE_PTR(interface);
        return 0;
}

VarlinkInterface *varlink_interface_free(VarlinkInterface *interface) {
        if (!interface)
                return NULL;

        for (size_t i = 0; i < interface->n_members; i++) {
                free(interface->members[i].name);
                shape_done(&interface->members[i].shape);
                shape_done(&interface->members[i].output);
        }
        free(interface->members);
        free(interface->name);
        free(interface->text);
        free(interface);
        return NULL;
}

const char *varlink_interface_name(const VarlinkInterface *interface) {
        return interface->name;
}

const char *varlink_interface_text(const VarlinkInterface *interface) {
        return interface->text;
}

/* The parsed form of an interface, shared by the parser and the checks and by nobody else. */
#pragma once

#include "io/varlink-idl.h"

#define IDL_FIELDS_MAX 128  /* of one struct or enum */

typedef enum IdlKind {
        IDL_BOOL,
        IDL_INT,
        IDL_FLOAT,
        IDL_STRING,
        IDL_OBJECT,
        IDL_NAMED,   /* a type of the same interface */
        IDL_STRUCT,  /* written in place */
        IDL_ENUM,
} IdlKind;

typedef enum IdlContainer {
        IDL_SINGLE,
        IDL_ARRAY,
        IDL_MAP,
} IdlContainer;

typedef struct IdlField IdlField;
typedef struct IdlMember IdlMember;

/* The fields of a struct, or the values of an enum (then without types). */
typedef struct IdlShape {
        IdlKind kind;  /* IDL_STRUCT or IDL_ENUM */
        IdlField *fields;
        size_t n_fields;
} IdlShape;

typedef struct IdlType {
        IdlKind kind;
        IdlContainer container;
        bool nullable;
        char *name;               /* IDL_NAMED */
        size_t offset;            /* where the name is written */
        const IdlMember *member;  /* what the name means */
        IdlShape shape;           /* IDL_STRUCT, IDL_ENUM */
} IdlType;

struct IdlField {
        char *name;
        IdlType type;
};

typedef enum IdlMemberKind {
        IDL_TYPE,
        IDL_METHOD,
        IDL_ERROR,
} IdlMemberKind;

struct IdlMember {
        IdlMemberKind kind;
        char *name;
        size_t offset;
        IdlShape shape;   /* the type, the method's input, the error's parameters */
        IdlShape output;  /* of a method */
};

struct VarlinkInterface {
        char *text, *name;
        IdlMember *members;  /* sorted by name */
        size_t n_members, n_allocated;
};

const IdlMember *idl_find_member(const VarlinkInterface *interface, const char *name);

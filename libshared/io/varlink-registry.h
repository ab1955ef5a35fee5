/* The interfaces that a Varlink server offers and the handlers of their methods. */
#pragma once

#include "base/macro.h"
#include "io/varlink-idl.h"
#include "io/varlink-server.h"

typedef struct VarlinkRegistry VarlinkRegistry;

int varlink_registry_new(VarlinkRegistry **ret);
VarlinkRegistry *varlink_registry_free(VarlinkRegistry *registry);
DEFINE_CLEANUP(VarlinkRegistry *, varlink_registry_free);

/* As varlink_server_add_interface(). */
int varlink_registry_add(VarlinkRegistry *registry, const char *text, const VarlinkMethod *methods, void *userdata);

size_t varlink_registry_count(const VarlinkRegistry *registry);
const VarlinkInterface *varlink_registry_interface(const VarlinkRegistry *registry, size_t index);
const VarlinkInterface *varlink_registry_find_interface(const VarlinkRegistry *registry, const char *name);

/* Where a call goes. */
typedef struct VarlinkTarget {
        const VarlinkInterface *interface;
        const VarlinkMethod *method;
        void *userdata;
} VarlinkTarget;

enum {
        VARLINK_NO_INTERFACE = 1,
        VARLINK_NO_METHOD,
        VARLINK_NOT_IMPLEMENTED,
};

/* 0, or an outcome as above. */
int varlink_registry_find(const VarlinkRegistry *registry, const char *qualified, VarlinkTarget *ret);

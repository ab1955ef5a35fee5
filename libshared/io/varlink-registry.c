#include "io/varlink-registry.h"

#include <errno.h>
#include <string.h>

#include "base/log.h"
#include "base/text.h"

typedef struct Entry {
        VarlinkInterface *interface;
        const VarlinkMethod *methods;
        void *userdata;
} Entry;

struct VarlinkRegistry {
        Entry *entries;
        size_t n_entries;
};

int varlink_registry_new(VarlinkRegistry **ret) {
        *ret = calloc(1, sizeof(VarlinkRegistry));
        return *ret ? 0 : -ENOMEM;
}

VarlinkRegistry *varlink_registry_free(VarlinkRegistry *registry) {
        if (!registry)
                return NULL;

        for (size_t i = 0; i < registry->n_entries; i++)
                varlink_interface_free(registry->entries[i].interface);
        free(registry->entries);
        free(registry);
        return NULL;
}

int varlink_registry_add(VarlinkRegistry *registry, const char *text, const VarlinkMethod *methods, void *userdata) {
        _cleanup_(varlink_interface_freep) VarlinkInterface *interface = NULL;
        VarlinkIdlError error;
        Entry *entries;
        int r;

        r = varlink_interface_parse(text, &interface, &error);
        if (r == -EBADMSG)
                log_debug("bad Varlink interface: %u:%u: %s", error.line, error.column, error.reason);
        if (r < 0)
                return r;
        if (varlink_registry_find_interface(registry, varlink_interface_name(interface)))
                return -EEXIST;
        for (const VarlinkMethod *m = methods; m->name; m++)
                if (!varlink_interface_has_method(interface, m->name))
                        return -EINVAL;

        entries = reallocarray(registry->entries, registry->n_entries + 1, sizeof(Entry));
        if (!entries)
                return -ENOMEM;
        registry->entries = entries;
        entries[registry->n_entries++] =
                (Entry) { .interface = TAKE_PTR(interface), .methods = methods, .userdata = userdata };
        return 0;
}

size_t varlink_registry_count(const VarlinkRegistry *registry) {
        return registry->n_entries;
}

const VarlinkInterface *varlink_registry_interface(const VarlinkRegistry *registry, size_t index) {
        return registry->entries[index].interface;
}

static const Entry *find_entry(const VarlinkRegistry *registry, const char *name, size_t length) {
        for (size_t i = 0; i < registry->n_entries; i++) {
                const char *known = varlink_interface_name(registry->entries[i].interface);

                if (strncmp(known, name, length) == 0 && known[length] == 0)
                        return &registry->entries[i];
        }
        return NULL;
}

const VarlinkInterface *varlink_registry_find_interface(const VarlinkRegistry *registry, const char *name) {
        const Entry *entry = find_entry(registry, name, strlen(name));

        return entry ? entry->interface : NULL;
}

int varlink_registry_find(const VarlinkRegistry *registry, const char *qualified, VarlinkTarget *ret) {
        const char *dot = strrchr(qualified, '.');
        const Entry *entry;

        entry = dot ? find_entry(registry, qualified, (size_t) (dot - qualified)) : NULL;
        if (!entry)
                return VARLINK_NO_INTERFACE;

        for (const VarlinkMethod *m = entry->methods; m->name; m++)
                if (text_equal(m->name, dot + 1)) {
                        *ret = (VarlinkTarget) {
                                .interface = entry->interface,
                                .method = m,
                                .userdata = entry->userdata,
                        };
                        return 0;
                }
        return varlink_interface_has_method(entry->interface, dot + 1) ? VARLINK_NOT_IMPLEMENTED : VARLINK_NO_METHOD;
}

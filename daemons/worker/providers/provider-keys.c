#include "providers/provider-keys.h"

#include <errno.h>
#include <string.h>

#include "base/secret-pages.h"
#include "base/text.h"

static int copy_text(ProviderKey *key, const char *text) {
        size_t size = strlen(text) + 1;
        void *pages;
        int r;

        r = secret_pages_new(&pages, size);
        if (r < 0)
                return r;
        key->text = strcpy(pages, text);
        key->bytes = size;
        return 0;
}

int provider_keys_add(ProviderKeys *keys, const char *text) {
        ProviderKey key = {};
        int r;

        if (keys->count == KEYS_MAX)
                return -E2BIG;
        if (!text_empty(text)) {
                r = copy_text(&key, text);
                if (r < 0)
                        return r;
        }
        keys->keys[keys->count++] = key;
        return 0;
}

void provider_keys_done(ProviderKeys *keys) {
        for (unsigned i = 0; i < keys->count; i++) {
                ProviderKey *key = &keys->keys[i];

                key->text = secret_pages_free(key->text, key->bytes);
        }
        *keys = (ProviderKeys) {};
}

bool provider_keys_present(const ProviderKeys *keys) {
        for (unsigned i = 0; i < keys->count; i++)
                if (keys->keys[i].text)
                        return true;
        return false;
}

KeyFault provider_keys_fault(const ProviderKeys *keys, unsigned number, usec_t now) {
        const ProviderKey *key;

        if (number == 0 || number > keys->count)
                return KEY_FAULT_NONE;
        key = &keys->keys[number - 1];
        return now >= key->until ? KEY_FAULT_NONE : key->fault;
}

unsigned provider_keys_choose(const ProviderKeys *keys, usec_t now) {
        for (unsigned number = 1; number <= keys->count; number++)
                if (keys->keys[number - 1].text && provider_keys_fault(keys, number, now) == KEY_FAULT_NONE)
                        return number;
        return 0;
}

bool provider_keys_set_aside(ProviderKeys *keys, unsigned number, KeyFault fault, usec_t now) {
        ProviderKey *key;

        if (number == 0 || number > keys->count || provider_keys_fault(keys, number, now) != KEY_FAULT_NONE)
                return false;
        key = &keys->keys[number - 1];
        key->fault = fault;
        key->until = now + (fault == KEY_FAULT_SPENT ? KEY_SPENT_USEC : KEY_REFUSED_USEC);
        return true;
}

int provider_keys_describe(const ProviderKeys *keys, usec_t now, Buffer *text) {
        static const char *const faults[] = {
                [KEY_FAULT_REFUSED] = "refused",
                [KEY_FAULT_SPENT] = "out of quota",
        };

        for (unsigned number = 1; number <= keys->count; number++) {
                KeyFault fault = provider_keys_fault(keys, number, now);
                bool missing = !keys->keys[number - 1].text;
                int r;

                if (fault == KEY_FAULT_NONE && !missing)
                        continue;
                r = buffer_printf(text, "%skey %u of %u %s", text->size > 0 ? ", " : "", number, keys->count,
                                  missing ? "missing" : faults[fault]);
                if (r < 0)
                        return r;
        }
        return 0;
}

#include "forwarded.h"

#include <arpa/inet.h>
#include <string.h>
#include <strings.h>

#include "base/network-list.h"

#define BLANKS " \t"
#define ENTRY_BYTES_MAX (INET6_ADDRSTRLEN + sizeof("[]:65535"))

/* The entry that ends before `end`, without blanks around it; "" for one that is too long. Returns where it begins. */
static const char *entry_before(const char *list, const char *end, char ret[static ENTRY_BYTES_MAX]) {
        const char *begin = end, *first, *last = end;

        while (begin > list && begin[-1] != ',')
                begin--;
        first = begin + strspn(begin, BLANKS);
        while (last > first && strchr(BLANKS, last[-1]))
                last--;
        *ret = 0;
        if (first < last && (size_t) (last - first) < ENTRY_BYTES_MAX)
                *(char *) mempcpy(ret, first, (size_t) (last - first)) = 0;
        return begin;
}

/* "192.0.2.1:4711" → "192.0.2.1", "[2001:db8::1]:4711" → "2001:db8::1". */
static char *without_port(char *entry) {
        char *colon = strchr(entry, ':');

        if (*entry == '[') {
                entry[strcspn(entry, "]")] = 0;
                return entry + 1;
        }
        if (colon && !strchr(colon + 1, ':'))
                *colon = 0;
        return entry;
}

static bool is_address(const char *text) {
        struct in6_addr buffer;

        return inet_pton(AF_INET, text, &buffer) == 1 || inet_pton(AF_INET6, text, &buffer) == 1;
}

bool forwarded_is_trusted(const char *address, char *const *trusted) {
        for (; trusted && *trusted; trusted++)
                if (network_list_contains(*trusted, address))
                        return true;
        return false;
}

bool forwarded_address(const char *list, char *const *trusted, char ret[static INET6_ADDRSTRLEN]) {
        const char *end = list + strlen(list);

        for (;;) {
                char entry[ENTRY_BYTES_MAX], *address;
                const char *begin = entry_before(list, end, entry);

                address = without_port(entry);
                if (!is_address(address))
                        return false;
                if (!forwarded_is_trusted(address, trusted)) {
                        (void) strcpy(ret, address);
                        return true;
                }
                if (begin == list)
                        return false;
                end = begin - 1;
        }
}

bool forwarded_is_https(const char *list) {
        char entry[ENTRY_BYTES_MAX];

        (void) entry_before(list, list + strlen(list), entry);
        return strcasecmp(entry, "https") == 0;
}

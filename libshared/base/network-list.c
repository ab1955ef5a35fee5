#include "base/network-list.h"

#include <arpa/inet.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include "base/text.h"

#define ADDRESS_BYTES 16
#define ADDRESS_BITS (8 * ADDRESS_BYTES)
#define IPV4_BITS 32
#define ENTRY_CHARS_MAX (INET6_ADDRSTRLEN + sizeof("/128"))

/* All are IPv6's; IPv4's are mapped (RFC 4291, 2.5.5.2). */
typedef struct Network {
        uint8_t address[ADDRESS_BYTES];
        unsigned prefix;
} Network;

/* *ret_spare is how many bits of an IPv6 address come before its own. */
static bool parse_address(const char *text, uint8_t ret[static ADDRESS_BYTES], unsigned *ret_spare) {
        static const uint8_t mapped[] = { 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff };

        *ret_spare = 0;
        if (inet_pton(AF_INET6, text, ret) == 1)
                return true;
        memcpy(ret, mapped, sizeof(mapped));
        *ret_spare = ADDRESS_BITS - IPV4_BITS;
        return inet_pton(AF_INET, text, ret + sizeof(mapped)) == 1;
}

static bool has_bits_beyond(const Network *network) {
        for (unsigned bit = network->prefix; bit < ADDRESS_BITS; bit++)
                if (network->address[bit / 8] & 0x80 >> bit % 8)
                        return true;
        return false;
}

static bool parse_network(const char *text, Network *ret) {
        char address[ENTRY_CHARS_MAX];
        size_t length = strcspn(text, "/");
        uint64_t prefix;
        unsigned spare;

        if (length >= sizeof(address))
                return false;
        *(char *) mempcpy(address, text, length) = 0;
        if (!parse_address(address, ret->address, &spare))
                return false;
        ret->prefix = ADDRESS_BITS;
        if (text[length] == 0)
                return true;
        if (text_to_unsigned(text + length + 1, ADDRESS_BITS - spare, &prefix) < 0)
                return false;
        ret->prefix = spare + (unsigned) prefix;
        return !has_bits_beyond(ret);
}

bool network_valid(const char *text) {
        Network network;

        return text_equal(text, NETWORK_UNIX) || parse_network(text, &network);
}

static bool network_contains(const Network *network, const uint8_t address[static ADDRESS_BYTES]) {
        unsigned whole = network->prefix / 8, rest = network->prefix % 8;

        return memcmp(network->address, address, whole) == 0 &&
               (rest == 0 || (network->address[whole] ^ address[whole]) >> (8 - rest) == 0);
}

bool network_list_contains(const char *list, const char *address) {
        bool is_unix = text_equal(address, NETWORK_UNIX), is_address;
        uint8_t bytes[ADDRESS_BYTES];
        unsigned spare;

        is_address = !is_unix && address && parse_address(address, bytes, &spare);
        for (const char *p = list; *p;) {
                size_t n = strcspn(p, ",");
                char entry[ENTRY_CHARS_MAX];
                Network network;

                (void) snprintf(entry, sizeof(entry), "%.*s", (int) n, p);
                if (n < sizeof(entry) && is_unix && text_equal(entry, NETWORK_UNIX))
                        return true;
                if (n < sizeof(entry) && is_address && parse_network(entry, &network) && network_contains(&network, bytes))
                        return true;
                p += n + (p[n] == ',');
        }
        return false;
}

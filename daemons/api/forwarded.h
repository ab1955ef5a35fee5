/* What a proxy says of the client for which it asks: X-Forwarded-For and X-Forwarded-Proto, as nginx, HAProxy, Envoy and the
 * balancers of clouds write them. Both are lists with commas to whose end each proxy adds; what stands further left may have
 * been written by the client itself. */
#pragma once

#include <netinet/in.h>
#include <stdbool.h>

/* The last address that is none of `trusted` (networks of network-list.h, ended by NULL; may be NULL). False, and nothing is
 * written, where there is none or something else stands in its place. A port behind the address is left out. */
bool forwarded_address(const char *list, char *const *trusted, char ret[static INET6_ADDRSTRLEN]);

/* Whether the last entry is "https". */
bool forwarded_is_https(const char *list);

/* Whether one of the networks holds the address. */
bool forwarded_is_trusted(const char *address, char *const *trusted);

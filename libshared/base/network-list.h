/* From where a key may be used: addresses and networks (RFC 4632, RFC 4291), and the Unix socket, divided by commas:
 *
 *     127.0.0.0/8,::1,192.0.2.17,unix */
#pragma once

#include <stdbool.h>

#define NETWORK_UNIX "unix"

/* One entry of a list. A network whose address has bits beyond its prefix is none: it is mistyped. */
bool network_valid(const char *text);

/* Whether one entry of the list holds the address; NETWORK_UNIX is that of the socket. An IPv4 address is the same in IPv6's
 * notation (::ffff:192.0.2.17). What is no address is in no list. */
bool network_list_contains(const char *list, const char *address);

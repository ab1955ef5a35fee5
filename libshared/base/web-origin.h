/* Origins of the web, as browsers write them in Origin (RFC 6454, 6.2): https://app.example.com, http://localhost:3000. */
#pragma once

#include <stdbool.h>

/* Scheme http or https, a host in lower case, and a port where it is not the scheme's own: the one way in which a browser writes
 * it, so that comparing texts is comparing origins. No path, no "*", no "null". */
bool web_origin_valid(const char *text);

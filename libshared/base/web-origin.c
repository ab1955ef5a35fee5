#include "base/web-origin.h"

#include <string.h>

#include "base/text.h"

#define LOWER_ALNUM "abcdefghijklmnopqrstuvwxyz0123456789"
#define PORT_MAX 65535

/* A name or an address; what it resolves to is of no matter. */
static size_t host_length(const char *host) {
        size_t length;

        if (*host != '[')
                return strspn(host, LOWER_ALNUM ".-_");
        length = strspn(host + 1, "0123456789abcdef:.");
        return length > 0 && host[1 + length] == ']' ? length + 2 : 0;
}

static bool port_valid(const char *text, uint64_t default_port) {
        uint64_t port;

        return *text != '0' && text_to_unsigned(text, PORT_MAX, &port) >= 0 && port != default_port;
}

bool web_origin_valid(const char *text) {
        const char *host = text_after(text, "https://");
        uint64_t default_port = host ? 443 : 80;
        size_t length;

        if (!host)
                host = text_after(text, "http://");
        length = host ? host_length(host) : 0;
        if (length == 0 || *host == '.' || *host == '-')
                return false;
        return host[length] == 0 || (host[length] == ':' && port_valid(host + length + 1, default_port));
}

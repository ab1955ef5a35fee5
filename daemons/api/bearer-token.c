#include "bearer-token.h"

#include <stddef.h>
#include <string.h>
#include <strings.h>

#define SCHEME "Bearer"

static size_t visible_length(const char *text) {
        size_t length = 0;

        while (text[length] > ' ' && text[length] < 0x7f)
                length++;
        return length;
}

const char *bearer_token(const char *field) {
        const char *token;
        size_t length;

        if (!field || strncasecmp(field, SCHEME " ", strlen(SCHEME " ")) != 0)
                return NULL;
        token = field + strlen(SCHEME);
        token += strspn(token, " ");
        if (!*token)
                return NULL;
        length = visible_length(token);
        return token[length] || length > BEARER_TOKEN_BYTES_MAX ? "" : token;
}

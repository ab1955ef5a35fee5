#include "url-mask.h"

#include <string.h>

#define DELIMITERS "/?&=#:;@"

/* The text may have been cut within it. */
static void mask_beginning(char *text, const char *part, size_t length) {
        size_t size = strlen(text);

        for (size_t n = length - 1; n >= URL_MASK_PART_MIN; n--)
                if (n <= size && memcmp(text + size - n, part, n) == 0) {
                        memset(text + size - n, '*', n);
                        return;
                }
}

static void mask_part(char *text, const char *part, size_t length) {
        char *found = text;

        if (length < URL_MASK_PART_MIN)
                return;
        while ((found = memmem(found, strlen(found), part, length))) {
                memset(found, '*', length);
                found += length;
        }
        mask_beginning(text, part, length);
}

static void mask_parts(char *text, const char *url, const char *end) {
        while (url < end) {
                size_t length = strcspn(url, DELIMITERS);

                length = length < (size_t) (end - url) ? length : (size_t) (end - url);
                mask_part(text, url, length);
                url += length + 1;
        }
}

void url_mask(char *text, const char *url) {
        const char *scheme = strstr(url, "://"), *authority = scheme ? scheme + strlen("://") : url;
        const char *path = authority + strcspn(authority, "/?#"), *at = memrchr(authority, '@', (size_t) (path - authority));

        if (at)
                mask_parts(text, authority, at);
        mask_parts(text, path, path + strlen(path));
}

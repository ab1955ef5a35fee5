#include "http-framing.h"

#include <string.h>
#include <strings.h>

#include "base/macro.h"

typedef struct Framing {
        unsigned hosts, lengths, encodings;
        const char *problem;
} Framing;

/* RFC 9110, 5.6.2 */
static bool is_token(const char *text, size_t size) {
        static const char others[] = "!#$%&'*+-.^_`|~";

        for (size_t i = 0; i < size; i++) {
                char c = text[i], lower = (char) (c | 0x20);

                if (!(c >= '0' && c <= '9') && !(lower >= 'a' && lower <= 'z') && (c == '\0' || !strchr(others, c)))
                        return false;
        }
        return size > 0;
}

static bool is_named(const char *name, size_t size, const char *wanted) {
        return size == strlen(wanted) && strncasecmp(name, wanted, size) == 0;
}

static enum MHD_Result look(void *userdata, _unused_ enum MHD_ValueKind kind, const char *name, size_t name_size,
                            const char *value, _unused_ size_t value_size) {
        Framing *framing = userdata;

        if (!is_token(name, name_size))
                framing->problem = "a field's name is not a token";
        else if (is_named(name, name_size, MHD_HTTP_HEADER_HOST))
                framing->hosts++;
        else if (is_named(name, name_size, MHD_HTTP_HEADER_CONTENT_LENGTH))
                framing->lengths++;
        else if (is_named(name, name_size, MHD_HTTP_HEADER_TRANSFER_ENCODING)) {
                framing->encodings++;
                if (!value || strcasecmp(value, "chunked") != 0)
                        framing->problem = "Transfer-Encoding may only be chunked";
        }
        return framing->problem ? MHD_NO : MHD_YES;
}

const char *http_framing_problem(struct MHD_Connection *mhd) {
        Framing framing = {};

        (void) MHD_get_connection_values_n(mhd, MHD_HEADER_KIND, look, &framing);
        if (framing.problem)
                return framing.problem;
        if (framing.hosts > 1)
                return "more than one Host";
        return framing.lengths + framing.encodings > 1 ? "more than one Content-Length or Transfer-Encoding" : NULL;
}

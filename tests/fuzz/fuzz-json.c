/* What json_check() takes, cJSON parses, and formatting it and parsing it again changes nothing. */
#include <errno.h>
#include <string.h>

#include "base/json.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* A broken promise ends the program also where assert() is compiled out. */
static void require(bool kept) {
        if (!kept)
                abort();
}

static void require_refused(const JsonError *error, size_t size) {
        require(error->offset <= size && error->reason && *error->reason);
}

static char *reformat(const char *text, JsonValue **ret) {
        char *formatted;

        require(json_parse(text, strlen(text), ret, NULL) == 0);
        formatted = json_format(*ret);
        require(formatted);
        return formatted;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
        _cleanup_(json_freep) JsonValue *value = NULL, *again = NULL;
        _cleanup_free_ char *text = NULL, *same = NULL;
        JsonError error = {};

        if (json_check((const char *) data, size, &error) < 0) {
                require_refused(&error, size);
                require(json_parse((const char *) data, size, &value, NULL) == -EBADMSG);
                return 0;
        }

        require(json_parse((const char *) data, size, &value, NULL) == 0);
        text = json_format(value);
        require(text);
        same = reformat(text, &again);
        require(cJSON_Compare(value, again, true));
        require(strcmp(text, same) == 0);
        return 0;
}

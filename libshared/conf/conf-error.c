#include "conf/conf-error.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "conf/conf-value.h"

#define SHOWN_BYTES_MAX 60  /* of a wrong value */

int conf_place_format(const ConfPlace *place, Buffer *buffer) {
        if (place->text)
                return buffer_append_text(buffer, place->text);
        if (!place->file)
                return buffer_printf(buffer, "environment variable %s", place->variable);
        if (place->line > 0)
                return buffer_printf(buffer, "%s:%u", place->file, place->line);
        return buffer_append_text(buffer, place->file);
}

static int append_place(Buffer *errors, const ConfPlace *place) {
        int r = conf_place_format(place, errors);

        return r < 0 ? r : buffer_append_text(errors, ": ");
}

int conf_error(Buffer *errors, const ConfPlace *place, const char *format, ...) {
        va_list arguments;
        int r;

        r = append_place(errors, place);
        va_start(arguments, format);
        if (r >= 0)
                r = buffer_vprintf(errors, format, arguments);
        va_end(arguments);
        return r < 0 ? r : buffer_append(errors, "\n", 1);
}

int conf_error_value(Buffer *errors, const ConfPlace *place, const char *prefix, const ConfSetting *setting,
                     const char *text, int outcome) {
        int r;

        r = append_place(errors, place);
        if (r >= 0)
                r = buffer_printf(errors, "%s%s: ", prefix, setting->name);
        if (r >= 0)
                r = setting->type == CONF_SECRET ? buffer_append_text(errors, "the value (not shown)")
                                                 : value_quote(text, SHOWN_BYTES_MAX, errors);
        if (r >= 0)
                r = buffer_printf(errors, " %s; expected ",
                                  outcome == VALUE_OUT_OF_RANGE ? "is out of range" : "is not taken");
        if (r >= 0)
                r = value_expect(setting, errors);
        return r < 0 ? r : buffer_append(errors, "\n", 1);
}

/* Levenshtein's distance; both names have at most CONF_NEAREST_BYTES_MAX bytes. */
static size_t distance(const char *a, const char *b) {
        size_t row[CONF_NEAREST_BYTES_MAX + 1], b_length = strlen(b);

        for (size_t j = 0; j <= b_length; j++)
                row[j] = j;

        for (size_t i = 1; a[i - 1]; i++) {
                size_t diagonal = row[0];

                row[0] = i;
                for (size_t j = 1; j <= b_length; j++) {
                        size_t replaced = diagonal + (a[i - 1] != b[j - 1]);
                        size_t moved = MIN(row[j], row[j - 1]) + 1;

                        diagonal = row[j];
                        row[j] = MIN(replaced, moved);
                }
        }
        return row[b_length];
}

const char *conf_nearest(const char *name, const char *const *names, size_t count) {
        size_t length = strlen(name), best;
        const char *nearest = NULL;

        if (length > CONF_NEAREST_BYTES_MAX)
                return NULL;

        /* a third of the letters may differ: "hosst" means "hosts", "port" does not */
        best = MAX(length / 3, (size_t) 1) + 1;
        for (size_t i = 0; i < count; i++) {
                size_t d = strlen(names[i]) > CONF_NEAREST_BYTES_MAX ? best : distance(name, names[i]);

                if (d < best) {
                        best = d;
                        nearest = names[i];
                }
        }
        return nearest;
}

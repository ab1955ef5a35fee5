#include "nearest-name.h"

#include <stdint.h>
#include <string.h>

#include "base/macro.h"
#include "base/text.h"

#define NAME_CHARS_MAX 32  /* of what is compared: no name of ours is longer */

/* Levenshtein's distance, one row of the table at a time. */
static size_t distance(const char *a, const char *b) {
        size_t length = strlen(b), row[NAME_CHARS_MAX + 1];

        for (size_t j = 0; j <= length; j++)
                row[j] = j;
        for (size_t i = 0; a[i]; i++) {
                size_t diagonal = row[0];

                row[0] = i + 1;
                for (size_t j = 1; j <= length; j++) {
                        size_t changed = diagonal + (a[i] != b[j - 1]);
                        size_t added = MIN(row[j], row[j - 1]) + 1;

                        diagonal = row[j];
                        row[j] = MIN(changed, added);
                }
        }
        return row[length];
}

const char *nearest_name(const char *typed, const char *const names[], size_t count) {
        size_t length = strlen(typed), best_distance = SIZE_MAX;
        const char *best = NULL;

        if (length == 0 || length > NAME_CHARS_MAX)
                return NULL;
        for (size_t i = 0; i < count; i++) {
                size_t far;

                if (strlen(names[i]) > NAME_CHARS_MAX)
                        continue;
                far = text_after(names[i], typed) ? 0 : distance(typed, names[i]);
                if (far <= MAX((length + 1) / 3, (size_t) 1) && far < best_distance) {
                        best = names[i];
                        best_distance = far;
                }
        }
        return best;
}

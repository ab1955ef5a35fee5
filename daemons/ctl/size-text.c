#include "size-text.h"

#include <stdio.h>

#include "base/macro.h"

/* A unit is taken up to where rounding would make it four digits before the point. */
char *size_text(uint64_t bytes, char buffer[static SIZE_TEXT_MAX]) {
        static const char *const units[] = { "kB", "MB", "GB", "TB", "PB", "EB" };
        double size = (double) bytes / 1000;
        size_t unit = 0;

        if (bytes < 1000) {
                (void) snprintf(buffer, SIZE_TEXT_MAX, "%u B", (unsigned) bytes);
                return buffer;
        }
        for (; size >= 999.95 && unit + 1 < ELEMENTS(units); unit++)
                size /= 1000;
        (void) snprintf(buffer, SIZE_TEXT_MAX, "%.1f %s", size, units[unit]);
        return buffer;
}

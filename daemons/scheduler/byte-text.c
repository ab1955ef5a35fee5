#include "byte-text.h"

#include <stdio.h>

#include "base/macro.h"

typedef struct ByteUnit {
        const char *name;
        uint64_t size;
        int digits;      /* behind the point */
} ByteUnit;

static const ByteUnit units[] = {
        { "TB", UINT64_C(1000000000000), 1 },
        { "GB", UINT64_C(1000000000), 1 },
        { "MB", UINT64_C(1000000), 1 },
        { "kB", UINT64_C(1000), 0 },
        { "bytes", 1, 0 },
};

static const ByteUnit *unit_of(uint64_t bytes) {
        const ByteUnit *unit = units;

        while (bytes < unit->size && unit->size > 1)
                unit++;
        return unit;
}

char *byte_text(uint64_t bytes, char buffer[static BYTE_TEXT_MAX]) {
        const ByteUnit *unit = unit_of(bytes);

        (void) snprintf(buffer, BYTE_TEXT_MAX, "%.*f %s", unit->digits, (double) bytes / (double) unit->size,
                        unit->name);
        return buffer;
}

char *byte_text_of(uint64_t done, uint64_t total, char buffer[static BYTE_TEXT_MAX]) {
        const ByteUnit *unit = unit_of(total);

        if (total == 0)
                return byte_text(done, buffer);
        (void) snprintf(buffer, BYTE_TEXT_MAX, "%.*f of %.*f %s", unit->digits, (double) done / (double) unit->size,
                        unit->digits, (double) total / (double) unit->size, unit->name);
        return buffer;
}

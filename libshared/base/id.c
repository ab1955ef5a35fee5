#include "base/id.h"

#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/random.h>

#include "base/time.h"

/* One system call serves this many identifiers. */
#define ID_POOL_COUNT 64
#define ID_TIME_BYTES 6
#define ID_RANDOM_BYTES 10

static void take_random(uint8_t bytes[static ID_RANDOM_BYTES]) {
        static __thread uint8_t pool[ID_POOL_COUNT * ID_RANDOM_BYTES];
        static __thread size_t used = sizeof(pool);

        if (used == sizeof(pool)) {
                size_t filled = 0;

                while (filled < sizeof(pool)) {
                        ssize_t n = getrandom(pool + filled, sizeof(pool) - filled, 0);

                        if (n > 0)
                                filled += (size_t) n;
                }
                used = 0;
        }

        memcpy(bytes, pool + used, ID_RANDOM_BYTES);
        explicit_bzero(pool + used, ID_RANDOM_BYTES);
        used += ID_RANDOM_BYTES;
}

char *id_new(char buffer[static ID_TEXT_MAX]) {
        static const char digits[] = "0123456789abcdef";
        uint64_t msec = time_now_realtime() / USEC_PER_MSEC;
        uint8_t bytes[ID_TIME_BYTES + ID_RANDOM_BYTES];

        for (size_t i = 0; i < ID_TIME_BYTES; i++)
                bytes[i] = (uint8_t) (msec >> 8 * (ID_TIME_BYTES - 1 - i));
        take_random(bytes + ID_TIME_BYTES);

        for (size_t i = 0; i < sizeof(bytes); i++) {
                buffer[2 * i] = digits[bytes[i] >> 4];
                buffer[2 * i + 1] = digits[bytes[i] & 15];
        }
        buffer[2 * sizeof(bytes)] = 0;
        return buffer;
}

bool id_valid(const char *text) {
        return strlen(text) == ID_TEXT_MAX - 1 && strspn(text, "0123456789abcdef") == ID_TEXT_MAX - 1;
}

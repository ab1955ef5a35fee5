#include "backoff.h"

#include <sys/random.h>

#include "base/macro.h"

usec_t backoff_pause(usec_t least, usec_t most, int64_t failures) {
        usec_t pause = MIN(least, most);
        uint64_t chance = 0;

        for (int64_t i = 1; i < failures && pause < most; i++)
                pause = pause > most / 2 ? most : pause * 2;
        (void) !getrandom(&chance, sizeof(chance), GRND_NONBLOCK);
        return pause / 2 + chance % (pause / 2 + 1);
}

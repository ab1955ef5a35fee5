#include "dispatch/pacing.h"

/* Of a slot of the minute that ends with slot `last`. */
static uint64_t images_in(const Pacing *pacing, uint64_t number, uint64_t last) {
        size_t i = number % ELEMENTS(pacing->slots);

        return pacing->slots[i].number == number && number + PACING_SLOTS >= last ? pacing->slots[i].images : 0;
}

static bool fits(const Pacing *pacing, uint64_t used, uint64_t images) {
        return used == 0 || used + images <= pacing->images_per_minute;
}

usec_t pacing_wait(const Pacing *pacing, uint64_t images, usec_t now) {
        uint64_t last = now / PACING_SLOT_USEC, first = last > PACING_SLOTS ? last - PACING_SLOTS : 0, used = 0;

        if (pacing->images_per_minute == 0)
                return 0;
        for (uint64_t number = first; number <= last; number++)
                used += images_in(pacing, number, last);
        if (fits(pacing, used, images))
                return 0;

        for (uint64_t number = first; number <= last; number++) {
                used -= images_in(pacing, number, last);
                if (fits(pacing, used, images))
                        return (number + PACING_SLOTS + 1) * PACING_SLOT_USEC;
        }
        return 0;
}

void pacing_take(Pacing *pacing, uint64_t images, usec_t now) {
        uint64_t number = now / PACING_SLOT_USEC;
        size_t i = number % ELEMENTS(pacing->slots);

        if (pacing->slots[i].number != number)
                pacing->slots[i].images = 0;
        pacing->slots[i].number = number;
        pacing->slots[i].images += images;
}

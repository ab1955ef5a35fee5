/* Amounts of bytes for people: "2.1 GB", in powers of 1000. */
#pragma once

#include <stddef.h>
#include <stdint.h>

#define BYTE_TEXT_MAX 48

char *byte_text(uint64_t bytes, char buffer[static BYTE_TEXT_MAX]);

/* "1.2 of 2.1 GB", both in the unit of the total; "1.2 GB" where the total is not known (0). */
char *byte_text_of(uint64_t done, uint64_t total, char buffer[static BYTE_TEXT_MAX]);

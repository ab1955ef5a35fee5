/* Sizes for people: "12.3 MB", in powers of 1000. */
#pragma once

#include <stdint.h>

#define SIZE_TEXT_MAX 32

char *size_text(uint64_t bytes, char buffer[static SIZE_TEXT_MAX]);

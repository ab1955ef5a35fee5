/* Secrets out of log lines, before they leave the machine. Not a wall but a sieve: what is made to look like no secret
 * passes. It rather masks too much.
 *
 * Masked are: tokens after Bearer and Basic; keys with a known beginning (sk-…, xoxb-…, xapp-…, AKIA…, ghp_…, AIza…,
 * JWTs); the path of hooks.slack.com; user and password in a URL; private keys in PEM; the value after a name that has
 * password, secret, token, api key, authorization and the like in it, with = or : between them; and in a line in which
 * such a word or "key" stands, whatever is 40 characters of base64 or hexadecimal without a gap. */
#pragma once

#include <stddef.h>

#define SECRET_MASK "[masked]"

/* text[0..size) as text_clean() (base/text-clean.h), with SECRET_MASK for each secret; lines stay lines, but for
 * those of a private key. At most 12 times as long. The caller frees it; NULL when memory is short. */
char *secret_mask(const char *text, size_t size);

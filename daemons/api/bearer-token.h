/* The token that a client shows: Authorization: Bearer TOKEN (RFC 6750). The worker judges it; here it is only seen to
 * that what is passed on is short and plain. */
#pragma once

#define BEARER_TOKEN_BYTES_MAX 512

/* What follows "Bearer" (in any case) in the field, which may be NULL. NULL: no token was shown. "": one that can't be
 * a key of ours, since it is longer than BEARER_TOKEN_BYTES_MAX or has other than visible ASCII characters in it. */
const char *bearer_token(const char *field);

/* Whether a request's head says one thing only about where it goes and where its body ends (RFC 9112, sections 3.2, 5
 * and 6.3). libmicrohttpd takes the first of several fields and lets blanks before a colon pass; a proxy before us may
 * read the same bytes otherwise and be led to pass a request inside another one. */
#pragma once

#include <microhttpd.h>

/* NULL, or what is wrong; static text. The connection must then be closed after the answer. */
const char *http_framing_problem(struct MHD_Connection *mhd);

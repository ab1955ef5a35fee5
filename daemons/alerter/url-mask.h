/* Keeping a receiver's URL, which is a secret, out of what its server answers. Pure. */
#pragma once

#define URL_MASK_PART_MIN 6   /* bytes; shorter parts of a URL are words like any other */

/* Writes stars over whatever stands in `text` of the URL but its scheme and host: parts of the path, the query, the
 * user and the password, each where it is at least URL_MASK_PART_MIN bytes long; of one that the text was cut within, as
 * many bytes as there are. */
void url_mask(char *text, const char *url);

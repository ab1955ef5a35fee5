/* Whether a PNG can be transparent somewhere. */
#pragma once

/* `fd` is a whole PNG, as image-file.h finds it. 1: it has an alpha channel, or a colour that stands for transparent (tRNS);
 * 0: neither; a negative errno of reading it. */
int png_has_alpha(int fd);

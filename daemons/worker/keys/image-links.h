/* Links that open an image without a key until they expire: making and judging them.
 *
 * What signs them is a secret of the machine, as the one of client keys is: 32 random bytes in a file beside the states
 * (STATE_DIRECTORY/image-link-secret, mode 0600), made at the first start. No snapshot has it; a restore on the same machine
 * leaves it alone, and links go on to open the images that came back. Where it is not (another machine, a lost file)
 * a new one is made, and earlier links are invalid: they would not have lasted for more than a week.
 *
 * A link stands on its own. It is not kept anywhere, so that one alone can't be taken back: not by revoking the key that
 * asked for it, nor by deleting a job while another one has the image. A new secret takes back all of them.
 *
 * The secret lies in pages that are neither swapped nor dumped. */
#pragma once

#include "base/macro.h"
#include "keys/image-link.h"

typedef struct ImageLinks ImageLinks;

typedef struct ImageLink {
        uint64_t expires; /* seconds, realtime */
        char path[IMAGE_LINK_PATH_MAX];
} ImageLink;

/* A secret that can't be read or made is logged, and looked for again whenever a link is made or judged. */
int image_links_new(ImageLinks **ret, const char *state_path);
ImageLinks *image_links_free(ImageLinks *links);
DEFINE_CLEANUP(ImageLinks *, image_links_free);

/* A link that is good for at least so many seconds, and less than one more. A negative errno when there is no secret, and
 * none can be made. */
int image_links_make(ImageLinks *links, const char *sha256, ImageFormat format, uint64_t seconds, ImageLink *ret);

/* As image_link_check(), at this moment. */
int image_links_check(ImageLinks *links, const char *sha256, ImageFormat format, const char *expires,
                      const char *signature);

/* Makes every link invalid, for good: durable on return. After an error nobody knows; it is to be done again. */
int image_links_revoke_all(ImageLinks *links);

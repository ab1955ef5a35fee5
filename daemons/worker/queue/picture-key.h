/* By what two requests are known to be for the same picture. */
#pragma once

#include "base/hash.h"
#include "conf/settings.h"
#include "providers/provider.h"

/* SHA-256 of all that shapes the picture: the model as its provider knows it, and what the request says of the
 * picture, defaults filled in; the prompt byte by byte. What a client wants done with the picture (response_format,
 * stream, user) is no part of it. `client` is the id of the key that alone is to be served with it; NULL: whoever asks
 * for the same. */
int picture_key(const ModelConf *model, const GenerationRequest *request, const char *client,
                char ret[static SHA256_TEXT_MAX]);

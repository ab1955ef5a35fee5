/* io.atelier.Links, and the judging of a link that is shown to io.atelier.Store. */
#pragma once

#include "base/json.h"
#include "io/varlink-server.h"
#include "manager.h"

int link_methods_add(VarlinkServer *server, Manager *manager);

/* NULL when the link (io.atelier.Store.SignedLink) opens the image, were there one; else why not. What is no name of an image
 * has no link. */
const Failure *link_judge(Manager *manager, const char *sha256, ImageFormat format, const JsonValue *link);

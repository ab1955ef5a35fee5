/* What both ends of Varlink share: limits and the names of standard errors. */
#pragma once

#define VARLINK_MESSAGE_BYTES_MAX (4 * 1024 * 1024)  /* systemd and libvarlink take 16 MiB; our bytes travel as fds */
#define VARLINK_FDS_MAX 16                           /* with one message */
#define VARLINK_OUTPUT_BYTES_MAX (2 * VARLINK_MESSAGE_BYTES_MAX)  /* waiting for a peer that does not read */

#define VARLINK_ERROR_INTERFACE_NOT_FOUND "org.varlink.service.InterfaceNotFound"
#define VARLINK_ERROR_METHOD_NOT_FOUND "org.varlink.service.MethodNotFound"
#define VARLINK_ERROR_METHOD_NOT_IMPLEMENTED "org.varlink.service.MethodNotImplemented"
#define VARLINK_ERROR_INVALID_PARAMETER "org.varlink.service.InvalidParameter"
#define VARLINK_ERROR_PERMISSION_DENIED "org.varlink.service.PermissionDenied"
#define VARLINK_ERROR_EXPECTED_MORE "org.varlink.service.ExpectedMore"
#define VARLINK_ERROR_SYSTEM "io.systemd.System"

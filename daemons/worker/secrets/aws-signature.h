/* AWS Signature Version 4 of one request: the header that proves whose it is without telling the secret key.
 *
 * Source: "Create a signed AWS API request", docs.aws.amazon.com/IAM/latest/UserGuide/reference_sigv-create-signed-request. */
#pragma once

#include "base/macro.h"
#include "base/time.h"

#define AWS_TIME_MAX 17 /* "20150830T123600Z" and NUL */

typedef struct AwsKey {
        char *id, *secret;       /* of an access key; NULL: there is none */
        char *session_token;     /* NULL: it is not a temporary one */
} AwsKey;

void aws_key_done(AwsKey *key);  /* wipes it */

/* What is signed. */
typedef struct AwsRequest {
        const char *method, *path, *query;  /* the path as it is sent, from its slash on; the query sorted and escaped, or "" */
        const char *const *headers;         /* "name:value", names in lower case and sorted, host and x-amz-date among them;
                                             * ended by NULL */
        const char *body;
        const char *region, *service;
} AwsRequest;

/* The time as x-amz-date has it. */
void aws_format_time(usec_t realtime, char ret[static AWS_TIME_MAX]);

/* The value of Authorization, for the time that x-amz-date says. NULL when memory is short. */
char *aws_sign(const AwsRequest *request, const AwsKey *key, const char time[static AWS_TIME_MAX]);

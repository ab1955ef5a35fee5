/* Whose access key signs requests to AWS. In this order: the one that the settings or the environment name; that of a container
 * (ECS, EKS Pod Identity); that of the role of an EC2 instance (IMDSv2). The last two are temporary, and kept until shortly before
 * they expire.
 *
 * Sources: "Container credential provider", docs.aws.amazon.com/sdkref; "Retrieve security credentials from instance metadata",
 * docs.aws.amazon.com/AWSEC2. IMDSv1 is never asked. */
#pragma once

#include "secrets/aws-signature.h"
#include "secrets/secret-manager-kind.h"

/* The state of a manager that uses it. */
typedef struct AwsCredentials {
        AwsKey key;
        usec_t until;                            /* realtime; 0: not good any more */
        char *metadata_token;
        void (*ready)(SecretManager *manager);   /* where a fetch goes on */
} AwsCredentials;

/* Wipes them: they were refused, or are not needed any more. */
void aws_credentials_drop(AwsCredentials *credentials);

/* Goes on with `ready` when there is a key, at once where none has to be asked for; else the fetch ends. */
void aws_credentials_get(SecretManager *manager, void (*ready)(SecretManager *manager));

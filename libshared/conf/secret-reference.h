/* Where a secret is found: what configuration holds in place of the secret.
 *
 *     credential:NAME          a credential of systemd's, in $CREDENTIALS_DIRECTORY
 *     file:/PATH               a file; a Kubernetes mount too
 *     env:NAME                 a variable
 *     aws-sm:ID#KEY            AWS Secrets Manager: the member KEY of a secret that is a JSON object; without #KEY all of it.
 *                              ID is a name or an ARN
 *     azure-kv:VAULT/NAME      Azure Key Vault
 *     vault:MOUNT/PATH#KEY     HashiCorp Vault, a KV engine of version 2
 *
 * The first three are on this machine; the others are fetched, which only the worker does. */
#pragma once

#include <stdbool.h>

typedef enum SecretPlace {
        SECRET_CREDENTIAL,
        SECRET_FILE,
        SECRET_VARIABLE,
        SECRET_AWS,
        SECRET_AZURE,
        SECRET_VAULT,
} SecretPlace;

#define SECRET_NAME_BYTES_MAX 255  /* of each part */
#define SECRET_REFERENCE_EXPECTED \
        "credential:NAME, file:/PATH, env:NAME, aws-sm:ID#KEY, azure-kv:VAULT/NAME or vault:MOUNT/PATH#KEY"

typedef struct SecretReference {
        SecretPlace place;
        char folder[SECRET_NAME_BYTES_MAX + 1];  /* the vault of SECRET_AZURE, the mount of SECRET_VAULT; else empty */
        char name[4096];                         /* the path of SECRET_FILE without limit but this */
        char member[SECRET_NAME_BYTES_MAX + 1];  /* empty: all of it */
} SecretReference;

/* -EINVAL for what has no such form, or a name that could lead elsewhere: out of its folder, or into another part of a URL. */
int secret_reference_parse(const char *text, SecretReference *ret);
bool secret_reference_valid(const char *text);

/* It is kept elsewhere. False for what is no reference as well. */
bool secret_reference_is_remote(const char *text);

#include "conf/secret-reference.h"

#include <errno.h>
#include <stddef.h>
#include <string.h>

#include "base/macro.h"
#include "base/text.h"

#define LETTERS "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
#define DIGITS "0123456789"
#define NAME_CHARS LETTERS DIGITS "._-"

static bool consists_of(const char *text, size_t length, const char *chars) {
        return length > 0 && length <= SECRET_NAME_BYTES_MAX && strspn(text, chars) >= length;
}

/* What is neither hidden, nor "." or "..". */
static bool is_name(const char *text, size_t length) {
        return consists_of(text, length, NAME_CHARS) && text[0] != '.';
}

static int take(char *part, size_t size, const char *text, size_t length) {
        if (length >= size)
                return -EINVAL;
        memcpy(part, text, length);
        part[length] = 0;
        return 0;
}

/* Cuts "#KEY" off. *ret_length is that of what stands before it. */
static int take_member(SecretReference *reference, const char *text, size_t *ret_length) {
        const char *mark = strchr(text, '#');

        *ret_length = mark ? (size_t) (mark - text) : strlen(text);
        if (!mark)
                return 0;
        if (!consists_of(mark + 1, strlen(mark + 1), NAME_CHARS))
                return -EINVAL;
        return take(reference->member, sizeof(reference->member), mark + 1, strlen(mark + 1));
}

static int parse_credential(SecretReference *reference, const char *text) {
        if (!is_name(text, strlen(text)))
                return -EINVAL;
        return take(reference->name, sizeof(reference->name), text, strlen(text));
}

static int parse_file(SecretReference *reference, const char *text) {
        if (text[0] != '/')
                return -EINVAL;
        return take(reference->name, sizeof(reference->name), text, strlen(text));
}

static int parse_variable(SecretReference *reference, const char *text) {
        if (!consists_of(text, strlen(text), LETTERS DIGITS "_") || strchr(DIGITS, text[0]))
                return -EINVAL;
        return take(reference->name, sizeof(reference->name), text, strlen(text));
}

/* Names and ARNs (Secrets Manager, CreateSecret and the form of its ARNs). */
static int parse_aws(SecretReference *reference, const char *text) {
        size_t length;

        if (take_member(reference, text, &length) < 0 || !consists_of(text, length, LETTERS DIGITS "/_+=.@-:"))
                return -EINVAL;
        return take(reference->name, sizeof(reference->name), text, length);
}

/* 3 to 24 letters, digits and dashes; secrets have 1 to 127 of them (Key Vault, "Objects, identifiers and versioning"). */
static int parse_azure(SecretReference *reference, const char *text) {
        const char *slash = strchr(text, '/'), *name = slash ? slash + 1 : "";
        size_t length = slash ? (size_t) (slash - text) : 0;

        if (length < 3 || length > 24 || !consists_of(text, length, LETTERS DIGITS "-") || strlen(name) > 127 ||
            !consists_of(name, strlen(name), LETTERS DIGITS "-"))
                return -EINVAL;
        (void) take(reference->folder, sizeof(reference->folder), text, length);
        return take(reference->name, sizeof(reference->name), name, strlen(name));
}

/* The first name is the mount's, and each of the others one that needs no escape in a URL. */
static int parse_vault(SecretReference *reference, const char *text) {
        size_t length, first = strcspn(text, "/");

        if (take_member(reference, text, &length) < 0 || !reference->member[0] || first + 1 >= length ||
            length > SECRET_NAME_BYTES_MAX)
                return -EINVAL;
        for (const char *name = text; name <= text + length;) {
                size_t size = strcspn(name, "/#");

                if (!is_name(name, size))
                        return -EINVAL;
                name += size + 1;
        }
        (void) take(reference->folder, sizeof(reference->folder), text, first);
        return take(reference->name, sizeof(reference->name), text + first + 1, length - first - 1);
}

int secret_reference_parse(const char *text, SecretReference *ret) {
        static const struct {
                const char *prefix;
                int (*parse)(SecretReference *reference, const char *text);
        } places[] = {
                [SECRET_CREDENTIAL] = { "credential:", parse_credential },
                [SECRET_FILE] = { "file:", parse_file },
                [SECRET_VARIABLE] = { "env:", parse_variable },
                [SECRET_AWS] = { "aws-sm:", parse_aws },
                [SECRET_AZURE] = { "azure-kv:", parse_azure },
                [SECRET_VAULT] = { "vault:", parse_vault },
        };

        for (SecretPlace place = SECRET_CREDENTIAL; place <= SECRET_VAULT; place++) {
                const char *rest = text_after(text, places[place].prefix);

                if (!rest)
                        continue;
                *ret = (SecretReference) { .place = place };
                return places[place].parse(ret, rest);
        }
        return -EINVAL;
}

bool secret_reference_valid(const char *text) {
        SecretReference reference;

        return secret_reference_parse(text, &reference) >= 0;
}

bool secret_reference_is_remote(const char *text) {
        SecretReference reference;

        return secret_reference_parse(text, &reference) >= 0 && reference.place >= SECRET_AWS;
}

/* The certificate that clients of the TLS socket are shown, with its key.
 *
 * Both are PEM files (RFC 7468): the chain, the server's own certificate first, and a private key that is not
 * encrypted. They are read at start and at each reload. Handshakes that begin later are given what was read last; those
 * under way, and every connection that stands, keep what they have. */
#pragma once

#include <gnutls/abstract.h>
#include <gnutls/gnutls.h>

#include "base/buffer.h"
#include "base/time.h"

#define TLS_FILE_BYTES_MAX (256 * 1024) /* of the chain, and of the key */
#define TLS_CHAIN_MAX 16                /* certificates in the chain */
#define TLS_DAYS_LEFT_MIN 14            /* with fewer, a warning is given as it is read */

/* TLS 1.2 and 1.3 with forward secrecy and authenticated encryption, nothing else (RFC 9325, 4.2). */
#define TLS_PRIORITIES                                                                                            \
        "NORMAL:-VERS-ALL:+VERS-TLS1.3:+VERS-TLS1.2:-KX-ALL:+ECDHE-ECDSA:+ECDHE-RSA:-CIPHER-ALL:+AES-256-GCM:"  \
        "+CHACHA20-POLY1305:+AES-128-GCM:-MAC-ALL:+AEAD:-SIGN-ALL:+SIGN-ECDSA-SECP256R1-SHA256:+SIGN-ECDSA-SHA256:" \
        "+SIGN-ECDSA-SHA384:+SIGN-ECDSA-SHA512:+SIGN-EDDSA-ED25519:+SIGN-RSA-PSS-RSAE-SHA256:"                   \
        "+SIGN-RSA-PSS-RSAE-SHA384:+SIGN-RSA-PSS-RSAE-SHA512:+SIGN-RSA-SHA256:+SIGN-RSA-SHA384:+SIGN-RSA-SHA512:" \
        "%SERVER_PRECEDENCE"

typedef struct TlsCertificate TlsCertificate;

/* Returns 0, or a negative errno with a line in `errors` that names the file and what was expected: not readable, no
 * certificate or key in it, a key that does not belong to the certificate (-EKEYREJECTED), that others on this machine
 * can read (-EPERM), or that expired (-EKEYEXPIRED). */
int tls_certificate_load(TlsCertificate **ret, const char *chain_path, const char *key_path, Buffer *errors);
TlsCertificate *tls_certificate_free(TlsCertificate *certificate);
DEFINE_CLEANUP(TlsCertificate *, tls_certificate_free);

/* What it is for and how long it holds: "CN=images.example.org, valid until 2027-02-01", and whether that is soon. */
const char *tls_certificate_description(const TlsCertificate *certificate);
usec_t tls_certificate_expires_at(const TlsCertificate *certificate); /* wall clock */
bool tls_certificate_expires_soon(const TlsCertificate *certificate);

/* From now on handshakes are given this one; takes it over and frees the one before. NULL: there is none any more. There is
 * one in a process, because libmicrohttpd hands the callback nothing of its user. */
void tls_certificate_use(TlsCertificate *certificate);
const TlsCertificate *tls_certificate_in_use(void);

/* For MHD_OPTION_HTTPS_CERT_CALLBACK2. */
int tls_certificate_retrieve(gnutls_session_t session, const struct gnutls_cert_retr_st *info, gnutls_pcert_st **ret_chain,
                             unsigned *ret_length, gnutls_ocsp_data_st **ret_ocsp, unsigned *ret_ocsp_length,
                             gnutls_privkey_t *ret_key, unsigned *ret_flags);

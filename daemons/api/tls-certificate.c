/* Each handshake is given copies, which GnuTLS frees when it has done with them. So the certificate in use may be
 * exchanged at any time, between the flights of a handshake too; a copy costs a small part of the signature that
 * follows. */
#include "tls-certificate.h"

#include <errno.h>
#include <fcntl.h>
#include <gnutls/x509.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>

#include "base/fd.h"
#include "base/file.h"
#include "base/text.h"

#define DESCRIPTION_BYTES_MAX 512
#define KEY_ID_BYTES_MAX 64

struct TlsCertificate {
        gnutls_x509_crt_t *chain;
        unsigned chain_length;
        gnutls_x509_privkey_t key;
        time_t expires_at;
        char description[DESCRIPTION_BYTES_MAX];
};

static TlsCertificate *in_use;

static int complain(Buffer *errors, int error, const char *path, const char *problem) {
        int r = buffer_printf(errors, "%s: %s\n", path, problem);

        return r < 0 ? r : error;
}

/* A private key that others can read has to be replaced, not served. */
static int check_mode(const char *path, Buffer *errors) {
        struct stat st;

        if (stat(path, &st) < 0)
                return -errno;
        if (st.st_mode & (S_IROTH | S_IWOTH))
                return complain(errors, -EPERM, path,
                                "others on this machine can read or change this key; expected mode 0640 or less "
                                "(chmod o= and, as it may be known to them, make a new one)");
        return 0;
}

static int read_pem(const char *path, const char *what, Buffer *errors, gnutls_datum_t *ret) {
        char *text;
        size_t size;
        int r;

        r = file_read(AT_FDCWD, path, TLS_FILE_BYTES_MAX, &text, &size);
        if (r < 0) {
                int s = buffer_printf(errors, "%s: %s; expected %s as PEM that atelier-api can read\n", path,
                                      strerror(-r), what);

                return s < 0 ? s : r;
        }
        *ret = (gnutls_datum_t) { .data = (unsigned char *) text, .size = (unsigned) size };
        return 0;
}

static void datum_done(gnutls_datum_t *datum) {
        if (!datum->data)
                return;
        explicit_bzero(datum->data, datum->size);
        free(datum->data);
}

static int load_chain(TlsCertificate *certificate, const char *path, Buffer *errors) {
        _cleanup_(datum_done) gnutls_datum_t pem = {};
        unsigned count = TLS_CHAIN_MAX;
        int r;

        r = read_pem(path, "a chain of certificates", errors, &pem);
        if (r < 0)
                return r;
        certificate->chain = calloc(TLS_CHAIN_MAX, sizeof(*certificate->chain));
        if (!certificate->chain)
                return -ENOMEM;
        r = gnutls_x509_crt_list_import(certificate->chain, &count, &pem, GNUTLS_X509_FMT_PEM,
                                        GNUTLS_X509_CRT_LIST_IMPORT_FAIL_IF_EXCEED);
        if (r == GNUTLS_E_SHORT_MEMORY_BUFFER)
                return complain(errors, -E2BIG, path, "too many certificates; expected at most 16");
        if (r <= 0)
                return complain(errors, -EBADMSG, path,
                                "no certificate; expected PEM, the server's own first, then those that vouch for it");
        certificate->chain_length = (unsigned) r;
        return 0;
}

static int load_key(TlsCertificate *certificate, const char *path, Buffer *errors) {
        _cleanup_(datum_done) gnutls_datum_t pem = {};
        int r;

        r = read_pem(path, "a private key", errors, &pem);
        if (r >= 0)
                r = check_mode(path, errors);
        if (r < 0)
                return r;
        if (gnutls_x509_privkey_init(&certificate->key) < 0)
                return -ENOMEM;
        if (gnutls_x509_privkey_import2(certificate->key, &pem, GNUTLS_X509_FMT_PEM, NULL, GNUTLS_PKCS_PLAIN) < 0)
                return complain(errors, -EBADMSG, path, "no private key; expected PEM without a password");
        return 0;
}

static int check_pair(const TlsCertificate *certificate, const char *path, Buffer *errors) {
        unsigned char of_chain[KEY_ID_BYTES_MAX], of_key[KEY_ID_BYTES_MAX];
        size_t chain_size = sizeof(of_chain), key_size = sizeof(of_key);

        if (gnutls_x509_crt_get_key_id(certificate->chain[0], GNUTLS_KEYID_USE_SHA256, of_chain, &chain_size) < 0 ||
            gnutls_x509_privkey_get_key_id(certificate->key, GNUTLS_KEYID_USE_SHA256, of_key, &key_size) < 0)
                return complain(errors, -EBADMSG, path, "a kind of key that is not known; expected ECDSA, Ed25519 or RSA");
        if (chain_size != key_size || memcmp(of_chain, of_key, key_size) != 0)
                return complain(errors, -EKEYREJECTED, path,
                                "not the key of the certificate; expected that of the first one in the chain");
        return 0;
}

static int check_dates(TlsCertificate *certificate, const char *path, Buffer *errors) {
        _cleanup_free_ char *problem = NULL;
        char day[sizeof("YYYY-MM-DD")] = "", name[DESCRIPTION_BYTES_MAX / 2] = "";
        size_t size = sizeof(name);
        struct tm expiry;

        certificate->expires_at = gnutls_x509_crt_get_expiration_time(certificate->chain[0]);
        if (gmtime_r(&certificate->expires_at, &expiry))
                (void) strftime(day, sizeof(day), "%Y-%m-%d", &expiry);
        if (gnutls_x509_crt_get_dn(certificate->chain[0], name, &size) < 0 || !*name)
                (void) strcpy(name, "no name");
        (void) snprintf(certificate->description, sizeof(certificate->description), "%s, valid until %s", name, day);
        if (certificate->expires_at > time(NULL))
                return 0;

        problem = text_format("the certificate expired on %s; expected one that is valid", day);
        return problem ? complain(errors, -EKEYEXPIRED, path, problem) : -ENOMEM;
}

int tls_certificate_load(TlsCertificate **ret, const char *chain_path, const char *key_path, Buffer *errors) {
        _cleanup_(tls_certificate_freep) TlsCertificate *certificate = calloc(1, sizeof(*certificate));
        int r;

        if (!certificate)
                return -ENOMEM;
        r = load_chain(certificate, chain_path, errors);
        if (r >= 0)
                r = load_key(certificate, key_path, errors);
        if (r >= 0)
                r = check_pair(certificate, key_path, errors);
        if (r >= 0)
                r = check_dates(certificate, chain_path, errors);
        if (r < 0)
                return r;
        *ret = TAKE_PTR(certificate);
        return 0;
}

TlsCertificate *tls_certificate_free(TlsCertificate *certificate) {
        if (!certificate)
                return NULL;
        for (unsigned i = 0; i < certificate->chain_length; i++)
                gnutls_x509_crt_deinit(certificate->chain[i]);
        free(certificate->chain);
        if (certificate->key)
                gnutls_x509_privkey_deinit(certificate->key);
        free(certificate);
        return NULL;
}

const char *tls_certificate_description(const TlsCertificate *certificate) {
        return certificate->description;
}

usec_t tls_certificate_expires_at(const TlsCertificate *certificate) {
        return certificate->expires_at > 0 ? (usec_t) certificate->expires_at * USEC_PER_SEC : 0;
}

bool tls_certificate_expires_soon(const TlsCertificate *certificate) {
        return tls_certificate_expires_at(certificate) < time_now_realtime() + TLS_DAYS_LEFT_MIN * USEC_PER_DAY;
}

void tls_certificate_use(TlsCertificate *certificate) {
        (void) tls_certificate_free(in_use);
        in_use = certificate;
}

const TlsCertificate *tls_certificate_in_use(void) {
        return in_use;
}

static void chain_free(gnutls_pcert_st *chain, unsigned length) {
        for (unsigned i = 0; i < length; i++)
                gnutls_pcert_deinit(&chain[i]);
        gnutls_free(chain);
}

static gnutls_pcert_st *copy_chain(const TlsCertificate *certificate) {
        gnutls_pcert_st *chain = gnutls_calloc(certificate->chain_length, sizeof(*chain));

        for (unsigned i = 0; chain && i < certificate->chain_length; i++)
                if (gnutls_pcert_import_x509(&chain[i], certificate->chain[i], 0) < 0) {
                        chain_free(chain, i);
                        return NULL;
                }
        return chain;
}

static gnutls_privkey_t copy_key(const TlsCertificate *certificate) {
        gnutls_privkey_t key;

        if (gnutls_privkey_init(&key) < 0)
                return NULL;
        if (gnutls_privkey_import_x509(key, certificate->key, GNUTLS_PRIVKEY_IMPORT_COPY) < 0) {
                gnutls_privkey_deinit(key);
                return NULL;
        }
        return key;
}

int tls_certificate_retrieve(_unused_ gnutls_session_t session, _unused_ const struct gnutls_cert_retr_st *info,
                             gnutls_pcert_st **ret_chain, unsigned *ret_length, gnutls_ocsp_data_st **ret_ocsp,
                             unsigned *ret_ocsp_length, gnutls_privkey_t *ret_key, unsigned *ret_flags) {
        gnutls_pcert_st *chain = in_use ? copy_chain(in_use) : NULL;
        gnutls_privkey_t key = chain ? copy_key(in_use) : NULL;

        if (!key) {
                if (chain)
                        chain_free(chain, in_use->chain_length);
                return -1;
        }
        *ret_chain = chain;
        *ret_length = in_use->chain_length;
        *ret_ocsp = NULL;
        *ret_ocsp_length = 0;
        *ret_key = key;
        *ret_flags = GNUTLS_CERT_RETR_DEINIT_ALL;
        return 0;
}

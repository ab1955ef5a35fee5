/* Every part is read by a function of ours, texts as well as files: libcurl fills its buffer before it sends, so that
 * nothing of a body goes out unnoticed. Files are read as they are sent, at offsets, and never held whole. */
#include "io/http-form.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>

#include "base/fd.h"

typedef struct FormPart {
        HttpForm *form;
        char *text;     /* NULL: a file */
        int fd;
        uint64_t size, offset;
} FormPart;

struct HttpForm {
        curl_mime *mime;
        FormPart *parts;
        size_t n_parts;
        size_t *read;
};

static size_t read_part(char *buffer, size_t one, size_t size, void *userdata) {
        FormPart *part = userdata;
        size_t wanted = (size_t) MIN((uint64_t) (one * size), part->size - part->offset);
        ssize_t n = (ssize_t) wanted;

        if (part->text)
                memcpy(buffer, part->text + part->offset, wanted);
        else
                n = fd_pread_all(part->fd, buffer, wanted, (off_t) part->offset);
        /* A file that has become shorter would leave the server waiting. */
        if (n < (ssize_t) wanted)
                return CURL_READFUNC_ABORT;
        part->offset += (uint64_t) n;
        *part->form->read += (size_t) n;
        return (size_t) n;
}

static int seek_part(void *userdata, curl_off_t offset, int origin) {
        const FormPart *part = userdata;

        return offset == 0 && origin == SEEK_SET && *part->form->read == 0 ? CURL_SEEKFUNC_OK : CURL_SEEKFUNC_FAIL;
}

static int take_source(FormPart *part, const HttpPart *from) {
        if (from->text) {
                part->text = strdup(from->text);
                part->size = strlen(from->text);
                return part->text ? 0 : -ENOMEM;
        }
        part->fd = fcntl(from->fd, F_DUPFD_CLOEXEC, 0);
        part->size = from->size;
        return part->fd < 0 ? -errno : 0;
}

static int add_part(HttpForm *form, const HttpPart *from) {
        FormPart *part = &form->parts[form->n_parts++];
        curl_mimepart *mimepart;
        int r;

        *part = (FormPart) { .form = form, .fd = -1 };
        r = take_source(part, from);
        if (r < 0)
                return r;
        mimepart = curl_mime_addpart(form->mime);
        if (!mimepart || curl_mime_name(mimepart, from->name) != CURLE_OK ||
            (from->filename && curl_mime_filename(mimepart, from->filename) != CURLE_OK) ||
            (from->type && curl_mime_type(mimepart, from->type) != CURLE_OK) ||
            curl_mime_data_cb(mimepart, (curl_off_t) part->size, read_part, seek_part, NULL, part) != CURLE_OK)
                return -ENOMEM;
        return 0;
}

int http_form_new(HttpForm **ret, CURL *easy, const HttpPart *parts, size_t n_parts, size_t *read) {
        _cleanup_(http_form_freep) HttpForm *form = calloc(1, sizeof(*form));
        int r = 0;

        if (!form)
                return -ENOMEM;
        form->read = read;
        form->mime = curl_mime_init(easy);
        form->parts = calloc(n_parts, sizeof(form->parts[0]));
        if (!form->mime || !form->parts)
                return -ENOMEM;
        for (size_t i = 0; i < n_parts && r >= 0; i++)
                r = add_part(form, &parts[i]);
        if (r < 0)
                return r;
        *ret = TAKE_PTR(form);
        return 0;
}

curl_mime *http_form_mime(HttpForm *form) {
        return form->mime;
}

HttpForm *http_form_free(HttpForm *form) {
        if (!form)
                return NULL;
        curl_mime_free(form->mime);
        for (size_t i = 0; i < form->n_parts; i++) {
                free(form->parts[i].text);
                (void) fd_close(form->parts[i].fd);
        }
        free(form->parts);
        free(form);
        return NULL;
}

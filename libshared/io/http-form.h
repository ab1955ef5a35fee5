/* The body of a multipart/form-data request, for the HTTP client alone. */
#pragma once

#include <curl/curl.h>

#include "io/http-client.h"

typedef struct HttpForm HttpForm;

/* Copies texts and duplicates descriptors. *read counts the bytes that libcurl has taken; once it has any, the form cannot
 * be sent again. It outlives the form, and the form outlives the transfer of `easy`. */
int http_form_new(HttpForm **ret, CURL *easy, const HttpPart *parts, size_t n_parts, size_t *read);
curl_mime *http_form_mime(HttpForm *form);
HttpForm *http_form_free(HttpForm *form);
DEFINE_CLEANUP(HttpForm *, http_form_free);

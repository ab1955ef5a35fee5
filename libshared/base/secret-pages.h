/* Memory for secrets that stay: pages of their own, never swapped where the limit allows, left out of core dumps, wiped when
 * freed. */
#pragma once

#include <stddef.h>

/* `size` bytes of zeros. -ENOMEM, or another error of mmap(). */
int secret_pages_new(void **ret, size_t size);
void *secret_pages_free(void *pages, size_t size);  /* `size` as it was asked for; NULL is nothing */

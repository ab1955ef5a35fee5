#include "base/secret-pages.h"

#include <errno.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

static size_t whole_pages(size_t size) {
        size_t page = (size_t) sysconf(_SC_PAGESIZE);

        return (size + page - 1) / page * page;
}

int secret_pages_new(void **ret, size_t size) {
        void *pages;

        size = whole_pages(size);
        pages = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
        if (pages == MAP_FAILED)
                return -errno;
        (void) mlock(pages, size);
        (void) madvise(pages, size, MADV_DONTDUMP);
        *ret = pages;
        return 0;
}

void *secret_pages_free(void *pages, size_t size) {
        if (!pages)
                return NULL;
        explicit_bzero(pages, size);
        (void) munmap(pages, whole_pages(size));
        return NULL;
}

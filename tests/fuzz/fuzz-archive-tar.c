/* Any bytes as the tar stream in an archive, in pieces of a length that the first byte says: behind zstd's checksum,
 * where a fuzzer of whole files does not come. */
#include <fcntl.h>

#include "archive-handlers.h"
#include "archive-tar.h"
#include "base/fd.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

typedef struct Input {
        const uint8_t *data;
        size_t left, piece;
} Input;

static int next_piece(void *userdata, const void **ret, size_t *ret_size, Buffer *reason) {
        Input *input = userdata;
        size_t size = MIN(input->left, input->piece);

        (void) reason;
        *ret = input->data;
        *ret_size = size;
        input->data += size;
        input->left -= size;
        return 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
        Buffer reason = BUFFER_INIT(0);
        ArchiveTotals totals = {};
        Checked checked = {};
        Input input;
        int r;

        if (size == 0)
                return 0;
        input = (Input) { .data = data + 1, .left = size - 1, .piece = ((size_t) data[0] + 1) * 64 };
        require(sha256_new(&checked.sha256) == 0);
        r = archive_tar_read(&(ArchivePull) { .next = next_piece, .userdata = &input }, &checking_handlers,
                             &checked, &totals, &reason);
        check_outcome(&checked, r, &totals, &reason);

        sha256_free(checked.sha256);
        buffer_done(&reason);
        return 0;
}

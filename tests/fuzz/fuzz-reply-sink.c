/* Any bytes as a provider's reply: whole, and in pieces of a length that the first byte says, they are judged alike;
 * no image is handed out twice, and none is left behind in the store. */
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "providers/provider.h"
#include "providers/reply-sink.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define IMAGES_MAX 3

static char folder[] = "/tmp/atelier-fuzz-reply-sink-XXXXXX";
static ImageStore *store;

static void require(bool kept) {
        if (!kept)
                abort();
}

/* rmdir() fails while an image is left. */
static void remove_folder(void) {
        char path[64];

        store = image_store_free(store);
        (void) snprintf(path, sizeof(path), "%s/images/tmp", folder);
        require(rmdir(path) == 0);
        (void) snprintf(path, sizeof(path), "%s/images", folder);
        require(rmdir(path) == 0 && rmdir(folder) == 0);
}

static void make_folder(void) {
        int fd;

        if (store)
                return;
        require(mkdtemp(folder));
        fd = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        require(fd >= 0 && image_store_new(&store, fd) >= 0 && atexit(remove_folder) == 0);
        (void) close(fd);
}

/* 0, or the error; *ret_reason is to be freed. */
static int read_reply(const uint8_t *data, size_t size, size_t piece, ReplySink **ret_sink, JsonValue **ret,
                      char **ret_reason) {
        int r = 0;

        require(reply_sink_new(ret_sink, store, REPLY_IMAGES, IMAGES_MAX) == 0);
        for (size_t i = 0; i < size && r >= 0; i += piece)
                r = reply_sink_write(*ret_sink, data + i, MIN(piece, size - i));
        if (r >= 0)
                r = reply_sink_finish(*ret_sink, ret);
        require((r < 0) == (*ret == NULL));
        *ret_reason = strdup(reply_sink_reason(*ret_sink));
        require(*ret_reason && (r >= 0) == (**ret_reason == 0));
        return r;
}

static void take_images(ReplySink *sink, const JsonValue *reply) {
        const JsonValue *data = json_get_array(reply, "data");

        for (const JsonValue *item = data ? data->child : NULL; item; item = item->next) {
                const JsonValue *b64_json = json_member(item, "b64_json");
                _cleanup_(temporary_image_freep) TemporaryImage *image = reply_sink_take_image(sink, b64_json);

                require(!image || image_format_name(temporary_image_facts(image)->format));
                require(!reply_sink_take_image(sink, b64_json));
        }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
        _cleanup_(reply_sink_freep) ReplySink *whole = NULL, *pieces = NULL;
        _cleanup_(json_freep) JsonValue *whole_reply = NULL, *pieces_reply = NULL;
        _cleanup_free_ char *whole_reason = NULL, *pieces_reason = NULL;
        int r;

        make_folder();
        if (size < 2)
                return 0;
        r = read_reply(data + 1, size - 1, size, &whole, &whole_reply, &whole_reason);
        require(r == read_reply(data + 1, size - 1, data[0] % 64 + 1, &pieces, &pieces_reply, &pieces_reason));
        require(strcmp(whole_reason, pieces_reason) == 0);
        if (r < 0)
                return 0;
        require(cJSON_Compare(whole_reply, pieces_reply, true));
        take_images(whole, whole_reply);
        return 0;
}

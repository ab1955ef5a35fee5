#include "conf/chat-sizes.h"

#include <stddef.h>

#include "base/macro.h"
#include "base/text.h"

/* Those of the class 1K; what a model makes of them may be some pixels larger or smaller. */
static const ChatSize sizes[] = {
        { "1024x1024", "1:1", "1K" }, { "832x1248", "2:3", "1K" }, { "1248x832", "3:2", "1K" },
        { "864x1184", "3:4", "1K" },  { "1184x864", "4:3", "1K" }, { "896x1152", "4:5", "1K" },
        { "1152x896", "5:4", "1K" },  { "768x1344", "9:16", "1K" }, { "1344x768", "16:9", "1K" },
        { "1536x672", "21:9", "1K" }, { "2048x2048", "1:1", "2K" }, { "4096x4096", "1:1", "4K" },
};

const ChatSize *chat_size_find(const char *size) {
        for (size_t i = 0; i < ELEMENTS(sizes); i++)
                if (text_equal(sizes[i].size, size))
                        return &sizes[i];
        return NULL;
}

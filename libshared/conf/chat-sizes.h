/* Sizes of images that are asked for by their shape: the chat route of OpenRouter (its documentation of image_config). Pure. */
#pragma once

typedef struct ChatSize {
        const char *size, *aspect_ratio, *image_size;
} ChatSize;

/* NULL: it has no such size, or that is "auto" or NULL. */
const ChatSize *chat_size_find(const char *size);

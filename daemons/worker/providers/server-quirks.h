/* What servers of one's own that speak like OpenAI's images API know, and what they make of the rest: a table. From their
 * documentation and sources, as of November 2026. Pure. */
#pragma once

#include "base/json.h"
#include "providers/provider.h"

/* In the order of the setting providers.server. */
typedef enum ServerKind {
        SERVER_LOCALAI,
        SERVER_STABLE_DIFFUSION_CPP,
        SERVER_VLLM_OMNI,
        SERVER_SGLANG,
        SERVER_MISTRAL_RS,
        _SERVER_KINDS,
} ServerKind;

/* The body of a generation: with the fields that the server knows, and a prompt that is nothing but one. -ENOMEM. */
int server_quirks_format(ServerKind server, const GenerationRequest *request, char **ret);

/* A copy of a prompt without what this server would take out of it as a command. NULL when memory is short. */
char *server_quirks_clean_prompt(ServerKind server, const char *prompt);

/* The keys by which clients are known: who a token is (io.atelier.Keys is key-methods.h).
 *
 * The keys themselves are rows of the store and are looked up there at each request, by the id in the token: nothing
 * is kept here that could differ from them, so that a revocation counts from the moment it is written, and a restored
 * state brings its own.
 *
 * The server's secret, without which the hashes in the database say nothing, is a file beside the states
 * (STATE_DIRECTORY/client-key-secret, mode 0600), made with the first key. It belongs to the machine, not to the
 * state: no snapshot has it, and a restore on the same machine leaves it alone. On another machine the keys of a
 * backup are refused until the file is brought there by hand, or new keys are made. When it is lost, every key is
 * refused; none is let in. */
#pragma once

#include "keys/client-key.h"
#include "manager.h"

typedef struct ClientKeys ClientKeys;

enum {
        CLIENT_KEY_REFUSED = 1,   /* malformed, unknown, wrong, revoked or expired: nobody is told which */
        CLIENT_KEY_WRONG_NETWORK, /* good, but not from there */
};

/* Reads the server's secret from the folder `state_path`, if it is there; an error (-EBADMSG: it is not of the
 * right size) is logged. The store is open. */
int client_keys_new(ClientKeys **ret, Manager *manager, const char *state_path);
ClientKeys *client_keys_free(ClientKeys *keys);
DEFINE_CLEANUP(ClientKeys *, client_keys_free);

/* Must those who are no members show a key? -EIO while the store is closed. */
int client_keys_required(const ClientKeys *keys, bool *ret);

/* The id of the key that the token is, shown by `address` (as of network-list.h; NULL: not known). CLIENT_KEY_REFUSED,
 * CLIENT_KEY_WRONG_NETWORK; -EIO while the store is closed. A hash is made and compared in constant time whether there is such a
 * key or not. */
int client_keys_check(ClientKeys *keys, const char *token, const char *address, char id[static CLIENT_KEY_ID_MAX]);

/* A token and its hash: of a new key where key->id is empty, else another one of that key. */
int client_keys_mint(ClientKeys *keys, ClientKey *key, char token[static CLIENT_KEY_TOKEN_MAX]);

/* A state is to take the place of the one in use: its database (closed, a single file) gets the keys and revocations
 * made since it was backed up. */
int client_keys_carry(const ClientKeys *keys, const char *database_path);

/* A warning when there are keys and no secret to check them with. */
void client_keys_look_for_secret(const ClientKeys *keys);

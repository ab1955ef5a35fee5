/* The database's layout, and the way from each version to the next.
 *
 * PRAGMA user_version is the version; PRAGMA application_id tells ours from others. A version is never edited once it
 * was released: a change is a new step at the end, which runs in one transaction. A newer version than this program
 * knows is refused, never guessed at. */
#pragma once

#define STORE_APPLICATION_ID 0x41746c72  /* "Atlr" */

extern const char *const store_migrations[];  /* [n] leads from version n to n + 1 */
extern const int store_version;

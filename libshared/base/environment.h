/* The process's environment, out of sight. */
#pragma once

/* Copies the environment to the heap and wipes where it was: /proc/PID/environ, which shows those bytes, is empty of values from
 * then on, and getenv(3) goes on. To be called once, early, before anybody keeps what getenv() gave. -ENOMEM. */
int environment_hide(void);

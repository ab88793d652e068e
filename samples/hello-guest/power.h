/* How the machine is left. */
#pragma once

/* Switches the machine off; `hvm run` ends with status 0. */
void power_off(void) __attribute__((noreturn));

/* Ends the run at once with a status that is not 0. */
void exit_with_failure(void) __attribute__((noreturn));

/* Power off as ACPI has it, and the debug exit of emulators. */
#include "power.h"

#include "cpu.h"

enum {
  PM1A_CONTROL = 0x604,
  SLEEP_TYPE_SHIFT = 10,
  SLEEP_ENABLE = 1 << 13,
  /* The sleep type of "soft off" is the board's own; an operating system reads it from \_S5 in the DSDT. */
  SOFT_OFF = 5,
  SOFT_OFF_OF_QEMU = 0,

  DEBUG_EXIT = 0xf4, /* the status of the run is (value << 1) | 1 */
};

static void halt(void) __attribute__((noreturn));

static void halt(void) {
  for (;;) __asm__ volatile("cli\n\thlt");
}

void power_off(void) {
  outw(PM1A_CONTROL, SOFT_OFF << SLEEP_TYPE_SHIFT | SLEEP_ENABLE);
  outw(PM1A_CONTROL, SOFT_OFF_OF_QEMU << SLEEP_TYPE_SHIFT | SLEEP_ENABLE);
  halt();
}

void exit_with_failure(void) {
  outb(DEBUG_EXIT, 1);
  halt();
}

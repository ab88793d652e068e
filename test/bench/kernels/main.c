/* Runs a kernel in the machine: prints its checksum on the serial port and powers off. The command line sets how much of it
 * is run, in hundredths: n=100 (the default) is all of it. */
#include "power.h"
#include "serial.h"
#include "unit.h"

enum { MULTIBOOT_INFO_COMMAND_LINE = 1 << 2, DEFAULT_N = 100 };

struct multiboot_info {
  uint32_t flags, memory_lower, memory_upper, boot_device, command_line;
};

/* The number of the word "n=NUMBER". */
static uint64_t read_n(const char *command_line) {
  for (const char *c = command_line; *c; c++) {
    if (c[0] != 'n' || c[1] != '=' || (c > command_line && c[-1] != ' ')) continue;
    uint64_t n = 0;
    for (c += 2; *c >= '0' && *c <= '9'; c++) n = n * 10 + (uint64_t)(*c - '0');
    return n;
  }
  return DEFAULT_N;
}

void kmain(uint32_t loader_magic, const struct multiboot_info *info) {
  (void)loader_magic;
  serial_init();
  const char *command_line = info->flags & MULTIBOOT_INFO_COMMAND_LINE ? (const char *)(uintptr_t)info->command_line : "";
  uint64_t n = read_n(command_line);
  serial_printf("%s n=%lu checksum=%016lx\n", NAME, n, checksum(n));
  power_off();
}

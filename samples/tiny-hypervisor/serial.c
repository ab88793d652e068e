/* Text on the first serial port, by polling. */
#include "cpu.h"
#include "hypervisor.h"

enum {
  COM1 = 0x3f8,
  LINE_CONTROL = COM1 + 3,
  LINE_STATUS = COM1 + 5,
  LINE_8_BITS_NO_PARITY = 0x03,
  LINE_DIVISOR_LATCH = 0x80,
  STATUS_TRANSMITTER_EMPTY = 0x20,
  DIVISOR_115200 = 1,
};

void serial_init(void) {
  outb(LINE_CONTROL, LINE_DIVISOR_LATCH);
  outb(COM1, DIVISOR_115200);
  outb(COM1 + 1, 0);
  outb(LINE_CONTROL, LINE_8_BITS_NO_PARITY);
}

void put_char(char c) {
  if (c == '\n') put_char('\r');
  while (!(inb(LINE_STATUS) & STATUS_TRANSMITTER_EMPTY))
    ;
  outb(COM1, (uint8_t)c);
}

void put_string(const char *text) {
  while (*text) put_char(*text++);
}

void put_hex(uint64_t value) {
  put_string("0x");
  int shift = 60;
  while (shift > 0 && !(value >> shift)) shift -= 4;
  for (; shift >= 0; shift -= 4) put_char("0123456789abcdef"[value >> shift & 15]);
}

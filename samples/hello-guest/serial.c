/* The 16550 UART of the first serial port, by polling. */
#include "serial.h"

#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>

#include "cpu.h"

enum {
  COM1 = 0x3f8,
  DATA = COM1 + 0,           /* with LINE_DIVISOR_LATCH: divisor, low byte */
  INTERRUPT_ENABLE = COM1 + 1, /* with LINE_DIVISOR_LATCH: divisor, high byte */
  FIFO_CONTROL = COM1 + 2,
  LINE_CONTROL = COM1 + 3,
  MODEM_CONTROL = COM1 + 4,
  LINE_STATUS = COM1 + 5,

  LINE_8_BITS_NO_PARITY = 0x03,
  LINE_DIVISOR_LATCH = 0x80,
  FIFO_ENABLE_AND_CLEAR = 0x07,
  MODEM_READY = 0x03,
  STATUS_TRANSMITTER_EMPTY = 0x20,
  DIVISOR_115200 = 1,
};

void serial_init(void) {
  outb(INTERRUPT_ENABLE, 0);
  outb(LINE_CONTROL, LINE_DIVISOR_LATCH);
  outb(DATA, DIVISOR_115200);
  outb(INTERRUPT_ENABLE, 0);
  outb(LINE_CONTROL, LINE_8_BITS_NO_PARITY);
  outb(FIFO_CONTROL, FIFO_ENABLE_AND_CLEAR);
  outb(MODEM_CONTROL, MODEM_READY);
}

static void put_char(char c) {
  if (c == '\n') put_char('\r');
  while (!(inb(LINE_STATUS) & STATUS_TRANSMITTER_EMPTY))
    ;
  outb(DATA, (uint8_t)c);
}

static void put_string(const char *text) {
  while (*text) put_char(*text++);
}

static void put_number(uint64_t value, unsigned base, unsigned width) {
  char digits[20];
  unsigned count = 0;
  do {
    digits[count++] = "0123456789abcdef"[value % base];
    value /= base;
  } while (value);
  for (unsigned filled = count; filled < width; filled++) put_char('0');
  while (count) put_char(digits[--count]);
}

void serial_printf(const char *format, ...) {
  va_list arguments;
  va_start(arguments, format);
  for (; *format; format++) {
    if (*format != '%') {
      put_char(*format);
      continue;
    }
    unsigned width = 0;
    bool is_long = false;
    while (*++format >= '0' && *format <= '9') width = width * 10 + (unsigned)(*format - '0');
    if (*format == 'l') {
      is_long = true;
      format++;
    }
    switch (*format) {
    case 's':
      put_string(va_arg(arguments, const char *));
      break;
    case 'c':
      put_char((char)va_arg(arguments, int));
      break;
    case 'd': {
      int value = va_arg(arguments, int);
      if (value < 0) put_char('-');
      put_number(value < 0 ? -(uint64_t)value : (uint64_t)value, 10, width);
      break;
    }
    case 'u':
    case 'x':
      put_number(is_long ? va_arg(arguments, unsigned long) : va_arg(arguments, unsigned), *format == 'x' ? 16 : 10,
                 width);
      break;
    default:
      put_char(*format);
    }
  }
  va_end(arguments);
}

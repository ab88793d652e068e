/* Text on the first serial port. */
#pragma once

void serial_init(void);

/* The part of printf that this kernel needs: %s, %c, %d and %u (int), %x (unsigned), %lx (unsigned long), with a width
 * that fills with zeros (%02u, %016lx). */
void serial_printf(const char *format, ...) __attribute__((format(printf, 1, 2)));

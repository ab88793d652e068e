/* Port I/O: the scratch register of the first serial port written and read back. */
#include "unit.h"

enum { ROUNDS = 3000 };

#if __STDC_HOSTED__
static uint8_t register_value;
static void write_scratch(uint8_t value) { register_value = value; }
static uint8_t read_scratch(void) { return register_value; }
#else
#include "cpu.h"
enum { SCRATCH = 0x3f8 + 7 };
static void write_scratch(uint8_t value) { outb(SCRATCH, value); }
static uint8_t read_scratch(void) { return inb(SCRATCH); }
#endif

uint64_t unit(uint64_t x) {
  for (unsigned i = 0; i < ROUNDS; i++) {
    write_scratch((uint8_t)(x >> 8));
    x = x * 5 + read_scratch();
  }
  return x;
}

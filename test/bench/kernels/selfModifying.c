/* Code that changes: a function is written, called a hundred times and written again, beside functions that stay. Elsewhere than on the
 * bare machine it is computed what the function would give. */
#include "unit.h"

enum { CHANGES = 400, CALLS = 100, FUNCTIONS = 4, FUNCTION_BYTES = 256 };

#if __STDC_HOSTED__
static uint32_t immediates[FUNCTIONS];
static void write_function(unsigned f, uint32_t immediate) { immediates[f] = immediate; }
static uint64_t call(unsigned f, uint64_t x) { return (x ^ immediates[f]) * 3; }
#else
static uint8_t code[FUNCTIONS][FUNCTION_BYTES] __attribute__((aligned(4096)));

/* mov $immediate, %eax; xor %rdi, %rax; lea (%rax,%rax,2), %rax; ret */
static void write_function(unsigned f, uint32_t immediate) {
  static const uint8_t template[] = {0xb8, 0, 0, 0, 0, 0x48, 0x31, 0xf8, 0x48, 0x8d, 0x04, 0x40, 0xc3};
  volatile uint8_t *to = code[f];
  for (unsigned i = 0; i < sizeof template; i++) to[i] = template[i];
  for (unsigned i = 0; i < 4; i++) to[1 + i] = (uint8_t)(immediate >> 8 * i);
}

static uint64_t call(unsigned f, uint64_t x) { return ((uint64_t(*)(uint64_t))(uintptr_t)code[f])(x); }
#endif

uint64_t unit(uint64_t x) {
  for (unsigned f = 0; f < FUNCTIONS; f++) write_function(f, f);
  for (unsigned change = 0; change < CHANGES; change++) {
    write_function(change % FUNCTIONS, (uint32_t)x);
    for (unsigned i = 0; i < CALLS; i++) x = call(i % FUNCTIONS, x + i);
  }
  return x;
}

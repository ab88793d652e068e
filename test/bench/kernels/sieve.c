/* Byte stores with strides: the sieve of Eratosthenes over 256 KiB. */
#include "unit.h"

enum { LIMIT = 1 << 18 };

static uint8_t composite[LIMIT];

uint64_t unit(uint64_t seed) {
  (void)seed;
  uint64_t sum = 0;
  for (unsigned i = 0; i < LIMIT; i++) composite[i] = 0;
  for (unsigned i = 2; i < LIMIT; i++) {
    if (composite[i]) continue;
    sum += i;
    for (unsigned multiple = 2 * i; multiple < LIMIT; multiple += i) composite[multiple] = 1;
  }
  return sum;
}

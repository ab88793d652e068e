/* Integer arithmetic: a xorshift generator that updates a table at random places. */
#include "unit.h"

enum { ENTRIES = 4096, ROUNDS = 250000 };

static uint64_t table[ENTRIES];

uint64_t unit(uint64_t x) {
  uint64_t sum = 0;
  for (unsigned i = 0; i < ROUNDS; i++) {
    x = next_random(x);
    uint64_t *entry = &table[x % ENTRIES];
    *entry += x;
    sum ^= *entry * 0x2545f4914f6cdd1d;
  }
  return sum;
}

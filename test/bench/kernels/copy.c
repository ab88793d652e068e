/* Loads and stores one after the other: 512 KiB copied in 64-bit words. */
#include "unit.h"

enum { WORDS = 1 << 16, ROUNDS = 10 };

static uint64_t source[WORDS], target[WORDS];

uint64_t unit(uint64_t x) {
  source[x % WORDS] ^= x;
  uint64_t sum = 0;
  for (unsigned round = 0; round < ROUNDS; round++) {
    source[round] += x;
    for (unsigned i = 0; i < WORDS; i++) target[i] = source[i];
    sum += target[(x >> 16) % WORDS] + target[round];
  }
  return sum;
}

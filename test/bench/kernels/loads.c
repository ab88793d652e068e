/* Random loads over 64 MiB: more pages than a translation look-aside buffer holds. */
#include "unit.h"

enum { WORDS = 64 << 17, LOADS = 60000 };

static uint64_t words[WORDS];

uint64_t unit(uint64_t x) {
  uint64_t sum = 0;
  for (unsigned i = 0; i < LOADS; i++) {
    x = next_random(x);
    sum += words[x % WORDS] + i;
  }
  words[x % WORDS] = sum;
  return sum;
}

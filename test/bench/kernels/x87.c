/* The x87 FPU: a continued fraction in double extended precision. */
#include "unit.h"
#include "vector.h"

enum { STEPS = 5000 };

static uint64_t __attribute__((noinline)) fraction(uint64_t x) {
  long double value = (long double)(int64_t)(x >> 40), step = 1.0L;
  for (unsigned i = 0; i < STEPS; i++) {
    value = (value * step + 3.0L) / (value - step * 0.25L);
    step += 0.125L;
  }
  return next_random(x + (uint64_t)(int64_t)(value * 4294967296.0L));
}

uint64_t unit(uint64_t x) {
  enable_vectors();
  return fraction(x);
}

/* What each kernel of this folder defines. */
#pragma once

#include <stdint.h>

/* A hundredth of the benchmark. Each unit gets the result of the one before, so that none can be left out. */
uint64_t unit(uint64_t seed);

/* xorshift64: the numbers that the kernels work on. */
static inline uint64_t next_random(uint64_t x) {
  x ^= x << 13;
  x ^= x >> 7;
  x ^= x << 17;
  return x;
}

/* The checksum of n units. */
static inline uint64_t checksum(uint64_t n) {
  uint64_t sum = 0x9e3779b97f4a7c15;
  for (uint64_t i = 0; i < n; i++) sum = next_random(sum ^ i) + unit(sum);
  return sum;
}

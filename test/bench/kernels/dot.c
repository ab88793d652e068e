/* AVX2: dot products of 4,096 single-precision numbers, eight at a time, and the same of integers. */
#include "unit.h"
#include "vector.h"

enum { LENGTH = 4096, ROUNDS = 300 };

typedef float eight __attribute__((vector_size(32)));
typedef int32_t integers __attribute__((vector_size(32)));

static float a[LENGTH] __attribute__((aligned(32))), b[LENGTH] __attribute__((aligned(32)));
static int32_t m[LENGTH] __attribute__((aligned(32))), n[LENGTH] __attribute__((aligned(32)));

static uint64_t __attribute__((noinline)) products(uint64_t x) {
  for (unsigned i = 0; i < LENGTH; i++) {
    x = next_random(x);
    a[i] = (float)(int32_t)(x & 0xffff) * 0.01f;
    b[i] = (float)(int32_t)(x >> 52) * 0.07f;
    m[i] = (int32_t)x;
    n[i] = (int32_t)(x >> 32);
  }
  uint64_t result = x;
  for (unsigned round = 0; round < ROUNDS; round++) {
    eight sum = {0};
    integers total = {0};
    for (unsigned i = 0; i < LENGTH; i += 8) {
      sum += *(const eight *)&a[i] * *(const eight *)&b[i];
      total += *(const integers *)&m[i] * *(const integers *)&n[i];
    }
    a[round] += 1.0f;
    float floats = sum[0] + sum[1] + sum[2] + sum[3] + sum[4] + sum[5] + sum[6] + sum[7];
    result = next_random(result + (uint64_t)(int64_t)floats + (uint32_t)total[round & 7]);
  }
  return result;
}

uint64_t unit(uint64_t x) {
  enable_vectors();
  return products(x);
}

/* AES-NI: four blocks through ten rounds, again and again. */
#include "unit.h"
#include "vector.h"

enum { ROUNDS = 10, BLOCKS = 4, TIMES = 10000 };

typedef long long block __attribute__((vector_size(16)));

static uint64_t __attribute__((noinline)) encrypt(uint64_t x) {
  block keys[ROUNDS + 1], data[BLOCKS];
  for (unsigned i = 0; i <= ROUNDS; i++) keys[i] = (block){(int64_t)(x = next_random(x)), (int64_t)(x >> 3)};
  for (unsigned i = 0; i < BLOCKS; i++) data[i] = (block){(int64_t)(x = next_random(x)), (int64_t)(x << 5)};
  for (unsigned time = 0; time < TIMES; time++) {
    for (unsigned i = 0; i < BLOCKS; i++) data[i] ^= keys[0];
    for (unsigned round = 1; round < ROUNDS; round++)
      for (unsigned i = 0; i < BLOCKS; i++) data[i] = __builtin_ia32_aesenc128(data[i], keys[round]);
    for (unsigned i = 0; i < BLOCKS; i++) data[i] = __builtin_ia32_aesenclast128(data[i], keys[ROUNDS]);
  }
  uint64_t sum = 0;
  for (unsigned i = 0; i < BLOCKS; i++) sum = next_random(sum ^ (uint64_t)data[i][0]) + (uint64_t)data[i][1];
  return sum;
}

uint64_t unit(uint64_t x) {
  enable_vectors();
  return encrypt(x);
}

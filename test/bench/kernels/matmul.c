/* SSE2: products of two 64 by 64 matrices of doubles, two elements at a time. */
#include "unit.h"
#include "vector.h"

enum { SIZE = 64, ROUNDS = 6 };

typedef double pair __attribute__((vector_size(16)));

static double a[SIZE][SIZE], b[SIZE][SIZE], c[SIZE][SIZE] __attribute__((aligned(16)));

static uint64_t __attribute__((noinline)) products(uint64_t x) {
  for (unsigned i = 0; i < SIZE; i++)
    for (unsigned j = 0; j < SIZE; j++) {
      x = next_random(x);
      a[i][j] = (double)(x & 0xfff) * 0.1;
      b[i][j] = (double)(x >> 52) * 0.3;
    }
  for (unsigned round = 0; round < ROUNDS; round++)
    for (unsigned i = 0; i < SIZE; i++)
      for (unsigned j = 0; j < SIZE; j += 2) {
        pair sum = {0, 0};
        for (unsigned k = 0; k < SIZE; k++) {
          pair factor = {a[i][k], a[i][k]};
          sum += factor * *(const pair *)&b[k][j];
        }
        *(pair *)&c[i][j] = sum;
      }
  double sum = 0;
  for (unsigned i = 0; i < SIZE; i++) sum += c[i][(i * 7) % SIZE];
  return (uint64_t)(int64_t)sum + x;
}

uint64_t unit(uint64_t x) {
  enable_vectors();
  return products(x);
}

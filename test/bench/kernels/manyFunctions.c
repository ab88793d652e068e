/* 300 KiB of hot code: 1,024 functions, called one after the other, again and again. */
#include "unit.h"

enum { ROUNDS = 60 };

static uint64_t data[1024];

#define ROL(x, n) ((x) << (n) | (x) >> (64 - (n)))
/* Each function is different; `n` is a constant. */
#define STEP(n, k) \
  a = ROL(a, ((n) * 7 + (k) * 3) % 63 + 1) ^ (b + (n) * 0x1234567u); \
  if ((a & 15) == ((n) + (k)) % 16) b += data[(a >> 7) % 1024]; \
  else b ^= a >> ((n) % 13 + 1); \
  data[((n) * 5 + (k)) % 1024] += a;
#define FUNCTION(n) \
  static uint64_t __attribute__((noinline, noclone)) f##n(uint64_t a, uint64_t b) { \
    STEP(0x##n, 0) STEP(0x##n, 1) STEP(0x##n, 2) STEP(0x##n, 3) \
    return a + b; \
  }
#define FUNCTIONS_16(n) \
  FUNCTION(n##0) FUNCTION(n##1) FUNCTION(n##2) FUNCTION(n##3) FUNCTION(n##4) FUNCTION(n##5) FUNCTION(n##6) FUNCTION(n##7) \
  FUNCTION(n##8) FUNCTION(n##9) FUNCTION(n##a) FUNCTION(n##b) FUNCTION(n##c) FUNCTION(n##d) FUNCTION(n##e) FUNCTION(n##f)
#define ROW(n) \
  x = f##n##0(x, sum); x = f##n##1(x, sum); x = f##n##2(x, sum); x = f##n##3(x, sum); x = f##n##4(x, sum); x = f##n##5(x, sum); \
  x = f##n##6(x, sum); x = f##n##7(x, sum); x = f##n##8(x, sum); x = f##n##9(x, sum); x = f##n##a(x, sum); x = f##n##b(x, sum); \
  x = f##n##c(x, sum); x = f##n##d(x, sum); x = f##n##e(x, sum); x = f##n##f(x, sum);
#define GROUP(n) \
  FUNCTIONS_16(n##0) FUNCTIONS_16(n##1) FUNCTIONS_16(n##2) FUNCTIONS_16(n##3) FUNCTIONS_16(n##4) FUNCTIONS_16(n##5) \
  FUNCTIONS_16(n##6) FUNCTIONS_16(n##7) FUNCTIONS_16(n##8) FUNCTIONS_16(n##9) FUNCTIONS_16(n##a) FUNCTIONS_16(n##b) \
  FUNCTIONS_16(n##c) FUNCTIONS_16(n##d) FUNCTIONS_16(n##e) FUNCTIONS_16(n##f) \
  static uint64_t __attribute__((noinline)) group##n(uint64_t x, uint64_t sum) { \
    ROW(n##0) ROW(n##1) ROW(n##2) ROW(n##3) ROW(n##4) ROW(n##5) ROW(n##6) ROW(n##7) \
    ROW(n##8) ROW(n##9) ROW(n##a) ROW(n##b) ROW(n##c) ROW(n##d) ROW(n##e) ROW(n##f) \
    return x; \
  }
GROUP(0)
GROUP(1)
GROUP(2)
GROUP(3)

uint64_t unit(uint64_t x) {
  uint64_t sum = 0;
  for (unsigned round = 0; round < ROUNDS; round++) {
    sum += x;
    x = group0(x, sum);
    x = group1(x, sum);
    x = group2(x, sum);
    x = group3(x, sum);
  }
  return x + sum;
}

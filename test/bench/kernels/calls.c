/* Calls and returns: Fibonacci numbers, as the definition has them. */
#include "unit.h"

enum { DEPTH = 25 };

static uint64_t fibonacci(uint64_t n) __attribute__((noinline, noclone));

static uint64_t fibonacci(uint64_t n) { return n < 2 ? n : fibonacci(n - 1) + fibonacci(n - 2); }

uint64_t unit(uint64_t x) { return fibonacci(DEPTH - x % 2); }

/* Indirect branches: a small machine whose program is random, with a switch and calls through pointers. */
#include "unit.h"

enum { STEPS = 150000, PROGRAM = 4096, OPERATIONS = 16, FUNCTIONS = 8 };

static uint8_t program[PROGRAM];

#define FUNCTION(name, expression) \
  static uint64_t __attribute__((noinline)) name(uint64_t a, uint64_t b) { return expression; }
FUNCTION(add, a + b)
FUNCTION(subtract, a - b)
FUNCTION(exclusive_or, a ^ b)
FUNCTION(multiply, a * (b | 1))
FUNCTION(rotate, a << (b & 31) | a >> (63 - (b & 31)))
FUNCTION(either, a | b)
FUNCTION(negate, ~a + b)
FUNCTION(swap_bytes, __builtin_bswap64(a) + b)

static uint64_t (*const functions[FUNCTIONS])(uint64_t, uint64_t) = {
    add, subtract, exclusive_or, multiply, rotate, either, negate, swap_bytes,
};

uint64_t unit(uint64_t x) {
  for (unsigned i = 0; i < PROGRAM; i++) program[i] = (uint8_t)(x = next_random(x));
  uint64_t a = x, b = x >> 7, at = 0;
  for (unsigned step = 0; step < STEPS; step++) {
    uint8_t operation = program[at++ % PROGRAM];
    switch (operation % OPERATIONS) {
      case 0: a += b; break;
      case 1: b ^= a >> 3; break;
      case 2: a = a * 5 + 1; break;
      case 3: b -= operation; break;
      case 4: at += a & 7; break;
      case 5: a ^= at; break;
      case 6: b = b << 1 | b >> 63; break;
      case 7: a = functions[operation >> 4 & 7](a, b); break;
      case 8: b = functions[operation >> 4 & 7](b, a); break;
      case 9: a -= b & 0xff; break;
      case 10: b += 0x9e3779b9; break;
      case 11: a = functions[a & 7](a, b); break;
      case 12: a &= b | 0xff00ff00ff00ff; break;
      case 13: b = ~b; break;
      case 14: a += at * 3; break;
      default: b += a & 0xffff; break;
    }
  }
  return a + b;
}

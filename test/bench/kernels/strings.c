/* Repeated string instructions: REP MOVSB, MOVSQ and STOSQ over pages and over a few bytes. */
#include "unit.h"

enum { BYTES = 1 << 16, ROUNDS = 24, SHORT = 2000 };

static uint8_t source[BYTES + 64], target[BYTES + 64];

static void move_bytes(void *to, const void *from, uint64_t count) {
  __asm__ volatile("rep movsb" : "+D"(to), "+S"(from), "+c"(count) : : "memory");
}

static void move_quadwords(void *to, const void *from, uint64_t count) {
  __asm__ volatile("rep movsq" : "+D"(to), "+S"(from), "+c"(count) : : "memory");
}

static void store_quadwords(void *to, uint64_t value, uint64_t count) {
  __asm__ volatile("rep stosq" : "+D"(to), "+c"(count) : "a"(value) : "memory");
}

uint64_t unit(uint64_t x) {
  uint64_t sum = 0;
  for (unsigned round = 0; round < ROUNDS; round++) {
    store_quadwords(source + round % 8, x + round, BYTES / 8);
    source[(x + round) % BYTES] ^= 1;
    move_quadwords(target, source + 3, BYTES / 8);
    move_bytes(source + 5, target + 1, BYTES / 2);
    sum += source[(x >> 16) % BYTES] + target[(x >> 32) % BYTES];
  }
  for (unsigned i = 0; i < SHORT; i++) {
    uint64_t length = (x >> (i % 32)) % 48;
    move_bytes(target + i, source + i, length);
    sum += target[i + length / 2];
  }
  return sum;
}

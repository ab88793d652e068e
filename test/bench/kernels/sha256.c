/* Rotations and additions of 32 bits: SHA-256 (FIPS 180-4) of 64 KiB. Its constants are computed as the standard defines
 * them: the first 32 bits of the fractional parts of the square and cube roots of the first primes. */
#include "unit.h"

enum { BLOCK_WORDS = 16, ROUNDS = 64, STATE_WORDS = 8, BLOCKS = 1024 };

static uint32_t round_constants[ROUNDS], initial_state[STATE_WORDS];

/* Whether root, which has 32 bits of fraction, is at most the root of the prime. */
static int root_is_at_most(uint64_t root, unsigned power, unsigned prime) {
  unsigned __int128 square = (unsigned __int128)root * root;
  if (power == 2) return square <= (unsigned __int128)prime << 64;
  return square * root <= (unsigned __int128)prime << 96;
}

static uint32_t fraction_of_root(unsigned power, unsigned prime) {
  uint64_t root = 0;
  for (int bit = 36; bit >= 0; bit--) { /* roots are below 32 */
    uint64_t tried = root | 1ull << bit;
    if (root_is_at_most(tried, power, prime)) root = tried;
  }
  return (uint32_t)root;
}

static void compute_constants(void) {
  unsigned count = 0;
  for (unsigned candidate = 2; count < ROUNDS; candidate++) {
    unsigned divisor = 2;
    while (candidate % divisor) divisor++;
    if (divisor != candidate) continue;
    if (count < STATE_WORDS) initial_state[count] = fraction_of_root(2, candidate);
    round_constants[count++] = fraction_of_root(3, candidate);
  }
}

static inline uint32_t rotate_right(uint32_t x, unsigned count) { return x >> count | x << (32 - count); }

static void hash_block(uint32_t state[STATE_WORDS], const uint32_t block[BLOCK_WORDS]) {
  uint32_t w[ROUNDS];
  for (unsigned t = 0; t < BLOCK_WORDS; t++) w[t] = block[t];
  for (unsigned t = BLOCK_WORDS; t < ROUNDS; t++) {
    uint32_t s0 = rotate_right(w[t - 15], 7) ^ rotate_right(w[t - 15], 18) ^ w[t - 15] >> 3;
    uint32_t s1 = rotate_right(w[t - 2], 17) ^ rotate_right(w[t - 2], 19) ^ w[t - 2] >> 10;
    w[t] = w[t - 16] + s0 + w[t - 7] + s1;
  }
  uint32_t a = state[0], b = state[1], c = state[2], d = state[3];
  uint32_t e = state[4], f = state[5], g = state[6], h = state[7];
  for (unsigned t = 0; t < ROUNDS; t++) {
    uint32_t s1 = rotate_right(e, 6) ^ rotate_right(e, 11) ^ rotate_right(e, 25);
    uint32_t t1 = h + s1 + ((e & f) ^ (~e & g)) + round_constants[t] + w[t];
    uint32_t s0 = rotate_right(a, 2) ^ rotate_right(a, 13) ^ rotate_right(a, 22);
    uint32_t t2 = s0 + ((a & b) ^ (a & c) ^ (b & c));
    h = g, g = f, f = e, e = d + t1, d = c, c = b, b = a, a = t1 + t2;
  }
  state[0] += a, state[1] += b, state[2] += c, state[3] += d;
  state[4] += e, state[5] += f, state[6] += g, state[7] += h;
}

uint64_t unit(uint64_t x) {
  if (!round_constants[0]) compute_constants();
  uint32_t state[STATE_WORDS], block[BLOCK_WORDS];
  for (unsigned i = 0; i < STATE_WORDS; i++) state[i] = initial_state[i];
  for (unsigned i = 0; i < BLOCK_WORDS; i++) block[i] = (uint32_t)(x >> i);
  for (unsigned i = 0; i < BLOCKS; i++) {
    block[0] = i;
    hash_block(state, block);
  }
  return (uint64_t)state[0] << 32 | state[1];
}

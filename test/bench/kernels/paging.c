/* Page tables under stress: pages of 4 KiB mapped, written through, remapped and invalidated. Elsewhere than on the bare machine
 * an array of page numbers stands for the page table. */
#include "unit.h"

enum { SLOTS = 64, FRAMES = 128, ROUNDS = 8000, WORDS = 512 };

static uint64_t frames[FRAMES][WORDS] __attribute__((aligned(4096)));

#if __STDC_HOSTED__
static unsigned mapped[SLOTS];
static void prepare(void) {}
static void map(unsigned slot, unsigned frame) { mapped[slot] = frame; }
static uint64_t *word(unsigned slot, unsigned index) { return &frames[mapped[slot]][index]; }
#else
#include "cpu.h"
enum { PRESENT = 1, WRITABLE = 2 };
static const uint64_t WINDOW = 1ull << 32; /* the fifth GiB */

static uint64_t directory[WORDS] __attribute__((aligned(4096)));
static uint64_t table[WORDS] __attribute__((aligned(4096)));

static void prepare(void) {
  if (directory[0]) return;
  uint64_t *top = (uint64_t *)(read_cr3() & ~0xfffull);
  uint64_t *pointers = (uint64_t *)(top[0] & ~0xfffull);
  directory[0] = (uint64_t)table | PRESENT | WRITABLE;
  pointers[4] = (uint64_t)directory | PRESENT | WRITABLE;
}

static uint64_t *word(unsigned slot, unsigned index) { return (uint64_t *)(WINDOW + slot * 4096 + index * 8); }

static void map(unsigned slot, unsigned frame) {
  table[slot] = (uint64_t)frames[frame] | PRESENT | WRITABLE;
  __asm__ volatile("invlpg (%0)" : : "r"(word(slot, 0)) : "memory");
}
#endif

uint64_t unit(uint64_t x) {
  prepare();
  for (unsigned slot = 0; slot < SLOTS; slot++) map(slot, slot);
  uint64_t sum = 0;
  for (unsigned round = 0; round < ROUNDS; round++) {
    x = next_random(x);
    unsigned slot = x % SLOTS;
    map(slot, (x >> 8) % FRAMES);
    for (unsigned i = 0; i < 8; i++) {
      uint64_t *place = word((slot + i) % SLOTS, (x >> (16 + i)) % WORDS);
      sum += *place;
      *place = sum ^ x;
    }
  }
  return sum;
}

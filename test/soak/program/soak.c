/* Runs for ever what wears a translator out: code in fresh pages, hot for a moment; functions that are written anew between
 * calls; code and data that are mapped elsewhere all the time. Ends with a failure where generated code gives anything else
 * than the compiler's. */
#include <stdint.h>

#include "cpu.h"
#include "power.h"

enum {
  PRESENT = 1,
  WRITABLE = 2,
  PAGE = 4096,
  /* More code than the machine keeps decoded: it is forgotten before a page is used again. */
  POOL_PAGES = 6144,
  FRESH_PAGES = 48,
  /* Instructions that generated code executes before the next. */
  HOT = 400000,
  SLOTS = 64,
  PATCHES = 40,
  CALLS = 100,
  PATCHED_FUNCTIONS = 4,
  PATCHED_BYTES = 256,
};

static uint8_t *const POOL = (uint8_t *)(16u << 20);
static const uint64_t WINDOW = 1ull << 32;

static uint64_t directory[512] __attribute__((aligned(PAGE)));
static uint64_t table[512] __attribute__((aligned(PAGE)));
static uint8_t patched[PATCHED_FUNCTIONS][PATCHED_BYTES] __attribute__((aligned(PAGE)));

/* What another program reads from outside. */
volatile uint64_t rounds;

typedef uint64_t function(uint64_t x, uint64_t times);

static uint64_t state = 0x9e3779b97f4a7c15;

static uint64_t next_random(void) {
  state ^= state << 13;
  state ^= state >> 7;
  state ^= state << 17;
  return state;
}

static uint8_t *emit(uint8_t *to, const char *bytes, unsigned count) {
  for (unsigned i = 0; i < count; i++) *to++ = (uint8_t)bytes[i];
  return to;
}

static uint8_t *emit32(uint8_t *to, uint32_t value) {
  for (unsigned i = 0; i < 4; i++) *to++ = (uint8_t)(value >> 8 * i);
  return to;
}

/* Writes a function that repeats `count` operations; gives what they make of x once. */
static uint64_t write_function(uint8_t *to, unsigned count, uint64_t x) {
  to = emit(to, "\x48\x89\xf8", 3);     /* mov %rdi, %rax */
  to = emit(to, "\x48\x89\xf1", 3);     /* mov %rsi, %rcx */
  uint8_t *const again = to;
  for (unsigned i = 0; i < count; i++) {
    uint64_t random = next_random();
    uint32_t immediate = (uint32_t)(random >> 8) & 0x7fffffff;
    switch (random & 3) {
      case 0:
        to = emit32(emit(to, "\x48\x05", 2), immediate); /* add $immediate, %rax */
        x += immediate;
        break;
      case 1:
        to = emit32(emit(to, "\x48\x35", 2), immediate); /* xor $immediate, %rax */
        x ^= immediate;
        break;
      case 2:
        to = emit(to, "\x48\xc1\xc0\x0b", 4); /* rol $11, %rax */
        x = x << 11 | x >> 53;
        break;
      default:
        to = emit(to, "\x48\x8d\x04\x40", 4); /* lea (%rax, %rax, 2), %rax */
        x *= 3;
    }
  }
  to = emit(to, "\x48\xff\xc9\x0f\x85", 5); /* dec %rcx; jnz again */
  to = emit32(to, (uint32_t)(again - (to + 4)));
  emit(to, "\xc3", 1); /* ret */
  return x;
}

static void map(unsigned slot, const uint8_t *frame) {
  uint64_t linear = WINDOW + slot * PAGE;
  table[slot] = (uint64_t)frame | PRESENT | WRITABLE;
  __asm__ volatile("invlpg (%0)" : : "r"(linear) : "memory");
}

static void check(uint64_t is, uint64_t expected) {
  if (is != expected) exit_with_failure();
}

/* Every second function runs where it is mapped for the moment, not where it was written. */
static void run_fresh_pages(void) {
  static unsigned next;
  for (unsigned i = 0; i < FRESH_PAGES; i++) {
    uint8_t *page = POOL + (uint64_t)next * PAGE;
    next = (next + 1) % POOL_PAGES;
    uint64_t random = next_random();
    unsigned count = 32 + random % 480;
    uint64_t expected = write_function(page, count, random);
    function *entry = (function *)(uintptr_t)page;
    if (i & 1) {
      map(i % SLOTS, page);
      entry = (function *)(uintptr_t)(WINDOW + i % SLOTS * PAGE);
    }
    check(entry(random, 1), expected);
    entry(random, HOT / count);
  }
}

static void run_patched_functions(void) {
  for (unsigned i = 0; i < PATCHES; i++) {
    uint8_t *code = patched[i % PATCHED_FUNCTIONS];
    uint64_t x = next_random();
    uint64_t expected = write_function(code, 4 + i % 8, x);
    for (unsigned call = 0; call < CALLS; call++) check(((function *)(uintptr_t)code)(x, 1), expected);
  }
}

/* Data in the window, in frames that have code too. */
static void remap_data(void) {
  for (unsigned i = 0; i < 1000; i++) {
    uint64_t random = next_random();
    unsigned slot = random % SLOTS;
    uint8_t *frame = POOL + (random >> 8) % POOL_PAGES * PAGE;
    map(slot, frame);
    volatile uint64_t *word = (uint64_t *)(WINDOW + slot * PAGE + PAGE - 8);
    *word = random;
    check(*(volatile uint64_t *)(frame + PAGE - 8), random);
  }
}

void kmain(void) {
  uint64_t *top = (uint64_t *)(read_cr3() & ~0xfffull);
  uint64_t *pointers = (uint64_t *)(top[0] & ~0xfffull);
  directory[0] = (uint64_t)table | PRESENT | WRITABLE;
  pointers[4] = (uint64_t)directory | PRESENT | WRITABLE;
  for (;;) {
    run_fresh_pages();
    run_patched_functions();
    remap_data();
    if (rounds++ % 64 == 0) __asm__ volatile("mov %0, %%cr3" : : "r"(read_cr3()) : "memory");
  }
}

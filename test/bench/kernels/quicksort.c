/* Branches that cannot be foreseen: 32,768 random words sorted. */
#include "unit.h"

enum { WORDS = 1 << 15 };

static uint64_t words[WORDS];

static void sort(uint64_t *first, uint64_t *last) {
  while (first < last) {
    uint64_t pivot = first[(last - first) / 2];
    uint64_t *left = first, *right = last;
    while (left <= right) {
      while (*left < pivot) left++;
      while (*right > pivot) right--;
      if (left > right) break;
      uint64_t word = *left;
      *left++ = *right;
      *right-- = word;
    }
    sort(first, right);
    first = left;
  }
}

uint64_t unit(uint64_t x) {
  for (unsigned i = 0; i < WORDS; i++) words[i] = x = next_random(x);
  sort(words, words + WORDS - 1);
  uint64_t sum = 0;
  for (unsigned i = 0; i < WORDS; i++) sum += words[i] * (i + 1);
  return sum;
}

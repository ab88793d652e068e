/* Loads that wait for each other: a list of 16,384 nodes in random order, searched for nodes. */
#include "unit.h"

enum { NODES = 1 << 14, PASSES = 12 };

static struct node {
  struct node *next;
  uint64_t value, padding[2];
} nodes[NODES];
static uint32_t order[NODES];

uint64_t unit(uint64_t x) {
  for (unsigned i = 0; i < NODES; i++) order[i] = i;
  for (unsigned i = NODES - 1; i > 0; i--) {
    x = next_random(x);
    unsigned other = x % (i + 1);
    uint32_t saved = order[i];
    order[i] = order[other];
    order[other] = saved;
  }
  for (unsigned i = 0; i < NODES; i++) {
    nodes[order[i]].next = i + 1 < NODES ? &nodes[order[i + 1]] : 0;
    nodes[order[i]].value = x + i;
  }
  uint64_t sum = 0;
  for (unsigned pass = 0; pass < PASSES; pass++) {
    for (struct node *node = &nodes[order[0]]; node; node = node->next) {
      if ((node->value & 7) == pass % 8) sum += node->value;
      node->value ^= sum;
    }
  }
  return sum;
}

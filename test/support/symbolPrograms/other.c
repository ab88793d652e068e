#include "inlined.h"

static unsigned long long seed = 1;
extern int shared_counter;

static int factorial(int n)
{
  return n < 2 ? 1 : n * factorial(n - 1);
}

int other_work(int value)
{
  int result = clamp(value, 1, 50);
  seed = seed * 6364136223846793005ull + shared_counter;
  result += twice((int)(seed >> 33));
  switch (result & 3) {
  case 0:
    return factorial(4);
  case 1:
    return clamp(result, -5, 5);
  default:
    return result;
  }
}

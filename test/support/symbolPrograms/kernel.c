#include "inlined.h"

struct point {
  int x, y;
};

extern int shared_counter;
int shared_counter = 7;
static const char *const names[3] = {"one", "two", "three"};
volatile unsigned long long ticks;
struct point origin = {1, 2};
int (*handler)(int, char *);
unsigned char page[2][16];
static int hidden;

int other_work(int value);
long asm_add(long a, long b);

static int one_line(int x) { return x * 3 + hidden; }

/* A comment, so that breakpoints here move down. */

static int factorial(int n)
{
  if (n <= 1)
    return 1;
  return n * factorial(n - 1);
}

__attribute__((noinline)) int sum(const int *values, int count)
{
  int total = 0;
  for (int i = 0; i < count; i++) {
    total += clamp(values[i], 0, 100);
    if (values[i] == 13)
      total = twice(total);
  }
  return total;
}

__attribute__((cold, noinline)) void panic(const char *why)
{
  static int panics;
  panics++;
  page[0][0] = why[0];
  for (;;)
    ;
}

__attribute__((noinline)) int check(int value)
{
  char big[64];
  for (int i = 0; i < 64; i++)
    big[i] = (char)(value + i);
  if (value < 0)
    panic(names[0]);
  if (value > 1000) {
    panic(names[1]);
  }
  return big[value & 63] + one_line(value);
}

void kmain(void)
{
  static int calls;
  int values[4] = {1, 13, 200, -4};
  calls++;
  ticks += sum(values, 4);
  ticks += factorial(5);
  ticks += twice(check(calls));
  ticks += other_work(calls);
  ticks += asm_add(calls, 2);
  handler = 0;
}

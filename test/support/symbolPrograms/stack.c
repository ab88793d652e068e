#include <signal.h>
#include <stdlib.h>
#include <string.h>

volatile int sink;

__attribute__((noinline)) void leaf(int depth)
{
  sink = depth;
}

__attribute__((noinline)) static int compare(const void *left, const void *right)
{
  int difference = *(const int *)left - *(const int *)right;
  raise(SIGUSR1);
  return difference;
}

static void on_signal(int number)
{
  char buffer[number * 3];
  memset(buffer, number, sizeof buffer);
  leaf(buffer[1]);
  sink++;
}

__attribute__((noinline)) int sort(int count)
{
  int values[count];
  for (int i = 0; i < count; i++)
    values[i] = (i * 7) % 5;
  qsort(values, count, sizeof *values, compare);
  return values[0];
}

int main(int argc, char **argv)
{
  signal(SIGUSR1, on_signal);
  return sort(4 + argc) + argv[0][0];
}

/* Variables of every kind, for comparing what the debugger shows with what gdb shows. Runs without a C library. */
typedef unsigned char u8;
typedef unsigned int u32;
typedef _Bool boolean;

enum color { RED, GREEN = 5, BLUE = -3 };
enum flags { READ = 1, WRITE = 2, EXEC = 4 };

struct point {
  int x, y;
};

struct bits {
  unsigned low : 3;
  int sign : 5;
  unsigned long long wide : 40;
  enum color color : 8;
  boolean set : 1;
};

union number {
  u32 word;
  float real;
  u8 bytes[4];
};

struct node {
  struct node *next;
  const char *name;
  struct point at;
  union {
    long key;
    char letter;
  };
  enum flags flags;
};

struct opaque;

extern int shared_value;
static struct point grid[2][3] = {{{1, 2}, {3, 4}, {5, 6}}, {{7, 8}, {9, 10}, {11, 12}}};
static struct node last = {0, "last", {-1, -2}, {'x'}, READ | EXEC};
static struct node first = {&last, "first \"quoted\"\n", {10, 20}, {'A'}, WRITE};
int shared_value = 42;
const volatile u8 table[4] = {1, 2, 0xff, 'a'};

__attribute__((noinline)) void stop(void) { __asm__ volatile("" ::: "memory"); }

__attribute__((noinline)) static long add(long left, long right) { return left + right; }

static inline __attribute__((always_inline)) int inlined(int factor, const struct point *where) {
  int product = factor * where->x;
  stop();
  return product + where->y;
}

__attribute__((noinline)) int arrays(int count, const int (*rows)[3]) {
  int values[count];
  char text[8] = "abc";
  short matrix[2][3] = {{1, -2, 3}, {4, 5, -6}};
  for (int i = 0; i < count; i++) values[i] = i * i;
  {
    int count = 7;
    long value = rows[1][2];
    values[0] = (int)value + count;
    stop();
    values[1] += matrix[1][0] + text[0];
  }
  return values[0] + values[1];
}

__attribute__((noinline)) int scalars(signed char small, unsigned short medium, long long large, u8 byte) {
  float real = 1.5f;
  double precise = -0.25;
  long double extended = 2.75L;
  boolean yes = small != 0;
  enum color color = BLUE;
  enum flags flags = (enum flags)(READ | EXEC);
  void *nothing = 0;
  int (*function)(int, const int (*)[3]) = arrays;
  unsigned long long huge = 0xfedcba9876543210ull;
  stop();
  return (int)(real + precise + extended) + yes + color + (int)flags + (nothing != 0) + (function != 0) + medium +
         (int)large + byte + (int)huge;
}

__attribute__((noinline)) int structures(struct point at, struct node *node, struct opaque *opaque) {
  struct bits bits = {5, -7, 0x123456789aull, BLUE, 1};
  union number number = {0x3fc00000};
  struct node copy = *node;
  struct point *where = &grid[1][2];
  static int calls = 3;
  calls++;
  bits.low = at.x & 7;
  stop();
  return bits.sign + (int)number.word + copy.at.x + where->y + (opaque != 0) + (int)bits.wide;
}

__attribute__((noinline)) int work(int argument) {
  struct point here = {argument, 4};
  int sum = inlined(argument, &here);
  int rows[2][3] = {{1, 2, 3}, {4, 5, 6}};
  sum += arrays(argument, (const int (*)[3])rows);
  sum += scalars(-5, 65535, -1234567890123ll, 'z');
  sum += structures(here, &first, (struct opaque *)0);
  sum += (int)add(sum, argument);
  return sum + shared_value + table[2];
}

void _start(void) {
  volatile int result = work(3);
  (void)result;
  for (;;) __asm__ volatile("int3");
}

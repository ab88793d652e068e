/* A flat 64-bit program for the conversations with the debug adapter: its lines are named in the golden texts. */
typedef unsigned char uint8_t;
typedef unsigned short uint16_t;
typedef unsigned long uint64_t;

enum { SERIAL_PORT = 0x3f8, DEBUG_EXIT_PORT = 0xf4 };

volatile uint64_t counter;
int numbers[4] = {1, 2, 3, 4};
const char *greeting = "Hello\n";

static void out(uint16_t port, uint8_t value) { __asm__ volatile("outb %0, %1" : : "a"(value), "Nd"(port)); }

static inline __attribute__((always_inline)) int twice(int value) {
  counter++;
  return value * 2;
}

static void print(const char *text) {
  while (*text) out(SERIAL_PORT, (uint8_t)*text++);
}

int square(int value) {
  int result = value * value;
  counter += (uint64_t)result;
  return result;
}

int sum(int count) {
  if (count == 0) return 0;
  return count + sum(count - 1);
}

void tick(void);

void _start(void) {
  print(greeting);
  for (int i = 0; i < 4; i++) {
    numbers[i] = square(numbers[i]);
  }
  counter = (uint64_t)twice(21);
  counter += (uint64_t)sum(3);
  tick();
  print("Bye\n");
  out(DEBUG_EXIT_PORT, 3);
  for (;;) __asm__ volatile("hlt");
}

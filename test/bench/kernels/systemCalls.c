/* System calls: SYSCALL into a handler and SYSRET out of it, in ring 3 and ring 0. Elsewhere than on the bare machine the handler is
 * called. */
#include "unit.h"

enum { CALLS = 10000 };

#if __STDC_HOSTED__
static uint64_t system_call(uint64_t a, uint64_t b) { return a * 3 + b; }
static uint64_t loop(uint64_t x) {
  uint64_t a = x;
  for (uint64_t i = CALLS; i > 0; i--) a = system_call(a, i);
  return a;
}
#else
#include "cpu.h"
static uint64_t gdt[8] = {
    0,
    0x00af9a000000ffff, /* 0x08: code, ring 0 */
    0x00cf92000000ffff, /* 0x10: data, ring 0 */
    0,
    0x00cff2000000ffff, /* 0x20: data, ring 3 */
    0x00affa000000ffff, /* 0x28: code, ring 3 */
};

void system_call_entry(void);
uint64_t run_in_ring_3(uint64_t a, uint64_t count);
/* RAX is the first number and the result; RDX counts. The stack is that of ring 0 throughout. A count of 0 stays in ring 0. */
__asm__(
    ".text\n"
    "system_call_entry:\n"
    "  test %rdx, %rdx\n"
    "  jz 1f\n"
    "  lea (%rax,%rax,2), %rax\n"
    "  add %rdx, %rax\n"
    "  sysretq\n"
    "1: ret\n"
    "run_in_ring_3:\n"
    "  mov %rdi, %rax\n"
    "  mov %rsi, %rdx\n"
    "  lea 2f(%rip), %rcx\n"
    "  mov $2, %r11d\n"
    "  sysretq\n"
    "2: syscall\n"
    "  dec %rdx\n"
    "  jnz 2b\n"
    "  syscall\n");

static void make_tables_accessible(void) {
  uint64_t *top = (uint64_t *)(read_cr3() & ~0xfffull);
  uint64_t *pointers = (uint64_t *)(top[0] & ~0xfffull);
  uint64_t *directory = (uint64_t *)(pointers[0] & ~0xfffull);
  top[0] |= 4;
  pointers[0] |= 4;
  for (unsigned i = 0; i < 512; i++) directory[i] |= 4;
  __asm__ volatile("mov %0, %%cr3" : : "r"(read_cr3()) : "memory");
}

static void prepare(void) {
  static int done;
  if (done) return;
  done = 1;
  make_tables_accessible();
  struct __attribute__((packed)) {
    uint16_t limit;
    uint64_t base;
  } pointer = {sizeof gdt - 1, (uint64_t)gdt};
  __asm__ volatile("lgdt %0" : : "m"(pointer));
  write_msr(0xc0000080, 0x501); /* IA32_EFER: LMA, LME, SCE */
  write_msr(0xc0000081, 0x0018000800000000); /* IA32_STAR */
  write_msr(0xc0000082, (uint64_t)system_call_entry);
  write_msr(0xc0000084, 0);
}

static uint64_t loop(uint64_t x) {
  prepare();
  return run_in_ring_3(x, CALLS);
}
#endif

uint64_t unit(uint64_t x) { return loop(x); }

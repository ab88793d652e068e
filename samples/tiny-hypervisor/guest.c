/* The guest: it runs in VMX non-root operation, on the hypervisor's page tables and a stack of its own. */
#include "cpu.h"
#include "hypervisor.h"

enum {
  CONSOLE_PORT = 0x500, /* a device that only the hypervisor has */
  HYPERVISOR_LEAF = 0x40000000,
};
/* Guest-physical memory that the EPT does not map at first. */
static volatile uint64_t *const distant_memory = (volatile uint64_t *)0x20000000;

uint8_t guest_stack[PAGE_SIZE] __attribute__((aligned(16)));
__asm__(".globl guest_stack_end\n.set guest_stack_end, guest_stack + 4096");

static void say(const char *text) {
  while (*text) outb(CONSOLE_PORT, (uint8_t)*text++); /* each one is a VM exit: I/O instruction */
}

static void say_text(uint32_t word) {
  for (int i = 0; i < 4; i++) outb(CONSOLE_PORT, (uint8_t)(word >> 8 * i));
}

void guest_main(void) {
  struct cpuid leaf = cpuid(HYPERVISOR_LEAF); /* VM exit: CPUID */
  say("CPUID says I run under ");
  say_text(leaf.ebx);
  say_text(leaf.ecx);
  say_text(leaf.edx);
  say("\n");

  *distant_memory = 42; /* VM exit: EPT violation */
  say(*distant_memory == 42 ? "memory came when I wrote to it\n" : "memory is broken\n");

  __asm__ volatile("vmcall"); /* VM exit: VMCALL, which ends the guest */
  __builtin_unreachable();
}

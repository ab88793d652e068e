/*
 * The sample hypervisor with two mistakes that no VM entry reports: it enters with a misaligned stack, and it changes an EPT
 * entry that the guest has used, without INVEPT.
 */
#include "cpu.h"
#include "hypervisor.h"
#include "vmx.h"

#define MAPPED_LATER 0x20000000

static uint32_t vmxon_region[PAGE_SIZE / 4] __attribute__((aligned(PAGE_SIZE)));
static uint32_t vmcs_region[PAGE_SIZE / 4] __attribute__((aligned(PAGE_SIZE)));
uint8_t guest_stack[PAGE_SIZE] __attribute__((aligned(16)));
__asm__(".globl guest_stack_end\n.set guest_stack_end, guest_stack + 4096");

void guest_main(void) {
  volatile uint64_t *memory = (volatile uint64_t *)MAPPED_LATER;
  *memory = 1; /* EPT violation */
  cpuid(0);
  *memory = 2; /* where the TLB says, or where the changed EPT says */
  __asm__ volatile("vmcall");
}

/* enter_guest() writes HOST_RSP as its stack is. */
static void enter_misaligned(struct registers *guest, bool launched) {
  __asm__ volatile(
      "mov %%rsp, %%rbx\n\t"
      "sub $140, %%rsp\n\t"
      "call enter_guest\n\t"
      "mov %%rbx, %%rsp"
      : "+D"(guest)
      : "S"(launched)
      : "rax", "rbx", "rcx", "rdx", "r8", "r9", "r10", "r11", "memory", "cc");
}

void kmain(const void *boot) {
  (void)boot;
  write_cr0(read_cr0() | CR0_NE);
  write_cr4(read_cr4() | CR4_VMXE);
  uint64_t base = tss_base();
  gdt[TSS_SELECTOR / 8] = 0x67 | (base & 0xffffff) << 16 | 0x89ull << 40 | (base >> 24 & 0xff) << 56;
  vmxon_region[0] = vmcs_region[0] = (uint32_t)read_msr(IA32_VMX_BASIC);
  if (!vmxon((uint64_t)vmxon_region) || !vmclear((uint64_t)vmcs_region) || !vmptrld((uint64_t)vmcs_region)) return;
  set_up_vmcs();

  static struct registers guest;
  for (bool launched = false;; launched = true) {
    enter_misaligned(&guest, launched);
    uint64_t reason = vmread(VM_EXIT_REASON);
    if (reason == EXIT_CPUID) vmwrite(GUEST_RIP, vmread(GUEST_RIP) + vmread(VM_EXIT_INSTRUCTION_LENGTH));
    else if (reason != EXIT_EPT_VIOLATION) break;
    map_guest_memory(MAPPED_LATER);
  }
  outw(0x604, 5 << 10 | 1 << 13);
}

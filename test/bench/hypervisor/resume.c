/* The sample hypervisor with a guest that only leaves and a handler that resumes at once. */
#include "cpu.h"
#include "hypervisor.h"
#include "vmx.h"

static uint32_t vmxon_region[PAGE_SIZE / 4] __attribute__((aligned(PAGE_SIZE)));
static uint32_t vmcs_region[PAGE_SIZE / 4] __attribute__((aligned(PAGE_SIZE)));
uint8_t guest_stack[PAGE_SIZE] __attribute__((aligned(16)));
__asm__(".globl guest_stack_end\n.set guest_stack_end, guest_stack + 4096");

void guest_main(void) {
  for (unsigned i = 0; i < ROUND_TRIPS; i++) cpuid(0);
  __asm__ volatile("vmcall");
}

void kmain(const void *boot) {
  (void)boot;
  serial_init();
  write_cr0(read_cr0() | CR0_NE);
  write_cr4(read_cr4() | CR4_VMXE);
  uint64_t base = tss_base();
  gdt[TSS_SELECTOR / 8] = 0x67 | (base & 0xffffff) << 16 | 0x89ull << 40 | (base >> 24 & 0xff) << 56;
  vmxon_region[0] = vmcs_region[0] = (uint32_t)read_msr(IA32_VMX_BASIC);
  if (!vmxon((uint64_t)vmxon_region) || !vmclear((uint64_t)vmcs_region) || !vmptrld((uint64_t)vmcs_region)) return;
  set_up_vmcs();

  static struct registers guest;
  uint64_t exits = 0;
  for (bool launched = false; enter_guest(&guest, launched) == 0; launched = true) {
    exits++;
    if (vmread(VM_EXIT_REASON) != EXIT_CPUID) break;
    vmwrite(GUEST_RIP, vmread(GUEST_RIP) + vmread(VM_EXIT_INSTRUCTION_LENGTH));
  }
  put_hex(exits);
  put_string("\n");
  outw(0x604, 5 << 10 | 1 << 13);
}

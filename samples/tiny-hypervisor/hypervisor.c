/* A hypervisor of a few hundred lines: VMX operation, one VMCS, one guest, four reasons to exit. */
#include "cpu.h"
#include "hypervisor.h"
#include "vmx.h"

enum {
  CPUID_VMX = 1 << 5,
  FEATURE_CONTROL_LOCKED = 1,
  FEATURE_CONTROL_VMX = 1 << 2,
  MULTIBOOT_HAS_COMMAND_LINE = 1 << 2,
  DEBUG_EXIT = 0xf4, /* the status of the run is (value << 1) | 1 */
  PM1A_CONTROL = 0x604,
  SOFT_OFF = 5 << 10 | 1 << 13,
};

struct multiboot {
  uint32_t flags, memory_lower, memory_upper, boot_device, command_line;
};

static uint32_t vmxon_region[PAGE_SIZE / 4] __attribute__((aligned(PAGE_SIZE)));
static uint32_t vmcs_region[PAGE_SIZE / 4] __attribute__((aligned(PAGE_SIZE)));

static void fail(const char *what) __attribute__((noreturn));

static void fail(const char *what) {
  put_string("hypervisor: ");
  put_string(what);
  put_string("\n");
  for (;;) outb(DEBUG_EXIT, 1);
}

/* VMX operation wants a task register: a descriptor of 16 bytes at TSS_SELECTOR. */
static void load_task_register(void) {
  uint64_t base = tss_base();
  gdt[TSS_SELECTOR / 8] = 0x67 | (base & 0xffffff) << 16 | 0x89ull << 40 | (base >> 24 & 0xff) << 56;
  gdt[TSS_SELECTOR / 8 + 1] = base >> 32;
  __asm__ volatile("ltr %w0" : : "r"(TSS_SELECTOR));
}

static void enter_vmx_operation(void) {
  if (!(cpuid(1).ecx & CPUID_VMX)) fail("this processor has no VMX");
  uint64_t feature_control = read_msr(IA32_FEATURE_CONTROL);
  if (!(feature_control & FEATURE_CONTROL_LOCKED))
    write_msr(IA32_FEATURE_CONTROL, FEATURE_CONTROL_LOCKED | FEATURE_CONTROL_VMX);
  else if (!(feature_control & FEATURE_CONTROL_VMX))
    fail("the firmware has switched VMX off");

  write_cr0((read_cr0() | read_msr(IA32_VMX_CR0_FIXED0)) & read_msr(IA32_VMX_CR0_FIXED1));
  write_cr4((read_cr4() | read_msr(IA32_VMX_CR4_FIXED0)) & read_msr(IA32_VMX_CR4_FIXED1));

  uint32_t revision = (uint32_t)read_msr(IA32_VMX_BASIC);
  vmxon_region[0] = revision;
  vmcs_region[0] = revision;
  if (!vmxon((uint64_t)vmxon_region)) fail("VMXON failed");
  if (!vmclear((uint64_t)vmcs_region)) fail("VMCLEAR failed");
  if (!vmptrld((uint64_t)vmcs_region)) fail("VMPTRLD failed");
}

static void run_guest(bool launched) {
  static struct registers guest;
  for (;; launched = true) {
    if (enter_guest(&guest, launched)) {
      put_string("hypervisor: VM-instruction error ");
      put_hex(vmread(VM_INSTRUCTION_ERROR));
      put_string("\n");
      fail("the VM entry failed");
    }
    if (vmread(VM_EXIT_REASON) & EXIT_ENTRY_FAILURE) {
      handle_exit(&guest);
      fail("the VM entry failed");
    }
    if (!handle_exit(&guest)) return;
  }
}

void kmain(const struct multiboot *boot) {
  serial_init();
  load_task_register();
  enter_vmx_operation();
  put_string("hypervisor: in VMX root operation\n");
  set_up_vmcs();
  const char *command_line =
      boot->flags & MULTIBOOT_HAS_COMMAND_LINE ? (const char *)(uint64_t)boot->command_line : "";
  run_guest(make_mistake(command_line));
  vmxoff();
  put_string("hypervisor: out of VMX operation\n");
  outw(PM1A_CONTROL, SOFT_OFF);
  fail("the machine does not switch off");
}

/* What the guest leaves for, and how it goes on. */
#include "cpu.h"
#include "hypervisor.h"
#include "vmx.h"

enum {
  HYPERVISOR_LEAF = 0x40000000,
  IO_DIRECTION_IN = 1 << 3,
};

/* Exits of instructions that are emulated are before the instruction: the guest goes on behind it. */
static void skip_instruction(void) {
  vmwrite(GUEST_RIP, vmread(GUEST_RIP) + vmread(VM_EXIT_INSTRUCTION_LENGTH));
}

static void emulate_cpuid(struct registers *guest) {
  struct cpuid result = cpuid((uint32_t)guest->rax);
  if ((uint32_t)guest->rax == HYPERVISOR_LEAF)
    /* "TinyHypervis", four characters a register. */
    result = (struct cpuid){.eax = HYPERVISOR_LEAF, .ebx = 0x796e6954, .ecx = 0x65707948, .edx = 0x73697672};
  guest->rax = result.eax;
  guest->rbx = result.ebx;
  guest->rcx = result.ecx;
  guest->rdx = result.edx;
  skip_instruction();
}

/* Only one port exits, and the guest only writes to it: a character for its console. */
static void emulate_io(struct registers *guest) {
  static bool in_line;
  char c = (char)guest->rax;
  if (!in_line) put_string("guest: ");
  put_char(c);
  in_line = c != '\n';
  if (vmread(EXIT_QUALIFICATION) & IO_DIRECTION_IN) guest->rax = 0xff;
  skip_instruction();
}

/* The access is made again, once there is memory: nothing is skipped. */
static void handle_ept_violation(void) {
  uint64_t address = vmread(GUEST_PHYSICAL_ADDRESS);
  put_string("hypervisor: EPT violation at ");
  put_hex(address);
  put_string(", mapping memory there\n");
  map_guest_memory(address);
}

/* False when the guest has ended. */
bool handle_exit(struct registers *guest) {
  uint64_t reason = vmread(VM_EXIT_REASON);
  switch (reason) {
    case EXIT_CPUID:
      put_string("hypervisor: CPUID\n");
      emulate_cpuid(guest);
      return true;
    case EXIT_IO:
      emulate_io(guest);
      return true;
    case EXIT_EPT_VIOLATION:
      handle_ept_violation();
      return true;
    case EXIT_VMCALL:
      put_string("hypervisor: VMCALL, the guest has ended\n");
      return false;
    default:
      put_string("hypervisor: exit reason ");
      put_hex(reason);
      put_string(", qualification ");
      put_hex(vmread(EXIT_QUALIFICATION));
      put_string("\n");
      return false;
  }
}

/*
 * Mistakes that everybody makes once. With `mistake=NAME` on the command line one of them is made behind the correct
 * set-up, and the VM entry fails: look at the report.
 */
#include "cpu.h"
#include "hypervisor.h"
#include "vmx.h"

struct msr_entry {
  uint32_t msr, reserved;
  uint64_t value;
};

static struct msr_entry msr_area[1] __attribute__((aligned(16)));

/* The VMCS is filled as if the processor had no reserved bits that must be 1. */
static void controls(void) {
  vmwrite(PIN_BASED_CONTROLS, 0);
}

/* The page-walk length was forgotten in the EPT pointer: it is there as 1 less, so that 0 is a length of 1. */
static void eptp(void) {
  vmwrite(EPT_POINTER, vmread(EPT_POINTER) & ~0x38ull);
}

/* An I/O bitmap that does not begin at a page. */
static void bitmap(void) {
  vmwrite(IO_BITMAP_B, vmread(IO_BITMAP_A) + 8192 / 16);
}

/* There is no task register yet: LTR was forgotten. */
static void host_tr(void) {
  vmwrite(HOST_TR_SELECTOR, 0);
}

/* The requested privilege level was left in the selector. */
static void host_selector(void) {
  vmwrite(HOST_SS_SELECTOR, DATA_SELECTOR | 3);
}

/* CR4 was read before VMXE was set in it. */
static void host_cr4(void) {
  vmwrite(HOST_CR4, read_cr4() & ~(uint64_t)CR4_VMXE);
}

/* A guest CR0 without NE, which VMX operation fixes to 1. */
static void cr0(void) {
  vmwrite(GUEST_CR0, read_cr0() & ~(uint64_t)CR0_NE);
}

/* A code segment that is 64-bit and 32-bit at the same time. */
static void segment(void) {
  vmwrite(GUEST_CS_ACCESS_RIGHTS, 0xe09b);
}

/* The TSS has the type of its descriptor in the GDT before LTR: available, not busy. */
static void tss(void) {
  vmwrite(GUEST_TR_ACCESS_RIGHTS, 0x89);
}

/* Bit 1 of RFLAGS is always 1. */
static void rflags(void) {
  vmwrite(GUEST_RFLAGS, 0);
}

/* An activity state that does not exist. */
static void activity(void) {
  vmwrite(GUEST_ACTIVITY_STATE, 5);
}

/* FS.base is a field of the guest-state area: its MSR may not be in the list. */
static void msr(void) {
  msr_area[0] = (struct msr_entry){.msr = IA32_FS_BASE};
  vmwrite(VM_ENTRY_MSR_LOAD_ADDRESS, (uint64_t)msr_area);
  vmwrite(VM_ENTRY_MSR_LOAD_COUNT, 1);
}

/* The link pointer is 0 instead of all ones. */
static void link_pointer(void) {
  vmwrite(VMCS_LINK_POINTER, 0);
}

static const struct {
  const char *name;
  void (*make)(void);
} mistakes[] = {
    {"controls", controls}, {"eptp", eptp},       {"bitmap", bitmap},     {"host-tr", host_tr},
    {"host-selector", host_selector}, {"host-cr4", host_cr4}, {"cr0", cr0}, {"segment", segment},
    {"tss", tss},           {"rflags", rflags},   {"activity", activity}, {"msr", msr},
    {"link-pointer", link_pointer},
};

static bool equals(const char *text, const char *word) {
  while (*word && *text == *word) text++, word++;
  return !*word && (!*text || *text == ' ');
}

/* Makes the mistake that the command line names. True: VMRESUME is to be used for the first entry, a mistake as well. */
bool make_mistake(const char *command_line) {
  static const char option[] = "mistake=";
  for (const char *at = command_line; *at; at++) {
    const char *word = option, *name = at;
    while (*word && *name == *word) name++, word++;
    if (*word) continue;
    if (equals(name, "resume")) return true;
    for (unsigned i = 0; i < sizeof mistakes / sizeof *mistakes; i++)
      if (equals(name, mistakes[i].name)) mistakes[i].make();
  }
  return false;
}

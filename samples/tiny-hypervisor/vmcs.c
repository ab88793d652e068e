/* Filling the VMCS: what the guest starts with, what the host goes on with, and which events make the guest exit. */
#include "cpu.h"
#include "hypervisor.h"
#include "vmx.h"

enum {
  EPT_READ = 1,
  EPT_WRITE = 2,
  EPT_EXECUTE = 4,
  EPT_ALL = EPT_READ | EPT_WRITE | EPT_EXECUTE,
  EPT_WRITE_BACK = 6 << 3,
  EPT_LARGE = 1 << 7,
  EPTP_WALK_LENGTH_4 = 3 << 3,
  EPTP_WRITE_BACK = 6,

  LARGE_PAGE = 1 << 21,
  GUEST_LARGE_PAGES = 8,      /* guest-physical memory from 0 on that is there at once */
  SPARE_MEMORY = 0x02000000,  /* host-physical memory for what the guest asks for later */
  CONSOLE_PORT = 0x500,

  CODE_64_BIT = 0xa09b, /* access rights: present, code, 64-bit, page granularity */
  DATA = 0xc093,
  BUSY_TSS = 0x8b,
  TSS_LIMIT = 0x67,
};

#define PAGE __attribute__((aligned(PAGE_SIZE)))

static uint64_t ept_pml4[512] PAGE, ept_pointers[512] PAGE, ept_pages[512] PAGE;
static uint8_t io_bitmaps[2 * PAGE_SIZE] PAGE, msr_bitmaps[PAGE_SIZE] PAGE;
static uint8_t tss[TSS_LIMIT + 1];

uint64_t tss_base(void) {
  return (uint64_t)tss;
}

/* A control word must have the bits that the low half of its capability MSR has, and no bit that the high half lacks. */
static uint32_t adjust(uint32_t wanted, enum msr capability) {
  uint64_t allowed = read_msr(capability);
  return (wanted | (uint32_t)allowed) & (uint32_t)(allowed >> 32);
}

static void set_up_ept(void) {
  ept_pml4[0] = (uint64_t)ept_pointers | EPT_ALL;
  ept_pointers[0] = (uint64_t)ept_pages | EPT_ALL;
  for (uint64_t i = 0; i < GUEST_LARGE_PAGES; i++)
    ept_pages[i] = i * LARGE_PAGE | EPT_ALL | EPT_WRITE_BACK | EPT_LARGE;
  vmwrite(EPT_POINTER, (uint64_t)ept_pml4 | EPTP_WALK_LENGTH_4 | EPTP_WRITE_BACK);
}

/* Gives the guest a page of 2 MiB. It was not present before, so that nothing cached has to be invalidated. */
void map_guest_memory(uint64_t guest_physical) {
  static uint64_t next = SPARE_MEMORY;
  ept_pages[guest_physical / LARGE_PAGE] = next | EPT_ALL | EPT_WRITE_BACK | EPT_LARGE;
  next += LARGE_PAGE;
}

static void set_up_controls(void) {
  vmwrite(PIN_BASED_CONTROLS, adjust(0, IA32_VMX_TRUE_PINBASED_CTLS));
  vmwrite(PRIMARY_CONTROLS, adjust(HLT_EXITING | USE_IO_BITMAPS | USE_MSR_BITMAPS | ACTIVATE_SECONDARY_CONTROLS,
                                   IA32_VMX_TRUE_PROCBASED_CTLS));
  vmwrite(SECONDARY_CONTROLS, adjust(ENABLE_EPT | ENABLE_VPID, IA32_VMX_PROCBASED_CTLS2));
  vmwrite(VM_EXIT_CONTROLS, adjust(HOST_ADDRESS_SPACE_SIZE | LOAD_HOST_EFER, IA32_VMX_TRUE_EXIT_CTLS));
  vmwrite(VM_ENTRY_CONTROLS, adjust(IA32E_MODE_GUEST | LOAD_GUEST_EFER, IA32_VMX_TRUE_ENTRY_CTLS));

  /* With a number of its own the guest's cached translations outlive its exits. 0 is the host's. */
  vmwrite(VIRTUAL_PROCESSOR_IDENTIFIER, 1);

  /* One port of the guest exits, all other ports and all MSRs are the machine's own. */
  io_bitmaps[CONSOLE_PORT / 8] |= 1 << CONSOLE_PORT % 8;
  vmwrite(IO_BITMAP_A, (uint64_t)io_bitmaps);
  vmwrite(IO_BITMAP_B, (uint64_t)io_bitmaps + PAGE_SIZE);
  vmwrite(MSR_BITMAPS, (uint64_t)msr_bitmaps);
  vmwrite(EXCEPTION_BITMAP, 0);
}

/* The host goes on in enter.S, with the registers it has now. HOST_RSP is written there. */
static void set_up_host(void) {
  vmwrite(HOST_CR0, read_cr0());
  vmwrite(HOST_CR3, read_cr3());
  vmwrite(HOST_CR4, read_cr4());
  vmwrite(HOST_CS_SELECTOR, CODE_SELECTOR);
  vmwrite(HOST_SS_SELECTOR, DATA_SELECTOR);
  vmwrite(HOST_DS_SELECTOR, DATA_SELECTOR);
  vmwrite(HOST_ES_SELECTOR, DATA_SELECTOR);
  vmwrite(HOST_FS_SELECTOR, 0);
  vmwrite(HOST_GS_SELECTOR, 0);
  vmwrite(HOST_TR_SELECTOR, TSS_SELECTOR);
  vmwrite(HOST_TR_BASE, tss_base());
  vmwrite(HOST_GDTR_BASE, (uint64_t)gdt);
  vmwrite(HOST_IDTR_BASE, 0);
  vmwrite(HOST_IA32_EFER, read_msr(IA32_EFER));
  vmwrite(HOST_RIP, (uint64_t)vm_exit);
}

/* Segment registers have numbers: ES 0, CS 1, SS 2, DS 3, FS 4, GS 5, LDTR 6, TR 7. Bases are 0 after VMCLEAR. */
static void set_segment(int number, uint16_t selector, uint32_t limit, uint32_t access_rights) {
  vmwrite(GUEST_ES_SELECTOR + 2 * number, selector);
  vmwrite(GUEST_ES_LIMIT + 2 * number, limit);
  vmwrite(GUEST_ES_ACCESS_RIGHTS + 2 * number, access_rights);
}

/* A 64-bit guest on the hypervisor's own page tables: guest-physical addresses are host-physical ones at first. */
static void set_up_guest(void) {
  set_segment(0, DATA_SELECTOR, ~0u, DATA);
  set_segment(1, CODE_SELECTOR, ~0u, CODE_64_BIT);
  set_segment(2, DATA_SELECTOR, ~0u, DATA);
  set_segment(3, DATA_SELECTOR, ~0u, DATA);
  set_segment(4, 0, 0, UNUSABLE);
  set_segment(5, 0, 0, UNUSABLE);
  set_segment(6, 0, 0, UNUSABLE);
  set_segment(7, TSS_SELECTOR, TSS_LIMIT, BUSY_TSS);
  vmwrite(GUEST_TR_BASE, tss_base());
  vmwrite(GUEST_GDTR_BASE, (uint64_t)gdt);
  vmwrite(GUEST_GDTR_LIMIT, 5 * 8 - 1);
  vmwrite(GUEST_IDTR_LIMIT, 0);
  vmwrite(GUEST_CR0, read_cr0());
  vmwrite(GUEST_CR3, read_cr3());
  vmwrite(GUEST_CR4, read_cr4());
  vmwrite(GUEST_DR7, DR7_FIXED);
  vmwrite(GUEST_IA32_EFER, read_msr(IA32_EFER));
  vmwrite(GUEST_RFLAGS, RFLAGS_FIXED);
  vmwrite(GUEST_RSP, (uint64_t)guest_stack_end - 8); /* as after a call */
  vmwrite(GUEST_RIP, (uint64_t)guest_main);
  vmwrite(VMCS_LINK_POINTER, ~0ull);
}

void set_up_vmcs(void) {
  set_up_controls();
  set_up_ept();
  set_up_host();
  set_up_guest();
}

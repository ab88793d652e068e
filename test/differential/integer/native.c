/*
 * Executes instructions on the host's processor: maps memory as a batch file says, and for each case loads all general
 * registers and flags, jumps to the instruction and records what came of it. Whatever ends a case is a signal: the
 * instruction is surrounded by INT3, so that its own end is one too. The signal handler records the state that the kernel
 * saved and puts the next case in its place, so a case costs one signal.
 *
 * A batch may have vector state too: YMM0 to YMM15, MXCSR, the x87 control, status and (abridged) tag words and ST0 to ST7 are
 * then loaded from and recorded in the state that the signal frame has.
 *
 * native BATCH RESULTS; the formats are those of batch.ts.
 */
#define _GNU_SOURCE
#include <asm/prctl.h>
#include <fcntl.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <ucontext.h>
#include <unistd.h>

typedef uint64_t u64;

struct header {
  u64 mappings, cases, gs_base, vectors;
};

struct mapping {
  u64 address, size, writable, executable, accessible, content;
};

struct poke {
  u64 address, length;
  uint8_t bytes[64];
};

struct test_case {
  u64 rip, rflags, mode, gpr[16];
  struct poke pokes[2];
};

struct result {
  u64 vector, error_code, cr2, rip, rflags, gpr[16], changes;
};

struct vectors {
  uint8_t ymm[16][32];
  u64 mxcsr, control, status, tag;
  uint8_t st[8][16];
};

/* Index in the saved context by register number. */
static const int GREG[16] = {REG_RAX, REG_RCX, REG_RDX, REG_RBX, REG_RSP, REG_RBP, REG_RSI, REG_RDI,
                             REG_R8,  REG_R9,  REG_R10, REG_R11, REG_R12, REG_R13, REG_R14, REG_R15};
/* Status flags and DF. */
#define FLAGS 0xcd5
#define AC (1 << 18)
#define CS_MASK 0xffffULL
#define CS_64 0x33
#define CS_32 0x23

static const struct header *header;
static const struct mapping *mappings;
static const struct test_case *cases;
static const struct vectors *vectors;
static uint8_t **pristine;
static FILE *results;
static u64 current;
static int running;
static gregset_t start;

static void fail(const char *what) {
  fprintf(stderr, "native: %s (case %llu)\n", what, (unsigned long long)current);
  _exit(1);
}

static void put(const void *data, size_t size) {
  if (fwrite(data, 1, size, results) != size) fail("cannot write results");
}

/* Bytes that differ from the pristine content, as runs; equal bytes fewer than 8 apart are part of a run. */
static u64 changes(int report) {
  u64 count = 0;
  for (u64 m = 0; m < header->mappings; m++) {
    if (!mappings[m].writable) continue;
    uint8_t *now = (uint8_t *)mappings[m].address;
    u64 size = mappings[m].size;
    if (memcmp(now, pristine[m], size) == 0) continue;
    for (u64 at = 0; at < size; at++) {
      if (now[at] == pristine[m][at]) continue;
      u64 end = at + 1;
      for (u64 i = end; i < size && i < end + 8; i++)
        if (now[i] != pristine[m][i]) end = i + 1;
      count++;
      if (report) {
        u64 place[2] = {mappings[m].address + at, end - at};
        put(place, sizeof place);
        put(now + at, end - at);
        memcpy(now + at, pristine[m] + at, end - at);
      }
      at = end;
    }
  }
  return count;
}

static void load(gregset_t registers) {
  const struct test_case *c = &cases[current];
  for (int i = 0; i < 2; i++) memcpy((void *)c->pokes[i].address, c->pokes[i].bytes, c->pokes[i].length);
  for (int i = 0; i < 16; i++) registers[GREG[i]] = (greg_t)c->gpr[i];
  registers[REG_RIP] = (greg_t)c->rip;
  registers[REG_EFL] = (greg_t)(((u64)start[REG_EFL] & ~(u64)FLAGS) | c->rflags);
  u64 cs = c->mode == 32 ? CS_32 : CS_64;
  registers[REG_CSGSFS] = (greg_t)(((u64)start[REG_CSGSFS] & ~CS_MASK) | cs);
}

/* Places in the signal frame's XSAVE area. */
#define XSTATE_BV 512
#define YMM_HIGH 576
#define X87_SSE_AVX 7

static void load_vectors(fpregset_t state) {
  const struct vectors *v = &vectors[current];
  uint8_t *area = (uint8_t *)state;
  u64 in_use = X87_SSE_AVX;
  memcpy(area + XSTATE_BV, &in_use, sizeof in_use);
  for (int i = 0; i < 16; i++) {
    memcpy(area + 160 + 16 * i, v->ymm[i], 16);
    memcpy(area + YMM_HIGH + 16 * i, v->ymm[i] + 16, 16);
  }
  state->mxcsr = (uint32_t)v->mxcsr;
  state->cwd = (uint16_t)v->control;
  state->swd = (uint16_t)v->status;
  state->ftw = (uint16_t)v->tag;
  /* No instruction was executed before. */
  memset(area + 6, 0, 18);
  memcpy(area + 32, v->st, sizeof v->st);
}

static void record_vectors(const fpregset_t state) {
  const uint8_t *area = (const uint8_t *)state;
  u64 in_use;
  memcpy(&in_use, area + XSTATE_BV, sizeof in_use);
  struct vectors v = {.mxcsr = state->mxcsr, .control = 0x37f};
  if (in_use & 1) {
    v.control = state->cwd;
    v.status = state->swd;
    v.tag = state->ftw;
    memcpy(v.st, area + 32, sizeof v.st);
  }
  for (int i = 0; i < 16; i++) {
    if (in_use & 2) memcpy(v.ymm[i], area + 160 + 16 * i, 16);
    if (in_use & 4) memcpy(v.ymm[i] + 16, area + YMM_HIGH + 16 * i, 16);
  }
  put(&v, sizeof v);
}

static void record(const gregset_t registers) {
  struct result r = {
      .vector = (u64)registers[REG_TRAPNO],
      .error_code = (u64)registers[REG_ERR],
      .cr2 = (u64)registers[REG_CR2],
      .rip = (u64)registers[REG_RIP],
      .rflags = (u64)registers[REG_EFL] & FLAGS,
      .changes = changes(0),
  };
  for (int i = 0; i < 16; i++) r.gpr[i] = (u64)registers[GREG[i]];
  put(&r, sizeof r);
  changes(1);
}

static void handle(int signal, siginfo_t *info, void *context) {
  (void)signal;
  (void)info;
  /* POPF may have set AC, which the kernel leaves on. */
  __builtin_ia32_writeeflags_u64(__builtin_ia32_readeflags_u64() & ~(u64)AC);
  greg_t *registers = ((ucontext_t *)context)->uc_mcontext.gregs;
  if (!running) {
    memcpy(start, registers, sizeof start);
    running = 1;
  } else {
    record(registers);
    if (header->vectors) record_vectors(((ucontext_t *)context)->uc_mcontext.fpregs);
    current++;
  }
  if (current < header->cases) {
    load(registers);
    if (header->vectors) load_vectors(((ucontext_t *)context)->uc_mcontext.fpregs);
  }
  else memcpy(registers, start, sizeof start);
}

static void late(int signal) {
  (void)signal;
  fail("no end within the time allowed");
}

int main(int argc, char **argv) {
  if (argc != 3) {
    fprintf(stderr, "usage: native BATCH RESULTS\n");
    return 2;
  }
  struct stat status;
  int file = open(argv[1], O_RDONLY);
  if (file < 0 || fstat(file, &status) != 0) fail("cannot read the batch");
  const uint8_t *batch = mmap(NULL, (size_t)status.st_size, PROT_READ, MAP_PRIVATE, file, 0);
  if (batch == MAP_FAILED) fail("cannot map the batch");
  results = fopen(argv[2], "wb");
  if (!results) fail("cannot create the results");
  header = (const struct header *)batch;
  mappings = (const struct mapping *)(header + 1);
  cases = (const struct test_case *)(mappings + header->mappings);
  vectors = (const struct vectors *)(cases + header->cases);

  pristine = calloc(header->mappings, sizeof *pristine);
  for (u64 m = 0; m < header->mappings; m++) {
    const struct mapping *map = &mappings[m];
    void *at = mmap((void *)map->address, map->size, PROT_READ | PROT_WRITE,
                    MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE | MAP_POPULATE, -1, 0);
    if (at != (void *)map->address) fail("cannot map memory at its address");
    memcpy(at, batch + map->content, map->size);
    pristine[m] = (uint8_t *)batch + map->content;
    int protection = map->accessible ? PROT_READ : PROT_NONE;
    if (map->writable) protection |= PROT_WRITE;
    if (map->executable) protection |= PROT_EXEC;
    if (mprotect(at, map->size, protection) != 0) fail("cannot protect memory");
  }
  if (syscall(SYS_arch_prctl, ARCH_SET_GS, header->gs_base) != 0) fail("cannot set GS.base");
  /* 32-bit code needs data segments; in 64-bit mode they are null. */
  __asm__ volatile("mov %%ss, %%eax\n\tmov %%eax, %%ds\n\tmov %%eax, %%es" ::: "eax");

  stack_t stack = {.ss_sp = malloc(1 << 18), .ss_size = 1 << 18};
  if (sigaltstack(&stack, NULL) != 0) fail("cannot set the signal stack");
  struct sigaction action = {.sa_sigaction = handle, .sa_flags = SA_SIGINFO | SA_ONSTACK};
  const int signals[] = {SIGTRAP, SIGSEGV, SIGBUS, SIGILL, SIGFPE};
  for (unsigned i = 0; i < sizeof signals / sizeof *signals; i++)
    if (sigaction(signals[i], &action, NULL) != 0) fail("cannot handle signals");
  struct sigaction timeout = {.sa_handler = late, .sa_flags = SA_ONSTACK};
  sigaction(SIGALRM, &timeout, NULL);
  alarm(60);
  if (header->cases > 0) __asm__ volatile("int3" ::: "memory", "cc");
  if (fclose(results) != 0) fail("cannot write results");
  return 0;
}

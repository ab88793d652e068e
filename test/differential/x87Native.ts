/**
 * The host's FPU: a C program, compiled at test time, that loads a state, executes one instruction and gives the state
 * afterwards. Only instructions that do not wait look at the result, so unmasked exceptions can be compared too.
 */
import { execFileSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

export const STATE_BYTES = 108;
export const MEMORY_BYTES = 128;

/** The FPU's state as FNSAVE stores it with 32-bit operand size, the memory at RAX, RFLAGS and RAX (low 16 bits). */
export interface X87Case {
  readonly form: number;
  readonly flags: number;
  readonly state: Uint8Array;
  readonly memory: Uint8Array;
}

export interface X87Outcome {
  readonly flags: number;
  readonly ax: number;
  readonly state: Uint8Array;
  readonly memory: Uint8Array;
}

const CASE_BYTES = 8 + 112 + MEMORY_BYTES;

function source(texts: readonly string[]): string {
  const cases = texts.map(
    (text, i) => `    case ${i}: RUN("${text}"); break;
`,
  );
  return `#include <stdint.h>
#include <stdio.h>
#include <string.h>
struct record { uint32_t form, flags; uint8_t state[112], memory[${MEMORY_BYTES}]; };
static struct record r;
#define RUN(text) \\
  __asm__ volatile(".intel_syntax noprefix\\n frstor [rdi]\\n push rcx\\n popfq\\n" text \\
    "\\n pushfq\\n pop rcx\\n fnsave [rdi]\\n fninit\\n .att_syntax" \\
    : "+a"(rax), "+c"(flags) : "D"(r.state) : "memory", "cc")
int main(void) {
  while (fread(&r, sizeof r, 1, stdin) == 1) {
    uint64_t flags = r.flags, rax = (uint64_t)r.memory;
    switch (r.form) {
${cases.join('')}    }
    r.flags = flags;
    r.form = rax & 0xffff;
    fwrite(&r, sizeof r, 1, stdout);
  }
  return 0;
}
`;
}

/** Runs all cases on the host. AX means something only after FNSTSW AX. */
export function runNatively(texts: readonly string[], cases: readonly X87Case[]): X87Outcome[] {
  const folder = mkdtempSync(join(tmpdir(), 'hvm-x87-'));
  try {
    const program = join(folder, 'native');
    writeFileSync(`${program}.c`, source(texts));
    execFileSync('gcc', ['-O1', '-mno-red-zone', '-o', program, `${program}.c`], {
      stdio: ['ignore', 'ignore', 'inherit'],
    });
    const input = new Uint8Array(cases.length * CASE_BYTES);
    const view = new DataView(input.buffer);
    cases.forEach(({ form, flags, state, memory }, i) => {
      const at = i * CASE_BYTES;
      view.setUint32(at, form, true);
      view.setUint32(at + 4, flags, true);
      input.set(state, at + 8);
      input.set(memory, at + 8 + 112);
    });
    const output = execFileSync(program, { input, maxBuffer: input.length + 1 });
    return cases.map((_, i): X87Outcome => {
      const at = i * CASE_BYTES;
      return {
        ax: output.readUInt32LE(at),
        flags: output.readUInt32LE(at + 4),
        state: new Uint8Array(output.subarray(at + 8, at + 8 + STATE_BYTES)),
        memory: new Uint8Array(output.subarray(at + 120, at + 120 + MEMORY_BYTES)),
      };
    });
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

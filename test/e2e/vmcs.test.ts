/** The VMCS view and the serial terminal of a session that is stopped and goes on. */
import { join, resolve } from 'node:path';
import { beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { until } from './support/until.ts';
import { unavailable, useVsCode } from './support/vscode.ts';

const programs = resolve(import.meta.dirname, '../dap/programs');
const CAUSE_EXCEPTIONS_CALL = 125;

describe.skipIf(unavailable)('the VMCS view', () => {
  const vscode = useVsCode();
  let folder: string;

  beforeAll(() => {
    folder = vscode.copySample('hello-guest');
  });

  beforeEach(async () => {
    const workbench = await vscode.open(folder);
    const { editor, debug, views } = workbench;
    await editor.openFile(join(folder, 'kernel.c'));
    await editor.clickGutter(CAUSE_EXCEPTIONS_CALL);
    await debug.showView();
    await debug.start();
    await debug.isAt('kernel.c', 112);
    await workbench.press('F5');
    await debug.isAt('kernel.c', CAUSE_EXCEPTIONS_CALL);
    await views.open('VMCS');
  });

  async function filter(text: string): Promise<void> {
    const { workbench } = vscode;
    await workbench.run('HVM: Filter VMCS Fields…');
    await workbench.typeIntoQuickInput(text);
  }

  it('shows Live Guest RIP as RIP, and Stored as RIP of the last exit', async () => {
    const { debug, views } = vscode.workbench;
    const shown = await debug.showsValue('Registers', 'RIP', /<kmain\+/);
    const rip = BigInt(shown.split(' ')[0]);
    await filter('Guest RIP');
    const row = views.row('VMCS', 'Guest RIP');
    await row.waitFor();
    const [, live, stored] = /live (0x[0-9a-f]+).*stored (0x[0-9a-f]+)/.exec(
      (await row.getAttribute('aria-label')) ?? '',
    )!;
    expect(BigInt(live)).toBe(rip);
    // The last exit was that of an instruction that has been executed.
    expect(BigInt(stored)).not.toBe(rip);
  });

  it('shows an edited field, and says what has changed since the last stop', async () => {
    const { workbench } = vscode;
    const { debug, views } = workbench;
    await filter('Exception bitmap');
    const row = views.row('VMCS', 'Exception bitmap');
    await row.click();
    await workbench.press('F2');
    await workbench.typeIntoQuickInput('0x4000');
    await until(
      'the new value',
      async () => (await row.getAttribute('aria-label'))?.includes('0x4000') || undefined,
    );
    await workbench.run('HVM: Clear Filter of VMCS Fields');
    await workbench.press('F10');
    await debug.isAt('kernel.c', CAUSE_EXCEPTIONS_CALL + 1);
    await views.row('VMCS', 'Guest register state Δ').waitFor();
    await expect
      .poll(async () => (await views.rows('VMCS'))[0])
      .toMatch(/^Guest register state Δ \d+ changed$/);
  });

  it('stops when a field changes that is watched', async () => {
    const { workbench } = vscode;
    const { debug, views } = workbench;
    await filter('Exit reason');
    await views.chooseFromMenu(views.row('VMCS', 'Exit reason'), 'Break When This Field Changes');
    await views.row('VMCS', 'Stops when changed').waitFor();
    await workbench.press('F5');
    await until('another stop', async () => {
      const [top] = await debug.callStack();
      return (
        (top !== undefined && !(top.file === 'kernel.c' && top.line === CAUSE_EXCEPTIONS_CALL)) || undefined
      );
    });
    await debug.isPaused();
  });

  it('stops only where the condition of a watched field holds', async () => {
    const { workbench } = vscode;
    const { debug, views } = workbench;
    await filter('Exit reason');
    await views.chooseFromMenu(views.row('VMCS', 'Exit reason'), 'Break When This Field Changes and…');
    await workbench.typeIntoQuickInput('vmcs.vm_exit_reason == 1');
    await views
      .row('VMCS', 'Exit reason when the stored value changes and vmcs.vm_exit_reason == 1')
      .waitFor();
    await workbench.press('F5');
    await debug.stopsBecause(/^Exit reason changed from 0x[0-9a-f]+ to 0x1 /);
  });
});

describe.skipIf(unavailable)('the serial terminal', () => {
  const vscode = useVsCode();

  it('sends what is typed and shows what the guest answers', async () => {
    const folder = vscode.project(
      'echo',
      { 'echo.elf': join(programs, 'echo.elf') },
      { program: 'echo.elf' },
    );
    const workbench = await vscode.open(folder);
    const { debug, views } = workbench;
    await debug.start();
    await debug.isRunning();
    // The guest says nothing by itself, so no terminal has come up.
    await workbench.run('HVM: Show the Serial Terminal');
    await views.terminalIsOpen('Serial: echo');
    await views.typeIntoTerminal('hello');
    await views.terminalShows('HELLO');
    await views.typeIntoTerminal('q');
    await debug.hasEnded();
    await views.terminalShows('The machine has ended with status 1');
  });
});

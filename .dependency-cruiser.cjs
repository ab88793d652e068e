/**
 * The layers (docs/architecture.md). A layer may import what stands before it and itself; an arrow never turns round.
 * test/repository/layers.test.ts proves that every rule here fires.
 */

/** Inside emulator/, low to high. Peers in one row do not know each other, except as PEERS says. */
const EMULATOR_LAYERS = [
  ['base'],
  ['state'],
  ['mmu'],
  ['core'],
  ['isa', 'vmx', 'svm'],
  ['engine'],
  ['machine'],
  ['boot', 'vmm', 'snapshot', 'debug'],
];

/** Peers that may be imported: the VMM loads its guest; run control stands on all of them. */
const PEERS = { vmm: ['boot'], debug: ['boot', 'vmm', 'snapshot'] };

/** Files of nothing but rows, and the rows they share. */
const VIRTUALIZATION_TABLES =
  '^emulator/(vmx/(fields|controls|exitReasons|exitLayouts|registerBits|vmInstructionErrors|manual)' +
  '|svm/(vmcbFields|intercepts|exitCodes|exitLayouts|registerBits|manual))[.]ts$';
const TEST = '[.]test[.]ts$';

const emulatorRules = EMULATOR_LAYERS.flatMap((row, height) =>
  row.map((layer) => {
    const below = EMULATOR_LAYERS.slice(0, height).flat();
    const allowed = [...below, layer, ...(PEERS[layer] ?? [])];
    if (layer === 'machine') allowed.push('devices');
    return {
      name: `emulator-${layer}`,
      comment: `emulator/${layer} imports only ${allowed.join(', ')}.`,
      severity: 'error',
      from: { path: `^emulator/${layer}/`, pathNot: TEST },
      to: { path: '^emulator/', pathNot: `^emulator/(${allowed.join('|')})/` },
    };
  }),
);

module.exports = {
  forbidden: [
    ...emulatorRules,
    {
      name: 'emulator-devices',
      comment: 'A device imports only devices and base: never the CPU, never the machine.',
      severity: 'error',
      from: { path: '^emulator/devices/', pathNot: TEST },
      to: { path: '^emulator/', pathNot: '^emulator/(devices|base)/' },
    },
    {
      name: 'virtualization-tables',
      comment:
        'The tables of fields, controls and exit reasons import nothing but base, other tables and types.',
      severity: 'error',
      from: { path: VIRTUALIZATION_TABLES },
      to: { path: '^emulator/', pathNot: ['^emulator/base/', VIRTUALIZATION_TABLES] },
    },
    {
      name: 'emulator-stands-alone',
      comment:
        'The emulator runs in Node, in a worker and in a browser: iced-x86 is the only package it knows.',
      severity: 'error',
      from: { path: '^emulator/', pathNot: TEST },
      to: { pathNot: ['^emulator/', '(^|/)iced-x86(/|$)'] },
    },
    {
      name: 'emulator-one-door',
      comment: 'emulator/index.ts is the only door into the emulator.',
      severity: 'error',
      from: { path: '^(debug-adapter|cli|extension)/', pathNot: TEST },
      to: { path: '^emulator/', pathNot: '^emulator/index[.]ts$' },
    },
    {
      name: 'node-only-in-hosts',
      comment:
        'node: stands only in host/node/ of the adapter and the extension, and in cli/: the rest runs in browsers too.',
      severity: 'error',
      from: {
        path: '^(debug-adapter|extension)/',
        pathNot: ['^(debug-adapter|extension)/host/node/', TEST],
      },
      to: { dependencyTypes: ['core'] },
    },
    {
      name: 'vscode-only-in-extension',
      comment: 'Only the extension imports vscode.',
      severity: 'error',
      from: { pathNot: '^(extension|test)/' },
      to: { path: '^vscode$|(^|/)node_modules/@types/vscode/' },
    },
    {
      name: 'extension-knows-the-protocol',
      comment: 'The extension knows the adapter only through debug-adapter/protocol/.',
      severity: 'error',
      from: { path: '^extension/', pathNot: TEST },
      to: { path: '^(emulator|debug-adapter|cli)/', pathNot: '^debug-adapter/protocol/' },
    },
    {
      name: 'extension-imports-types-only',
      comment: 'What the extension takes from the adapter is types.',
      severity: 'error',
      from: { path: '^extension/', pathNot: TEST },
      to: { path: '^(emulator|debug-adapter|cli)/', dependencyTypesNot: ['type-only'] },
    },
    {
      name: 'adapter-below-its-users',
      comment: 'The adapter knows neither the command line nor the extension.',
      severity: 'error',
      from: { path: '^debug-adapter/', pathNot: TEST },
      to: { path: '^(cli|extension)/' },
    },
    {
      name: 'no-tests-in-products',
      comment: 'Nothing that is shipped imports a test or its helpers.',
      severity: 'error',
      from: { path: '^(emulator|debug-adapter|extension|cli)/', pathNot: TEST },
      to: { path: ['^test/', TEST] },
    },
    {
      name: 'no-circular',
      comment: 'A cycle of values makes the order of loading matter.',
      severity: 'error',
      from: {},
      to: { circular: true, viaOnly: { dependencyTypesNot: ['type-only'] } },
    },
  ],
  options: {
    tsPreCompilationDeps: true,
    doNotFollow: { path: 'node_modules' },
    exclude: { path: '(^|/)(dist|build)/' },
    enhancedResolveOptions: {
      extensions: ['.ts', '.js', '.mjs', '.cjs', '.json', '.d.ts'],
      exportsFields: ['exports'],
      conditionNames: ['import', 'require', 'node', 'default', 'types'],
    },
  },
};

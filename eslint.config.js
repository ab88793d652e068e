// biome lints; this is only the rule that needs types.
import tseslint from 'typescript-eslint';

export default [
  {
    files: ['{emulator,debug-adapter,extension,cli,test,scripts}/**/*.ts'],
    languageOptions: {
      parser: tseslint.parser,
      parserOptions: {
        project: ['./tsconfig.json', './extension/exits/webview/tsconfig.json'],
        tsconfigRootDir: import.meta.dirname,
      },
    },
    linterOptions: { reportUnusedDisableDirectives: 'error' },
    plugins: { '@typescript-eslint': tseslint.plugin },
    rules: { '@typescript-eslint/no-floating-promises': 'error' },
  },
  { ignores: ['dist/', 'build/', '**/*.js', '**/*.mjs', '**/*.cjs'] },
];

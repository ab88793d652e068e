/**
 * As much of VS Code's API as activating the extension takes: what is registered is written down, what is asked for is
 * not there. A test says `vi.mock('vscode', () => import('../support/fakeVscode.ts'))`.
 */
import { posix } from 'node:path';

type Listener<T> = (value: T) => void;

export class Disposable {
  readonly #dispose: () => void;

  constructor(dispose: () => void) {
    this.#dispose = dispose;
  }

  static from(...all: { dispose(): void }[]): Disposable {
    return new Disposable(() => {
      for (const each of all) each.dispose();
    });
  }

  dispose(): void {
    this.#dispose();
  }
}

export class EventEmitter<T> {
  readonly #listeners = new Set<Listener<T>>();

  readonly event = (listener: Listener<T>): Disposable => {
    this.#listeners.add(listener);
    return new Disposable(() => this.#listeners.delete(listener));
  };

  fire(value: T): void {
    for (const listener of this.#listeners) listener(value);
  }

  dispose(): void {
    this.#listeners.clear();
  }
}

export class Uri {
  readonly scheme: string;
  readonly path: string;
  readonly query: string;

  constructor(scheme: string, path: string, query = '') {
    this.scheme = scheme;
    this.path = path;
    this.query = query;
  }

  static file(path: string): Uri {
    return new Uri('file', path);
  }

  static from({ scheme, path, query }: { scheme: string; path: string; query?: string }): Uri {
    return new Uri(scheme, path, query);
  }

  static joinPath(base: Uri, ...parts: string[]): Uri {
    return new Uri(base.scheme, posix.join(base.path, ...parts));
  }

  get fsPath(): string {
    return this.path;
  }

  toString(): string {
    return `${this.scheme}:${this.path}${this.query ? `?${this.query}` : ''}`;
  }
}

export class ThemeIcon {
  readonly id: string;

  constructor(id: string) {
    this.id = id;
  }
}

export class ThemeColor extends ThemeIcon {}

export class TreeItem {
  readonly label: string;
  readonly collapsibleState: number;

  constructor(label: string, collapsibleState: number) {
    this.label = label;
    this.collapsibleState = collapsibleState;
  }
}

export class MarkdownString {
  value: string;

  constructor(value = '') {
    this.value = value;
  }

  appendMarkdown(text: string): this {
    this.value += text;
    return this;
  }

  /** As VS Code does: nothing in the text is Markdown. */
  appendText(text: string): this {
    return this.appendMarkdown(text.replaceAll(/[\\`*_{}[\]()#+\-!~<>|]/g, '\\$&'));
  }
}

export class DebugAdapterExecutable {
  readonly command: string;
  readonly args: readonly string[];

  constructor(command: string, args: readonly string[]) {
    this.command = command;
    this.args = args;
  }
}

export class DebugStackFrame {}

export class RelativePattern {
  readonly pattern: string;

  constructor(_folder: unknown, pattern: string) {
    this.pattern = pattern;
  }
}

export const StatusBarAlignment = { Left: 1, Right: 2 };
export const DebugConfigurationProviderTriggerKind = { Initial: 1, Dynamic: 2 };
export const QuickPickItemKind = { Separator: -1, Default: 0 };
export const TreeItemCollapsibleState = { None: 0, Collapsed: 1, Expanded: 2 };
export const ViewColumn = { Active: -1, Beside: -2 };
export const FileType = { Unknown: 0, File: 1, Directory: 2, SymbolicLink: 64 };
export const ConfigurationTarget = { Global: 1, Workspace: 2, WorkspaceFolder: 3 };

/** What was registered, by the function that did it: `registerCommand` → its first arguments. */
export const registered = new Map<string, unknown[]>();

const nothing = (): Disposable => new Disposable(() => undefined);

/** A namespace whose functions register things or give something empty. */
function namespace<T extends object>(known: T): T {
  return new Proxy(known, {
    get(target, name) {
      if (typeof name !== 'string' || name in target) return Reflect.get(target, name);
      if (!/^(register|create|on)/.test(name)) return undefined;
      return (first: unknown) => {
        registered.set(name, [...(registered.get(name) ?? []), first]);
        return new Proxy(nothing(), {
          get: (made, key) =>
            key in made ? Reflect.get(made, key).bind(made) : typeof key === 'string' ? nothing : undefined,
          set: () => true,
        });
      };
    },
  });
}

export const commands = namespace({ executeCommand: async () => undefined });
export const debug = namespace({});
export const languages = namespace({});
export const window = namespace({});
export const workspace = namespace({
  getConfiguration: () => ({ get: (_: string, standard: unknown) => standard }),
});

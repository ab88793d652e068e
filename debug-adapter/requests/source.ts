import type { DebugProtocol as P } from '@vscode/debugprotocol';
import type { SessionContext } from '../context.ts';
import { dapError } from '../errors.ts';

/** Generated disassembly; the client reads files itself. */
export function source(context: SessionContext, args: P.SourceArguments): P.SourceResponse['body'] {
  const reference = args.source?.sourceReference ?? args.sourceReference;
  const found = context.generated.get(reference);
  if (found === undefined) throw dapError('unknownSource', { reference });
  return { content: found.text, mimeType: 'text/x-asm' };
}

export async function loadedSources(context: SessionContext): Promise<P.LoadedSourcesResponse['body']> {
  const { program, sources } = context.requireDebuggee();
  const paths = await Promise.all(program.sources().map((path) => sources.toClient(path)));
  const found = [...new Set(paths.filter((path) => path !== undefined))].sort();
  return { sources: found.map((path) => ({ name: path.split(/[\\/]/).pop(), path })) };
}

export function modules(context: SessionContext): P.ModulesResponse['body'] {
  const { program } = context.requireDebuggee();
  return {
    modules: program.files.map((file, index) => ({
      id: index + 1,
      name: file.path.split(/[\\/]/).pop() ?? file.path,
      path: file.path,
      symbolStatus: file.hasDebugInfo ? 'Symbols and lines loaded' : 'Symbols loaded, no lines',
      symbolFilePath: file.path,
    })),
    totalModules: program.files.length,
  };
}

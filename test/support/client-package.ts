import { execFile } from 'node:child_process';
import { existsSync, mkdirSync, readdirSync, readFileSync, symlinkSync, writeFileSync } from 'node:fs';
import { homedir } from 'node:os';
import { dirname, join } from 'node:path';
import type { TestContext } from 'node:test';
import { promisify } from 'node:util';
import typescript from 'typescript';
import { ROOT } from '../../services/lib/root.js';
import { temporaryFolder } from './cleanup.js';
import { defer } from './defer.js';

const run = promisify(execFile);
const NODE_MODULES = join(ROOT, 'node_modules');

/** The tarball that `npm run pack:client` makes. */
export async function packClient(t: TestContext): Promise<string> {
  const folder = temporaryFolder('ssom-package-');
  defer(t, folder.remove);
  await run(process.execPath, [join(ROOT, 'deploy', 'tools', 'pack-client.mjs'), folder.path]);
  return join(
    folder.path,
    readdirSync(folder.path).find((name) => name.endsWith('.tgz'))!,
  );
}

/** The main file of the package, as it was packed, beside the checkout's packages. */
export async function packedClient(): Promise<{ module: string; remove: () => void }> {
  const { path, remove } = temporaryFolder('ssom-package-');
  const folder = join(path, 'client');
  symlinkSync(NODE_MODULES, join(path, 'node_modules'));
  await run(process.execPath, [join(ROOT, 'deploy', 'tools', 'pack-client.mjs'), folder]);
  return { module: join(folder, 'package', 'client', 'index.js'), remove };
}

/** A program's folder with nothing in it but the installed package. */
export class Consumer {
  constructor(readonly folder: string) {}

  write(files: Readonly<Record<string, string>>): void {
    for (const [name, text] of Object.entries(files)) writeFileSync(join(this.folder, name), text);
  }

  /** What the compiler has to say of the folder's files; empty if nothing. */
  async typeErrors(options: Readonly<Record<string, unknown>>, ...files: string[]): Promise<string> {
    const compilerOptions = { target: 'ES2023', strict: true, types: ['node'], ...options };
    this.write({ 'tsconfig.json': JSON.stringify({ compilerOptions, files }) });
    try {
      await run(process.execPath, [join(NODE_MODULES, 'typescript', 'bin', 'tsc'), '-p', this.folder]);
      return '';
    } catch (error) {
      return (error as { stdout: string }).stdout;
    }
  }

  /** What an editor shows of the name that stands last in a TypeScript module, and its comment. */
  hover(text: string): { shown: string; comment: string } {
    const file = join(this.folder, 'hover.ts');
    this.write({ 'hover.ts': text });
    const service = typescript.createLanguageService({
      fileExists: (name) => typescript.sys.fileExists(name),
      readFile: (name) => typescript.sys.readFile(name),
      getCompilationSettings: () => ({ strict: true, module: typescript.ModuleKind.Node16 }),
      getDefaultLibFileName: (options) => typescript.getDefaultLibFilePath(options),
      getScriptFileNames: () => [file],
      getScriptSnapshot: (name) => typescript.ScriptSnapshot.fromString(readFileSync(name, 'utf8')),
      getScriptVersion: () => '1',
      getCurrentDirectory: () => this.folder,
    });
    const info = service.getQuickInfoAtPosition(file, text.length - 1);
    const { displayPartsToString: plain } = typescript;
    return { shown: plain(info?.displayParts), comment: plain(info?.documentation) };
  }
}

/**
 * Unpacks the tarball as npm would install it. What the package names as its dependencies is taken from the checkout,
 * and nothing else is there to be found.
 */
export async function installClient(t: TestContext, tarball: string): Promise<Consumer> {
  const { path, remove } = temporaryFolder('ssom-consumer-');
  defer(t, remove);
  const installed = join(path, 'node_modules', 'ssom-alert');
  mkdirSync(installed, { recursive: true });
  await run('tar', ['-xzf', tarball, '--strip-components=1', '-C', installed]);
  const { dependencies } = JSON.parse(readFileSync(join(installed, 'package.json'), 'utf8')) as {
    dependencies: Record<string, string>;
  };
  // Whoever compiles has Node's types, which grpc-js brings in any case.
  for (const name of [...Object.keys(dependencies), '@types/node']) {
    const link = join(path, 'node_modules', name);
    mkdirSync(dirname(link), { recursive: true });
    symlinkSync(join(NODE_MODULES, name), link);
  }
  const consumer = new Consumer(path);
  consumer.write({ 'package.json': '{ "name": "consumer", "type": "module" }\n' });
  return consumer;
}

/** The Node that runs us, and others that continuous integration has fetched. */
export function nodeBinaries(): string[] {
  const env = process.env;
  const cache = env['SSOM_CACHE_DIR'] ?? join(env['XDG_CACHE_HOME'] ?? join(homedir(), '.cache'), 'ssom-alert');
  const fetched = existsSync(cache) ? readdirSync(cache).filter((name) => /^node-\d/.test(name)) : [];
  const others = fetched.map((name) =>
    join(cache, name, 'node_modules', `node-${process.platform}-${process.arch}`, 'bin', 'node'),
  );
  return [process.execPath, ...others.filter((file) => existsSync(file))];
}

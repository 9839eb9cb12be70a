// The last release, built from its commit, to run beside what is in this checkout.
import { execFile } from 'node:child_process';
import { cpSync, existsSync, mkdirSync, mkdtempSync, readFileSync, renameSync, rmSync, symlinkSync } from 'node:fs';
import { writeFile } from 'node:fs/promises';
import { homedir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { ROOT } from '../../services/lib/root.js';
import { temporaryFolder } from './cleanup.js';
import { cleanEnvironment } from './role-process.js';

const run = promisify(execFile);
const RECORD = join(ROOT, 'deploy', 'release', 'release.json');
/** What a compilation of old sources may print. */
const OUTPUT_MAX = 1 << 24;

export interface Release {
  readonly commit: string;
  readonly folder: string;
  /** What a process of a role runs. */
  readonly main: string;
  /** The command line. */
  readonly cli: string;
  /** The module of its client's package, as callers have it. */
  readonly client: string;
  /** Whether it has the account of who did what. */
  readonly keepsAccount: boolean;
  readonly remove: () => void;
}

type Say = (line: string) => void;

/** @throws Error saying what to do, if this clone lacks the commit */
export async function lastRelease(say: Say = () => undefined): Promise<Release> {
  return buildRelease(lastCommit(), say);
}

export function lastCommit(): string {
  const { commit } = JSON.parse(readFileSync(RECORD, 'utf8')) as { commit?: unknown };
  if (typeof commit === 'string' && /^[0-9a-f]{40}$/.test(commit)) return commit;
  throw new Error(`${RECORD} has no commit of 40 hexadecimal digits: ${String(commit)}`);
}

/**
 * It is compiled once, and kept in the cache. With the same packages as this checkout it is compiled and run with this
 * checkout's; with others it is set up whole, as its own checkout would be.
 */
export async function buildRelease(commit: string, say: Say = () => undefined): Promise<Release> {
  const lock = JSON.parse(await showFile(commit, 'package-lock.json')) as Lock;
  const ours = JSON.parse(readFileSync(join(ROOT, 'package-lock.json'), 'utf8')) as Lock;
  const different = differentPackages(lock, ours);
  if (different.length === 0) return shared(commit, say);
  say(`the last release has other packages (${different.slice(0, 5).join(', ')} …): it is set up with its own`);
  return ownPackages(commit);
}

async function showFile(commit: string, path: string): Promise<string> {
  try {
    return (await run('git', ['show', `${commit}:${path}`], { cwd: ROOT, maxBuffer: OUTPUT_MAX })).stdout;
  } catch (error) {
    throw new Error(
      `the last release, ${commit}, is not in this clone, so that nothing can be tried against it: ` +
        `git fetch --unshallow, or git fetch origin ${commit}`,
      { cause: error },
    );
  }
}

interface Lock {
  readonly packages: Readonly<Record<string, { version?: string; integrity?: string; dev?: boolean }>>;
}

/** The packages that the service needs when it runs, and that are not the same in both. */
export function differentPackages(one: Lock, other: Lock): string[] {
  const [first, second] = [one, other].map(runtimePackages) as [Map<string, string>, Map<string, string>];
  const names = new Set([...first.keys(), ...second.keys()]);
  return [...names].filter((name) => first.get(name) !== second.get(name)).sort();
}

const runtimePackages = ({ packages }: Lock) =>
  new Map(
    Object.entries(packages)
      .filter(([path, { dev }]) => path !== '' && dev !== true)
      .map(([path, { version = '', integrity = '' }]) => [path, `${version} ${integrity}`]),
  );

function cacheFolder(): string {
  const { SSOM_CACHE_DIR, XDG_CACHE_HOME } = process.env;
  const cache = SSOM_CACHE_DIR ?? join(XDG_CACHE_HOME ?? join(homedir(), '.cache'), 'ssom-alert');
  const folder = join(cache, 'releases');
  mkdirSync(folder, { recursive: true });
  return folder;
}

/** A copy of what the cache has, beside a link to our packages: two checkouts may use the cache at once. */
async function shared(commit: string, say: Say): Promise<Release> {
  const kept = join(cacheFolder(), commit);
  if (!existsSync(kept)) {
    say(`compiling the last release, ${commit.slice(0, 12)}`);
    const started = performance.now();
    await compileInto(kept, commit);
    say(`it took ${Math.round((performance.now() - started) / 1000)} s, and is kept in ${kept}`);
  }
  const { path, remove } = temporaryFolder('ssom-release-');
  cpSync(kept, path, { recursive: true });
  linkPackages(path);
  return releaseIn(path, commit, remove);
}

const linkPackages = (folder: string) => symlinkSync(join(ROOT, 'node_modules'), join(folder, 'node_modules'));

/** Aside first: whoever finds the folder finds all of it. */
async function compileInto(kept: string, commit: string): Promise<void> {
  const folder = mkdtempSync(`${kept}.`);
  try {
    await extract(commit, folder);
    linkPackages(folder);
    const config = join(folder, 'tsconfig.release.json');
    await writeFile(config, JSON.stringify({ extends: './tsconfig.json', include: ['services/**/*.ts'] }));
    await node(folder, join(folder, 'node_modules', 'typescript', 'bin', 'tsc'), '-p', config);
    await node(folder, join(folder, 'deploy', 'tools', 'pack-client.mjs'));
    rmSync(join(folder, 'node_modules'));
    if (!existsSync(kept)) renameSync(folder, kept);
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

async function ownPackages(commit: string): Promise<Release> {
  const folder = join(cacheFolder(), `${commit}-own`);
  if (!existsSync(folder)) {
    const aside = mkdtempSync(`${folder}.`);
    await extract(commit, aside);
    renameSync(aside, folder);
  }
  // Takes up where an earlier one was broken off, and does nothing that is done.
  await node(folder, join(folder, 'deploy', 'tools', 'setup', 'setup.mjs'), '--quiet');
  if (!existsSync(join(folder, '.build-client')))
    await node(folder, join(folder, 'deploy', 'tools', 'pack-client.mjs'));
  return releaseIn(folder, commit, () => undefined);
}

async function extract(commit: string, folder: string): Promise<void> {
  const tar = join(folder, '.release.tar');
  await run('git', ['archive', '--output', tar, commit], { cwd: ROOT });
  await run('tar', ['-xf', tar, '-C', folder]);
  rmSync(tar);
}

async function node(folder: string, ...args: string[]): Promise<void> {
  const { SSOM_CACHE_DIR } = process.env;
  const env = cleanEnvironment(SSOM_CACHE_DIR === undefined ? {} : { SSOM_CACHE_DIR });
  try {
    await run(process.execPath, args, { cwd: folder, env, maxBuffer: OUTPUT_MAX });
  } catch (error) {
    const { stdout, stderr } = error as { stdout: string; stderr: string };
    throw new Error(`the last release cannot be built:\n${stdout}${stderr}`.slice(0, 4000), { cause: error });
  }
}

function releaseIn(folder: string, commit: string, remove: () => void): Release {
  const services = join(folder, '.build', 'services');
  return {
    commit,
    folder,
    main: join(services, 'launch', 'main.js'),
    cli: join(services, 'cli', 'ssom-alert.js'),
    client: join(folder, '.build-client', 'package', 'client', 'index.js'),
    keepsAccount: existsSync(join(services, 'store', 'audit.js')),
    remove,
  };
}

// A small clone in which version 1.2.0 was released, with the scripts of deploy/release as they are here.
import { execFile, execFileSync } from 'node:child_process';
import { cpSync, mkdirSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import type { TestContext } from 'node:test';
import { ROOT } from '../../services/lib/root.js';
import { temporaryFolder } from './cleanup.js';
import { defer } from './defer.js';

export const PROTO = 'proto/sample/v1/sample.proto';

const FILES: Readonly<Record<string, string>> = {
  '.gitignore': 'node_modules\n',
  'package.json': '{ "name": "sample", "version": "1.2.0", "type": "module" }\n',
  // What the release runs as its checks.
  'test/run.mjs': `import { spawnSync } from 'node:child_process';
process.exitCode = spawnSync(process.execPath, ['deploy/release/check.mjs'], { stdio: 'inherit' }).status;
`,
  'schemas/alert-value/v1.avsc': '{ "type": "record", "name": "Alert", "fields": [] }\n',
  'schemas/alert-value/v2.avsc': '{ "type": "record", "name": "Alert", "fields": [], "doc": "2" }\n',
  'schemas/user-value/v1.avsc': '{ "type": "record", "name": "User", "fields": [] }\n',
  'services/store/migrate.ts': `
import * as first from './migrations/0001-first.js';
import * as second from './migrations/0002-second.js';

const MIGRATIONS = [first, second];
`,
  'services/store/migrations/0001-first.ts': "export const name = '0001-first';\n",
  'services/store/migrations/0002-second.ts': "export const name = '0002-second';\n",
  [PROTO]: `syntax = "proto3";

package sample.v1;

service AlertService {
  rpc GetAlert(GetAlertRequest) returns (GetAlertResponse);
  rpc WatchAlerts(GetAlertRequest) returns (stream GetAlertResponse);
}

enum Level {
  LEVEL_UNSPECIFIED = 0;
  LEVEL_INFO = 1;
  LEVEL_WARNING = 2;
  LEVEL_ERROR = 3;
}

message GetAlertRequest {
  reserved 2;
  reserved "caller";
  int64 alert_id = 1;
}

message GetAlertResponse {
  int64 alert_id = 1;
  string title = 2;
  string app_name = 3;
  string source_id = 4;
  string text = 5;
  Level level = 6;
  string old_title = 7 [deprecated = true];
}
`,
  'deploy/CHANGELOG.md': `# Changelog

## 1.2.0 (2026-06-30)

### Callers

Use title instead of old_title.

### Consumers

Nothing.

### Operators

Nothing.
`,
};

export interface Clone {
  readonly folder: string;
  read(path: string): string;
  write(path: string, text: string): void;
  /** @throws Error if there is nothing to replace: a test would plant no breach */
  replace(path: string, ...changes: [string, string][]): void;
  remove(path: string): void;
  git(...args: string[]): string;
  commit(): string;
  /** Runs a script of deploy/release. */
  run(script: 'check' | 'release', ...args: string[]): Promise<{ code: number; stdout: string; stderr: string }>;
  /** What the check says, sorted. */
  problems(): Promise<string[]>;
}

export interface ReleaseScripts {
  recordOf(
    root: string,
    release: { version: string; date: string; commit: string },
    deprecatedBefore: Record<string, string>,
  ): Promise<{ record: Record<string, unknown>; image: Buffer }>;
  writeRecord(root: string, made: { record: Record<string, unknown>; image: Buffer }): void;
}

/** They are plain JavaScript, and have no declarations. */
export const releaseScripts = (folder: string): Promise<ReleaseScripts> =>
  import(join(folder, 'deploy/release/record.mjs')) as Promise<ReleaseScripts>;

/** Made once for a process; it goes with it. */
let template: Promise<Clone> | undefined;

/** @returns it, with all committed, and nothing changed since its release */
export async function releasedClone(t: TestContext): Promise<Clone> {
  const { folder } = await (template ??= makeTemplate());
  const temporary = temporaryFolder();
  defer(t, temporary.remove);
  cpSync(folder, temporary.path, { recursive: true, verbatimSymlinks: true });
  return cloneIn(temporary.path);
}

async function makeTemplate(): Promise<Clone> {
  const clone = cloneIn(temporaryFolder().path);
  for (const [path, text] of Object.entries(FILES)) clone.write(path, text);
  for (const path of ['buf.yaml', 'deploy/release', 'deploy/tools/setup/common.mjs'])
    cpSync(join(ROOT, path), join(clone.folder, path), { recursive: true });
  symlinkSync(join(ROOT, 'node_modules'), join(clone.folder, 'node_modules'));
  clone.git('init', '--quiet');
  const release = { version: '1.2.0', date: '2026-06-30', commit: clone.commit() };
  const { recordOf, writeRecord } = await releaseScripts(ROOT);
  writeRecord(clone.folder, await recordOf(clone.folder, release, {}));
  clone.commit();
  return clone;
}

function cloneIn(folder: string): Clone {
  const at = (path: string) => join(folder, path);
  const read = (path: string) => readFileSync(at(path), 'utf8');
  const write = (path: string, text: string) => {
    mkdirSync(dirname(at(path)), { recursive: true });
    writeFileSync(at(path), text);
  };
  const git = (...args: string[]) => {
    const name = ['-c', 'user.name=Somebody', '-c', 'user.email=somebody@example.com', '-c', 'commit.gpgsign=false'];
    return execFileSync('git', [...name, ...args], { cwd: folder, encoding: 'utf8' }).trim();
  };
  const run: Clone['run'] = (script, ...args) =>
    new Promise((resolve) => {
      execFile(process.execPath, [at(`deploy/release/${script}.mjs`), ...args], (error, stdout, stderr) =>
        resolve({ code: typeof error?.code === 'number' ? error.code : 0, stdout, stderr }),
      );
    });
  return {
    ...{ folder, read, write, git, run },
    replace: (path, ...changes) => {
      for (const [before, after] of changes) {
        if (!read(path).includes(before)) throw new Error(`${path} has no ${before}`);
        write(path, read(path).replace(before, after));
      }
    },
    remove: (path) => rmSync(at(path)),
    commit: () => {
      git('add', '--all');
      git('commit', '--quiet', '--message', 'A change');
      return git('rev-parse', 'HEAD');
    },
    problems: async () => {
      const { code, stderr } = await run('check');
      const lines = stderr.split('\n').filter(Boolean).sort();
      if (code !== (lines.length > 0 ? 1 : 0)) throw new Error(`code ${code}: ${stderr}`);
      return lines;
    },
  };
}

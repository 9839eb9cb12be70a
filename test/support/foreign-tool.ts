// Programs of others that tests run: .ci/run installs them; elsewhere they are tested where they are in the PATH.
import assert from 'node:assert/strict';
import { spawn, spawnSync } from 'node:child_process';
import type { TestContext } from 'node:test';
import { defer } from './defer.js';
import { untilTrue } from './until-true.js';

/** Why a tool is not tested; false if it is. Where CI or SSOM_REQUIRE_REAL is set it must be there. */
export function whySkipTool(tool: string, args: readonly string[], remedy: string): string | false {
  if ((process.env['CI'] ?? '') !== '' || (process.env['SSOM_REQUIRE_REAL'] ?? '') !== '') return false;
  return spawnSync(tool, args).status === 0 ? false : remedy;
}

/** A process whose output is read while it runs. */
export class ForeignTool {
  stdout = '';
  stderr = '';
  code: number | null | undefined;
  readonly #child;

  /** @param input what it reads from its standard input */
  constructor(t: TestContext, command: string, args: readonly string[], input = '') {
    this.#child = spawn(command, args, { stdio: ['pipe', 'pipe', 'pipe'] });
    // One that has ended already reads nothing.
    this.#child.stdin.on('error', () => undefined).end(input);
    this.#child.stdout.setEncoding('utf8').on('data', (text: string) => (this.stdout += text));
    this.#child.stderr.setEncoding('utf8').on('data', (text: string) => (this.stderr += text));
    this.#child.on('error', (error) => {
      this.stderr += error.message;
      this.code = null;
    });
    this.#child.on('close', (code) => (this.code = code));
    defer(t, () => this.#child.kill('SIGKILL'));
  }

  /** Ctrl-C. */
  async interrupt(): Promise<void> {
    this.#child.kill('SIGINT');
    await this.ended();
  }

  async ended(): Promise<void> {
    await untilTrue(() => this.code !== undefined, { timeoutMs: 30_000, what: () => `it ends: ${this.stderr}` });
  }

  async until(condition: () => boolean, what: string): Promise<void> {
    await untilTrue(() => condition() || this.code !== undefined, {
      timeoutMs: 30_000,
      what: () => `${what}: ${this.stdout} ${this.stderr}`,
    });
    assert.ok(condition(), `it ended before ${what}: ${this.stdout} ${this.stderr}`);
  }
}

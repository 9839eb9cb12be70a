import { execFileSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { ROOT } from '../../services/lib/root.js';
import type { Environment } from '../real/support.js';
import { temporaryFolder } from '../support/cleanup.js';

/** Where Debian's package libfaketime puts it. */
const FAKETIME = ['x86_64', 'aarch64'].map((machine) => `/usr/lib/${machine}-linux-gnu/faketime/libfaketime.so.1`);

let preload: string | undefined;

/**
 * An environment in which a process reads another time of day; its timers are not affected.
 * @param shift as faketime takes it, for example +1h
 * @throws if libfaketime or a C compiler is missing
 */
export function clockShift(shift: string): Environment {
  preload ??= build();
  return { LD_PRELOAD: preload, FAKETIME: shift, FAKETIME_DONT_FAKE_MONOTONIC: '1' };
}

function build(): string {
  const library = FAKETIME.find((file) => existsSync(file));
  if (library === undefined) throw new Error('the clock faults need libfaketime: apt-get install -y libfaketime');
  const object = join(temporaryFolder('ssom-clock-').path, 'cnd-timedwait.so');
  const source = join(ROOT, 'test', 'faults', 'cnd-timedwait.c');
  execFileSync('cc', ['-shared', '-fPIC', '-O1', '-o', object, source, '-ldl']);
  return `${object} ${library}`;
}

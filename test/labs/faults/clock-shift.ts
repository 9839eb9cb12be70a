import { execFileSync } from 'node:child_process';
import { chmodSync, existsSync, renameSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { ROOT } from '../../../services/lib/root.js';
import { temporaryFolder } from '../../support/cleanup.js';
import type { Environment } from '../../support/role-process.js';

/** Where Debian's package libfaketime puts it. */
const FAKETIME = ['x86_64', 'aarch64'].map((machine) => `/usr/lib/${machine}-linux-gnu/faketime/libfaketime.so.1`);

/** How long a process goes on with the shift that it read last. */
const REREAD_S = 1;

let preload: string | undefined;

/** A clock that is moved while processes read it. */
export interface SteppedClock {
  /** What a process needs to read this clock; its timers are not affected. */
  readonly environment: Environment;
  /** Moves the clock, as faketime takes it, for example -1h. Processes notice within 2 s. */
  step(shift: string): void;
}

/**
 * A clock that is right until it is stepped.
 * @throws if libfaketime or a C compiler is missing
 */
export function steppedClock(): SteppedClock {
  preload ??= build();
  const folder = temporaryFolder('ssom-clock-').path;
  // PostgreSQL runs as another user.
  chmodSync(folder, 0o711);
  const file = join(folder, 'shift');
  const step = (shift: string) => {
    // In one piece: a process may read it at any time.
    writeFileSync(`${file}.new`, `${shift}\n`, { mode: 0o644 });
    renameSync(`${file}.new`, file);
  };
  step('+0');
  const environment = {
    LD_PRELOAD: preload,
    FAKETIME_TIMESTAMP_FILE: file,
    FAKETIME_CACHE_DURATION: String(REREAD_S),
    FAKETIME_DONT_FAKE_MONOTONIC: '1',
  };
  return { environment, step };
}

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
  const folder = temporaryFolder('ssom-clock-').path;
  chmodSync(folder, 0o711);
  const object = join(folder, 'cnd-timedwait.so');
  const source = join(ROOT, 'test', 'labs', 'faults', 'cnd-timedwait.c');
  execFileSync('cc', ['-shared', '-fPIC', '-O1', '-o', object, source, '-ldl']);
  return `${object} ${library}`;
}

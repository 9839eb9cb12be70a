// What a process has used, from /proc: Linux only.
import { execFileSync } from 'node:child_process';
import { readdirSync, readFileSync } from 'node:fs';

const TICK_MS = 1000 / Number(execFileSync('getconf', ['CLK_TCK'], { encoding: 'utf8' }));

interface Stat {
  readonly pid: number;
  readonly parent: number;
  readonly ticks: number;
  /** Of children that have ended and were waited for. */
  readonly childTicks: number;
}

function statOf(pid: number): Stat | undefined {
  let text: string;
  try {
    text = readFileSync(`/proc/${pid}/stat`, 'utf8');
  } catch {
    return undefined;
  }
  // The command's name is in parentheses and may hold anything; the fields behind it are numbers.
  const fields = text.slice(text.lastIndexOf(')') + 2).split(' ');
  const field = (number: number) => Number(fields[number - 3]);
  return { pid, parent: field(4), ticks: field(14) + field(15), childTicks: field(16) + field(17) };
}

function allProcesses(): Stat[] {
  return readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name))
    .map((pid) => statOf(Number(pid)))
    .filter((stat) => stat !== undefined);
}

/** A process and its descendants: PostgreSQL is one process a connection. */
function family(pid: number): Stat[] {
  const all = allProcesses();
  const members = all.filter((stat) => stat.pid === pid);
  // It grows while it is walked.
  for (const member of members) members.push(...all.filter(({ parent }) => parent === member.pid));
  return members;
}

/** Milliseconds of CPU that a process and its descendants, its own ended children included, have used so far. */
export function cpuMs(pid: number): number {
  return family(pid).reduce((sum, stat) => sum + stat.ticks + (stat.pid === pid ? stat.childTicks : 0), 0) * TICK_MS;
}

/** Milliseconds of CPU that the whole machine has used so far. */
export function machineCpuMs(): number {
  const [line = ''] = readFileSync('/proc/stat', 'utf8').split('\n');
  const [user = 0, nice = 0, system = 0, , , irq = 0, softirq = 0] = line.trim().split(/\s+/).slice(1).map(Number);
  return (user + nice + system + irq + softirq) * TICK_MS;
}

function kilobytes(file: string, name: string): number {
  try {
    return Number(new RegExp(`^${name}:\\s+(\\d+)`, 'm').exec(readFileSync(file, 'utf8'))?.[1] ?? 0);
  } catch {
    return 0;
  }
}

/** Resident megabytes of a process, without its descendants; 0 if it is gone. */
export function residentMb(pid: number): number {
  return kilobytes(`/proc/${pid}/status`, 'VmRSS') / 1024;
}

/** The most megabytes that it was resident in its whole life, as the kernel keeps it; 0 if it is gone. */
export function peakMb(pid: number): number {
  return kilobytes(`/proc/${pid}/status`, 'VmHWM') / 1024;
}

/**
 * Megabytes of all descendants of a process together: what they share, such as PostgreSQL's buffers, counts once (PSS).
 */
export function descendantsMb(pid: number): number {
  const descendants = family(pid).filter((stat) => stat.pid !== pid);
  return descendants.reduce((sum, stat) => sum + kilobytes(`/proc/${stat.pid}/smaps_rollup`, 'Pss'), 0) / 1024;
}

/** What named processes use between two moments. */
export class CpuMeter {
  readonly #before: ReadonlyMap<string, number>;
  readonly #machineBefore = machineCpuMs();
  readonly #started = performance.now();

  constructor(private readonly pids: ReadonlyMap<string, number>) {
    this.#before = new Map([...pids].map(([name, pid]) => [name, cpuMs(pid)]));
  }

  /** @returns milliseconds of CPU by name, and `others`: what was used outside of these processes */
  read(): { ms: Map<string, number>; others: number; elapsedMs: number } {
    const ms = new Map([...this.pids].map(([name, pid]) => [name, cpuMs(pid) - (this.#before.get(name) ?? 0)]));
    const ours = [...ms.values()].reduce((sum, value) => sum + value, 0);
    const others = Math.max(0, machineCpuMs() - this.#machineBefore - ours);
    return { ms, others, elapsedMs: performance.now() - this.#started };
  }
}

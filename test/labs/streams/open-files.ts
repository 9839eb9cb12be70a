import { readFileSync } from 'node:fs';

/** The most files that one of our processes opens: 5,000 connections of their own, and what else it needs. */
const FILES = 6000;

/** Node raises the soft limit itself; the hard one is the user's. @throws if it is too low */
export function requireFiles(): void {
  const limits = readFileSync('/proc/self/limits', 'utf8');
  const hard = /^Max open files\s+\S+\s+(\S+)/m.exec(limits)?.[1] ?? '';
  if (hard === 'unlimited' || Number(hard) >= FILES) return;
  throw new Error(`a process may open ${hard} files here, and ${FILES} are needed; raise it: ulimit -n ${FILES}`);
}

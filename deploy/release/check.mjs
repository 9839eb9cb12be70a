// Refuses what changes something that was released, or breaks who relies on it, in a checkout (this one, if none is
// named). README.md says what that is, and how a release moves on.
import { resolve } from 'node:path';
import { ROOT } from '../tools/setup/common.mjs';
import { releaseProblems } from './compare.mjs';

const problems = await releaseProblems(resolve(process.argv[2] ?? ROOT)).catch((error) => [error.message]);
for (const problem of problems) process.stderr.write(`${problem}\n`);
process.exitCode = problems.length > 0 ? 1 : 0;

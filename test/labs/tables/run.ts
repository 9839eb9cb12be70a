// `npm run tables`: are callers held up while the tables of a filled database are changed? See README.md.
import { lastRelease } from '../../support/last-release.js';
import { runLab } from '../frame/command-line.js';
import { count, toggle } from '../frame/flags.js';
import { table } from '../frame/report.js';
import { blocked, runTables } from './tables-run.js';

await runLab({
  name: 'tables',
  about: 'is CreateAlert held up while the tables of a filled database are changed?',
  markdown: 'standard output',
  flags: {
    entries: count(10_000_000, 'of inboxes, a multiple of 1,000'),
    control: toggle('a change that must hold callers up, which must be noticed'),
  },
  async run({ entries, control }, _, say) {
    const release = await lastRelease(say);
    try {
      const result = await runTables({ release, entries: Math.ceil(entries / 1000) * 1000, control, say });
      const rows = result.phases.map(({ name, seconds, calls, longestMs }) => [
        name,
        seconds.toFixed(1),
        String(calls),
        longestMs.toFixed(0),
      ]);
      const lines = table(['phase', 'lasted s', 'calls', 'longest ms'], rows, [1, 2, 3]).join('\n');
      const held = blocked(result).map(({ name }) => name);
      const said = held.length === 0 ? 'no caller waited for more than 1 s' : `callers waited: ${held.join(', ')}`;
      return {
        fine: control ? held.length > 0 : held.length === 0,
        text: `${entries.toLocaleString('en')} entries, made in ${result.fillSeconds.toFixed(0)} s\n${lines}\n${said}`,
        markdown: lines,
        json: result,
      };
    } finally {
      release.remove();
    }
  },
});

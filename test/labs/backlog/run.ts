// `npm run backlog`: works off a large backlog on the real stack and looks how much memory each role takes; see
// README.md.
import { runLab } from '../frame/command-line.js';
import { count } from '../frame/flags.js';
import { withStack } from '../frame/stack.js';
import { workOffBacklog } from './backlog-run.js';
import { USERS } from './fill.js';

await runLab({
  name: 'backlog',
  about: 'how much memory each role takes while it works off what has waited',
  flags: { records: count(1_000_000, 'that wait in user-alert-topic', USERS) },
  run: ({ records }, _, say) => withStack({}, (stack) => workOffBacklog(stack, records, say)),
});

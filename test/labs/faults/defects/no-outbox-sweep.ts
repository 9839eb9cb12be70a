import { Relay } from '../../../../services/alert-api/relay.js';
import { runWired } from './wired.js';

// What could not be published at once stays in the outbox for ever.
Relay.prototype.run = (signal) => new Promise((resolve) => signal.addEventListener('abort', () => resolve()));
await runWired();

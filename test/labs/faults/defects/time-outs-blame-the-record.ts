import { Database } from '../../../../services/lib/postgres.js';
import { forgetCodes } from './forget-codes.js';
import { runWired } from './wired.js';

// A lock that somebody holds, and a statement that took too long, are taken for errors that nobody knows.
forgetCodes(Database.prototype, ['55P03', '57014']);
await runWired();

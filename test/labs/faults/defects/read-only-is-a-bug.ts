import { Database } from '../../../../services/lib/postgres.js';
import { forgetCodes } from './forget-codes.js';
import { runWired } from './wired.js';

// That a server refuses every write is taken for an error of the statement.
forgetCodes(Database.prototype, ['25006']);
await runWired();

import { after, before, describe } from 'node:test';
import { type Principal, PRINCIPALS } from '../../services/events/rights.js';
import { whySkip } from '../support/stack.js';
import { testBackends } from './secured/backends.js';
import { testRefusals } from './secured/kafka-refusals.js';
import { testRights } from './secured/kafka-rights.js';
import { testTokens } from './secured/kafka-tokens.js';
import { KafkaUsers } from './secured/kafka-users.js';
import { testProduction } from './secured/prod-shape.js';
import { SecuredStack } from './secured/stack.js';

/** Who has no rights at first. */
const LATE: readonly Principal[] = ['fanout', 'push'];

describe('a stack that lets nobody in', { skip: whySkip() }, () => {
  let stack: SecuredStack;

  before(async () => {
    // Each daemon, each role and each client adds a listener for the end of this process.
    process.setMaxListeners(100);
    stack = await SecuredStack.start();
  });

  after(() => stack?.stop());

  describe('Kafka', () => {
    let users: KafkaUsers;

    before(async () => {
      users = await KafkaUsers.create(stack);
      await users.grantAll(...PRINCIPALS.filter((user) => !LATE.includes(user)));
    });

    after(() => users?.close());

    testRefusals(() => users);
    testTokens(() => users);
    testRights(() => users);
  });

  testBackends(() => stack);
  testProduction(() => stack);
});

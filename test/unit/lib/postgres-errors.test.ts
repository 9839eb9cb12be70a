import assert from 'node:assert/strict';
import test from 'node:test';
import { CircuitOpen } from '../../../services/lib/breaker.js';
import { databaseStatus } from '../../../services/lib/grpc/database-status.js';
import { classify, type FailureClass } from '../../../services/lib/kafka/failure.js';
import { type DatabaseFailure, judgeDatabaseError } from '../../../services/lib/postgres-errors.js';

const coded = (code: string, more: object = {}) => Object.assign(new Error(code), { code, ...more });

/** Some of each kind, of which each was taken for another kind once, or is near one that was. */
const EXAMPLES: readonly (readonly [DatabaseFailure | undefined, readonly unknown[]])[] = [
  [
    'outage',
    [
      ...[
        '08006',
        '08001',
        '25006',
        '25P03',
        '28P01',
        '3D000',
        '3F000',
        '42P01',
        '42501',
        '42703',
        '53100',
        '53300',
      ].map((code) => coded(code)),
      ...['57P01', '57P02', '57P03', '57P04', '57P05', '58030', 'F0000', '2200H'].map((code) => coded(code)),
      coded('08P01', { severity: 'FATAL' }),
      ...['ECONNREFUSED', 'ECONNRESET', 'EPIPE', 'ETIMEDOUT', 'EHOSTUNREACH', 'ENETDOWN', 'ENOTFOUND', 'EAI_AGAIN'].map(
        (code) => coded(code),
      ),
      ...['EMFILE', 'ENFILE', 'EADDRNOTAVAIL', 'ENOBUFS', 'ENOENT', 'EACCES', 'EPERM', 'EPROTO'].map((code) =>
        coded(code),
      ),
      ...['ERR_SSL_WRONG_VERSION_NUMBER', 'CERT_HAS_EXPIRED', 'SELF_SIGNED_CERT_IN_CHAIN'].map((code) => coded(code)),
      new Error('Connection terminated unexpectedly'),
      new Error('Connection terminated due to connection timeout'),
      new Error('Query read timeout'),
      new Error('timeout expired'),
      new Error('Client has encountered a connection error and is not queryable'),
      new Error('The server does not support SSL connections'),
      new Error('Cannot use a pool after calling end on the pool'),
      new CircuitOpen('PostgreSQL'),
    ],
  ],
  [
    'contention',
    [
      ...['57014', '55P03', '55006', '40001', '40P01', '40003', '25P04', '53400', '72000', 'XX001', 'EPOOLFULL'].map(
        (code) => coded(code),
      ),
      new Error('timeout exceeded when trying to connect'),
    ],
  ],
  ['data', ['22003', '22021', '22P05', '23505', '23514', '44000', '54000'].map((code) => coded(code))],
  [
    'bug',
    ['08P01', '0A000', '25P01', '25P02', '26000', '42601', '42883', 'P0001', 'XX000', '99999', 'ETOOMANYBINDINGS'].map(
      (code) => coded(code, { severity: 'ERROR' }),
    ),
  ],
  [undefined, [new Error('something else'), undefined, null, 'text', { code: 7 }, new CircuitOpen('schema registry')]],
];

const RECORD: Readonly<Record<DatabaseFailure, FailureClass>> = {
  outage: 'outage',
  contention: 'contention',
  data: 'poison',
  bug: 'transient',
};
const STATUS: Readonly<Record<DatabaseFailure, string | undefined>> = {
  outage: 'DATABASE_UNAVAILABLE',
  contention: 'DATABASE_BUSY',
  data: 'INVALID_FIELDS',
  bug: undefined,
};

test('each error of PostgreSQL and of its connection says the same to breaker, records and callers', () => {
  for (const [failure, errors] of EXAMPLES) {
    for (const error of errors) {
      const name = String((error as { code?: unknown } | undefined | null)?.code ?? error);
      assert.equal(judgeDatabaseError(error)?.failure, failure, name);
      assert.equal(databaseStatus(error)?.reason, failure && STATUS[failure], name);
      if (failure !== undefined) assert.equal(classify(error), RECORD[failure], name);
    }
  }
});

test('the breaker of another thing is an outage for a record, and not the database for a caller', () => {
  assert.equal(classify(new CircuitOpen('schema registry')), 'outage');
  assert.equal(databaseStatus(new CircuitOpen('schema registry')), undefined);
});

import { UnavailableSchema, UndecodableRecord, UnusableSchema } from '../avro.js';
import { CircuitOpen } from '../breaker.js';
import { judgeDatabaseError } from '../postgres-errors.js';
import { RegistryError, RegistryUnavailable } from '../registry/client.js';
import { PoisonRecord } from './poison-record.js';
import { PublishFailed } from './producer.js';

/**
 * What an error says of the record that was being handled; one table for all consumers. What PostgreSQL's errors say is
 * in postgres-errors.ts.
 *
 * | class      | examples                                                                  | what becomes of the record             |
 * | ---------- | ------------------------------------------------------------------------- | -------------------------------------- |
 * | poison     | bytes that no schema fits; an alert that does not exist; refused values   | to the dead letters                    |
 * | outage     | PostgreSQL, Kafka or the registry is away, full, or lets nobody in        | waits, however long it takes           |
 * | contention | somebody holds a lock; a time-out; a deadlock; no connection is free      | again, however often; others go on     |
 * | transient  | everything that is not known                                              | again; alone, and to the dead letters  |
 * |            |                                                                           | if it fails while others succeed       |
 */
export type FailureClass = 'poison' | 'outage' | 'contention' | 'transient';

export function classify(error: unknown): FailureClass {
  if (error instanceof PoisonRecord || error instanceof UndecodableRecord) return 'poison';
  if (error instanceof PublishFailed) return error.permanent ? 'poison' : 'outage';
  // A schema that it does not know is an UndecodableRecord; whatever else it refuses (us, for one) is not the record's
  // fault.
  if (error instanceof UnavailableSchema || error instanceof RegistryUnavailable || error instanceof RegistryError)
    return 'outage';
  if (error instanceof CircuitOpen) return 'outage';
  const failure = judgeDatabaseError(error)?.failure ?? 'bug';
  if (failure === 'data') return 'poison';
  return failure === 'bug' ? 'transient' : failure;
}

/** Why a record was given up, in one of few words. */
export function deadLetterReason(error: unknown): string {
  const cause = error instanceof PoisonRecord ? error.cause : error;
  if (cause instanceof UnusableSchema) return 'unusable_schema';
  if (cause instanceof UndecodableRecord) return 'undecodable';
  if (cause instanceof PublishFailed) return 'refused_by_kafka';
  if (judgeDatabaseError(cause)?.failure === 'data') return 'refused_by_postgresql';
  return error instanceof PoisonRecord ? 'impossible' : 'other';
}

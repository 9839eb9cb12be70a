import { UndecodableRecord } from './avro.js';
import { PublishFailed } from './kafka/producer.js';
import { PoisonRecord } from './kafka/poison-record.js';
import { isDataError, isOutage } from './postgres.js';
import { RegistryError, RegistryUnavailable } from './registry/client.js';

/**
 * What an error says of the record that was being handled; one table for all consumers.
 *
 * | class     | examples                                                                  | what becomes of the record             |
 * | --------- | ------------------------------------------------------------------------- | -------------------------------------- |
 * | poison    | bytes that no schema fits; an alert that does not exist; refused values   | to the dead letters                    |
 * | outage    | PostgreSQL, Kafka or the registry is away, full, or lets nobody in        | waits, however long it takes           |
 * | transient | time-out, deadlock, and everything that is not known                      | again; alone, and to the dead letters  |
 * |           |                                                                           | if it fails while others succeed       |
 */
export type FailureClass = 'poison' | 'outage' | 'transient';

/** A statement that was cancelled because it took too long: the database is there, and the next one may be quicker. */
const QUERY_CANCELED = '57014';

export function classify(error: unknown): FailureClass {
  if (error instanceof PoisonRecord || error instanceof UndecodableRecord) return 'poison';
  if (error instanceof PublishFailed) return error.permanent ? 'poison' : 'outage';
  // A schema that it does not know is an UndecodableRecord; whatever else it refuses (us, for one) is not the record's fault.
  if (error instanceof RegistryUnavailable || error instanceof RegistryError) return 'outage';
  if ((error as { code?: unknown } | undefined)?.code === QUERY_CANCELED) return 'transient';
  if (isOutage(error)) return 'outage';
  return isDataError(error) ? 'poison' : 'transient';
}

/** Why a record was given up, in one of few words. */
export function deathReason(error: unknown): string {
  const cause = error instanceof PoisonRecord ? error.cause : error;
  if (cause instanceof UndecodableRecord) return 'undecodable';
  if (cause instanceof PublishFailed) return 'refused_by_kafka';
  if (isDataError(cause)) return 'refused_by_postgresql';
  return error instanceof PoisonRecord ? 'impossible' : 'other';
}

// The clients: one process that holds any number of streams.
import type { ClientHttp2Stream } from 'node:http2';
import { api } from '../../../services/api/protos.js';
import { countChanges } from '../bench/wire.js';
import { serve } from '../frame/worker.js';
import { Connections, openStream } from './raw-stream.js';

const { responseDeserialize } = api.AlertStreamService.service.StreamAlerts;
/** Streams that are opened at the same time. */
const OPENING = 200;

/** Changes that came since they were last counted. */
let received = 0;

/** Streams by the call that opened them. */
const groups: ClientHttp2Stream[][] = [];

export interface OpenOptions {
  readonly address: string;
  readonly perConnection: number;
  readonly users: readonly string[];
  /** Milliseconds from each alert's creation, which its source_id tells, to here. */
  readonly latencies?: boolean;
}

const latencies: number[] = [];

function noteLatencies(message: Buffer): void {
  const now = process.hrtime.bigint();
  for (const { alert } of responseDeserialize(message).changes) {
    if (alert?.sourceId.startsWith('at-') === true) latencies.push(Number(now - BigInt(alert.sourceId.slice(3))) / 1e6);
  }
}

function open(connections: Connections, userId: string, measure: boolean): Promise<ClientHttp2Stream> {
  return new Promise((resolve, reject) => {
    const stream = openStream(
      connections.next(),
      userId,
      { start: 'STREAM_START_NOW' },
      {
        response(message) {
          resolve(stream);
          const changes = countChanges(message);
          if (changes === 0) return;
          received += changes;
          if (measure) noteLatencies(message);
        },
        ended(status) {
          reject(new Error(`the stream of ${userId} ended: ${status ?? 'no status'}`));
        },
      },
    );
  });
}

const commands = {
  /** Opens a stream for each user; resolves when all have had their first response. @returns the group's number */
  async open({ address, perConnection, users, latencies: measure = false }: OpenOptions): Promise<number> {
    const connections = new Connections(address, perConnection);
    const streams: ClientHttp2Stream[] = [];
    for (let from = 0; from < users.length; from += OPENING) {
      const some = users.slice(from, from + OPENING);
      streams.push(...(await Promise.all(some.map((userId) => open(connections, userId, measure)))));
    }
    return groups.push(streams) - 1;
  },

  /** Waits until `count` changes have come, and begins to count anew. @returns how many came */
  async changes({ count, timeoutMs }: { count: number; timeoutMs: number }): Promise<number> {
    const until = Date.now() + timeoutMs;
    while (received < count && Date.now() < until) await new Promise((resolve) => setTimeout(resolve, 2));
    const came = received;
    received = 0;
    return came;
  },

  /** Stops reading, or begins again. */
  setReading({ group, reading }: { group: number; reading: boolean }): void {
    for (const stream of groups[group]!) {
      if (reading) stream.resume();
      else stream.pause();
    }
  },

  takeLatencies(_: undefined): number[] {
    return latencies.splice(0);
  },
};
export type HolderCommands = typeof commands;

serve(commands);

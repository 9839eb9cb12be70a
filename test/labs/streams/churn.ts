// Opens streams and ends them in every way that there is.
import http2, { type ClientHttp2Stream } from 'node:http2';
import type { StreamAlertsRequest } from '../../../services/gen/types.js';
import type { Random } from '../../support/random.js';
import { Connection, openStream } from './raw-stream.js';

export interface ChurnOptions {
  readonly address: string;
  readonly streams: number;
  /** Users with inboxes that are soon read. */
  readonly users: readonly string[];
  /** A user whose inbox takes many pages. */
  readonly far: string;
  /** Connections at a time. */
  readonly concurrency: number;
  /** All streams are left until the gateway ends them for their age, instead of any other way. */
  readonly aging?: boolean;
}

const STREAMS_OF_CONNECTION = 10;
/** A stream that has not come as far as it is to within this time hangs. */
const PATIENCE_MS = 60_000;
const FROM_THE_BEGINNING = { start: 'STREAM_START_BEGINNING' } as const;

/** A client's part in one stream; resolves when it is over for the client, or hangs. */
interface Episode {
  readonly connection: Connection;
  readonly random: Random;
  readonly options: ChurnOptions;
}

interface Opened {
  readonly stream: ClientHttp2Stream;
  readonly first: Promise<void>;
  /** gRPC's status; undefined if there was none. */
  readonly closed: Promise<number | undefined>;
}

function open({ connection }: Episode, userId: string, request: StreamAlertsRequest = {}, unfinished = false): Opened {
  let first: () => void = () => undefined;
  let closed: (status: number | undefined) => void = () => undefined;
  const firstResponse = new Promise<void>((resolve) => (first = resolve));
  const end = new Promise<number | undefined>((resolve) => (closed = resolve));
  const listener = {
    response: () => first(),
    ended: (status: number | undefined) => {
      first();
      closed(status);
    },
  };
  return { stream: openStream(connection, userId, request, listener, unfinished), first: firstResponse, closed: end };
}

const someone = ({ random, options }: Episode) => random.pick(options.users);

async function cancelled({ stream, closed }: Opened): Promise<void> {
  stream.close(http2.constants.NGHTTP2_CANCEL);
  await closed;
}

async function refused({ closed }: Opened, status: number): Promise<void> {
  const code = await closed;
  if (code !== status) throw new Error(`a stream ended with ${code} instead of ${status}`);
}

const INVALID_ARGUMENT = 3;
const NOT_FOUND = 5;
const UNAVAILABLE = 14;

/** Each way with the share of streams that goes it. */
const WAYS: readonly { readonly name: string; readonly share: number; go(episode: Episode): Promise<void> }[] = [
  {
    name: 'cancelled when it was live',
    share: 20,
    async go(episode) {
      const opened = open(episode, someone(episode));
      await opened.first;
      await cancelled(opened);
    },
  },
  {
    name: 'cancelled at once',
    share: 15,
    go: (episode) => cancelled(open(episode, someone(episode))),
  },
  {
    name: 'cancelled some moments later',
    share: 15,
    async go(episode) {
      const opened = open(episode, someone(episode), FROM_THE_BEGINNING);
      for (let turns = episode.random.int(1, 20); turns > 0; turns -= 1)
        await new Promise((resolve) => setImmediate(resolve));
      await cancelled(opened);
    },
  },
  {
    name: 'cancelled while it caught up',
    share: 8,
    async go(episode) {
      const opened = open(episode, episode.options.far, FROM_THE_BEGINNING);
      await opened.first;
      await cancelled(opened);
    },
  },
  {
    name: 'cancelled without having read anything',
    share: 4,
    async go(episode) {
      const opened = open(episode, episode.options.far, FROM_THE_BEGINNING);
      opened.stream.pause();
      await new Promise((resolve) => setTimeout(resolve, episode.random.int(1, 200)));
      await cancelled(opened);
    },
  },
  {
    name: 'cancelled before its request was whole',
    share: 8,
    async go(episode) {
      const opened = open(episode, someone(episode), {}, true);
      await new Promise((resolve) => setImmediate(resolve));
      await cancelled(opened);
    },
  },
  {
    name: 'left to its connection',
    share: 20,
    async go(episode) {
      await open(episode, someone(episode), FROM_THE_BEGINNING).first;
    },
  },
  {
    name: 'refused for its token',
    share: 5,
    go: (episode) => refused(open(episode, someone(episode), { resumeToken: 'x' }), INVALID_ARGUMENT),
  },
  {
    name: 'refused for its user',
    share: 5,
    go: (episode) => refused(open(episode, 'nobody'), NOT_FOUND),
  },
];
/** The way that only a gateway with a low STREAM_MAX_AGE_MS knows: it would end what others have forgotten. */
const AGING = {
  name: 'ended by the gateway for its age',
  go: (episode: Episode) => refused(open(episode, someone(episode)), UNAVAILABLE),
};
const SHARES = WAYS.reduce((sum, { share }) => sum + share, 0);

function pickWay(random: Random) {
  let drawn = random.int(1, SHARES);
  return WAYS.find(({ share }) => (drawn -= share) <= 0)!;
}

/** Ways in which connections end. */
const ENDINGS: readonly ((connection: Connection) => void)[] = [
  (connection) => connection.cut(),
  (connection) => connection.halfClose(),
  (connection) => connection.close(),
];

async function within(promise: Promise<void>, what: string): Promise<void> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(new Error(`a stream hangs that is to be ${what}`)), PATIENCE_MS);
  });
  await Promise.race([promise, late]).finally(() => clearTimeout(timer));
}

/** @returns how many streams went which way @throws if one hangs or is ended otherwise than it should */
export async function churn(options: ChurnOptions, random: Random): Promise<Record<string, number>> {
  const counts: Record<string, number> = {};
  let left = options.streams;
  const lane = async () => {
    while (left > 0) {
      const streams = Math.min(left, STREAMS_OF_CONNECTION);
      left -= streams;
      const connection = new Connection(options.address);
      const episodes = Array.from({ length: streams }, () => {
        const { name, go } = options.aging === true ? AGING : pickWay(random);
        counts[name] = (counts[name] ?? 0) + 1;
        return within(go({ connection, random, options }), name);
      });
      try {
        await Promise.all(episodes);
      } finally {
        random.pick(ENDINGS)(connection);
        await closed(connection);
      }
    }
  };
  await Promise.all(Array.from({ length: options.concurrency }, lane));
  return counts;
}

function closed({ socket }: Connection): Promise<void> {
  return new Promise((resolve) => {
    if (socket.closed) resolve();
    else socket.once('close', () => resolve());
  });
}

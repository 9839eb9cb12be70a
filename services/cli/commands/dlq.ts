import { type Command, InvalidArgumentError } from 'commander';
import type { AuditAction } from '../../domain/audit.js';
import { OPERATOR_GROUP } from '../../events/groups.js';
import { topicsOf } from '../../events/schemas/files.js';
import type { DeadLetter } from '../../lib/kafka/dead-letter-topic.js';
import type { IncomingRecord } from '../../lib/kafka/incoming-record.js';
import type { Producer as KafkaProducer } from '../../lib/kafka/producer.js';
import type { KeptDeadLetter } from '../../store/kept-dead-letters.js';
import { type AddCommands, examples, parseWhole } from '../command.js';
import { type Context, FAILED, INTERRUPTED, OK, print, say } from '../context.js';
import { operator } from '../io/operator.js';
import { parseTime } from '../io/times.js';
import { count, jsonText, oneLine } from '../views/text.js';

interface Filter {
  readonly topic?: string;
  readonly since?: number;
  readonly until?: number;
  readonly reason?: string;
  readonly key?: string;
  readonly all?: boolean;
  readonly json?: boolean;
  readonly limit?: number;
}

interface ChangeFlags extends Filter {
  readonly yes?: boolean;
}

/** A dead letter, and where its record is. */
interface Found extends DeadLetter {
  readonly place: 'topic' | 'waiting' | 'outbox';
}

interface Tools {
  letters(filter: Filter): AsyncGenerator<Found>;
  /** Accounts for it, then publishes. */
  publish(letters: readonly Found[]): Promise<void>;
  forget(letters: readonly Found[]): Promise<void>;
  markPurged(letters: readonly Found[]): Promise<void>;
}

/** Dead letters that are published, acknowledged and forgotten together. */
const REDRIVE_BATCH = 200;
const KEY_SHOWN = 40;

export const addDlq: AddCommands = (program, context, done) => {
  const dlq = program
    .command('dlq')
    .summary('dead letters: records that could not be handled')
    .description(
      'Records that no consumer could handle lie in <topic>-dlq, as they were, with the reason. What that topic does not take waits ' +
        'in PostgreSQL, and alerts that Kafka does not take are here too. Mend the cause, then redrive them. These commands speak to Kafka and PostgreSQL themselves, as the environment variables of the service name them.',
    );

  filterFlags(dlq.command('list'))
    .summary('what lies there, oldest first')
    .description('Dead letters, oldest first: where from, class, attempts, redrives, key, reason.')
    .option('--all', 'also those that were redriven or purged')
    .option('--json', 'one JSON object a line, for programs')
    .addHelpText(
      'after',
      examples('ssom-alert dlq list --since 2h', 'ssom-alert dlq list --topic user-alert-topic --json'),
    )
    .action(async (flags: Filter) => done(await withTools(context, (tools) => list(context, tools, flags))));

  dlq
    .command('show')
    .summary('one of them, whole')
    .description('One dead letter with all headers, and its value in hexadecimal.')
    .argument('<name>', 'where it came from, as list prints it: topic-partition@offset', parseName)
    .addHelpText('after', examples('ssom-alert dlq show user-alert-topic-3@1042'))
    .action(async (name: Name) => done(await withTools(context, (tools) => show(context, tools, name))));

  filterFlags(dlq.command('redrive'))
    .summary('send them back to their topics')
    .description(
      'Sends dead letters back to the topics they came from, in the order in which they were given up, those that are in ' +
        'PostgreSQL first; alerts go to the outbox. Says what it would do, and does it with --yes. It may be interrupted and repeated: what arrives twice has no effect.',
    )
    .option('--yes', 'do it')
    .addHelpText(
      'after',
      examples('ssom-alert dlq redrive --reason "does not exist"', 'ssom-alert dlq redrive --since 2h --yes'),
    )
    .action(async (flags: ChangeFlags) =>
      done(await withTools(context, (tools) => change(context, tools, flags, 'redrive'))),
    );

  filterFlags(dlq.command('purge'))
    .summary('give them up for good')
    .description(
      'Takes dead letters off the list: neither redrive nor reconcile brings them back. Their records stay in Kafka until its ' +
        'retention removes them (list --all shows them). Says what it would do, and does it with --yes.',
    )
    .option('--yes', 'do it')
    .addHelpText('after', examples('ssom-alert dlq purge --until 7d --yes'))
    .action(async (flags: ChangeFlags) =>
      done(await withTools(context, (tools) => change(context, tools, flags, 'purge'))),
    );
};

function filterFlags(command: Command): Command {
  return command
    .option('--topic <name>', 'only from this topic (default: all three)')
    .option('--since <time>', 'only given up after this: 2026-11-22T10:00:00Z, or 30m, 2h, 7d ago', parseTime)
    .option('--until <time>', 'only given up before this', parseTime)
    .option('--reason <text>', 'only those whose class or reason has this text')
    .option('--key <key>', 'only with this key (a user or an alert)')
    .option('--limit <n>', 'at most this many (default: all)', parseWhole);
}

interface Name {
  readonly topic: string;
  readonly name: string;
}

function parseName(value: string): Name {
  // Partition -1: it stands for a push, which was no record.
  const topic = /^(.+?)-(-1|\d+)@\d+$/.exec(value)?.[1];
  if (topic === undefined) throw new InvalidArgumentError('It must be topic-partition@offset, as list prints it.');
  return { topic, name: value };
}

/** Whether a dead letter is asked for. */
export function wanted({ added, record }: DeadLetter, { since, until, reason, key }: Filter): boolean {
  const at = Date.parse(added['dlq-last-failure-at'] ?? '');
  if (since !== undefined && !(at >= since)) return false;
  if (until !== undefined && !(at <= until)) return false;
  if (key !== undefined && record.key !== key) return false;
  if (reason === undefined) return true;
  const text = `${added['dlq-error-class'] ?? ''} ${added['dlq-error-message'] ?? ''}`;
  return text.toLowerCase().includes(reason.toLowerCase());
}

async function withTools(context: Context, work: (tools: Tools) => Promise<number>): Promise<number> {
  const { loadConfig } = await import('../../lib/config/load.js');
  const config = loadConfig(context.environment);
  const missing = [
    config.databaseUrl === '' ? 'DATABASE_URL' : '',
    config.kafkaBootstrapServers === '' ? 'KAFKA_BOOTSTRAP_SERVERS' : '',
  ].filter((name) => name !== '');
  if (missing.length > 0) {
    say(
      context,
      `PROFILE=${config.profile} without ${missing.join(', ')}: its broker lives in the service's process, out of reach,`,
    );
    say(
      context,
      'and its dead letters end with it: at the next start reconcile puts what is missing into the inboxes. A push that has failed is not sent again.',
    );
    say(context, `For a Kafka of its own set PROFILE=dev or prod, or ${missing.join(', ')}.`);
    return FAILED;
  }
  const [{ Database }, { silentLogger }, { Consumer }, { Producer }, { UnknownTopic }, letters, store, kept, audit] =
    await Promise.all([
      import('../../lib/postgres.js'),
      import('../../lib/logging.js'),
      import('../../lib/kafka/consumer.js'),
      import('../../lib/kafka/producer.js'),
      import('../../lib/kafka/topic-offsets.js'),
      import('../../lib/kafka/dead-letter-topic.js'),
      import('../../store/dead-letters.js'),
      import('../../store/kept-dead-letters.js'),
      import('../../store/audit.js'),
    ]);
  const logger = silentLogger();
  const brokers = { bootstrapServers: config.kafkaBootstrapServers, inProcess: false };
  const database = new Database(config.databaseUrl, config, logger);
  const consumer = await Consumer.observe(brokers, config, logger, {
    clientId: 'ssom-alert-dlq',
    groupId: OPERATOR_GROUP,
  });
  const topics = topicsOf(config);
  const accountOf = (action: AuditAction) => audit.accountOf(operator(), action);
  let producer: KafkaProducer | undefined;
  /** Those in PostgreSQL, then those in the topic, each once. */
  async function* deadLettersIn(topic: string, isAskedFor: boolean): AsyncGenerator<Found & { purged: boolean }> {
    const known = new Set<string>();
    for await (const each of kept.keptDeadLetters(database, topic)) {
      const letter = letters.toDeadLetter(toRecord(each));
      if (letter === undefined) continue;
      known.add(nameOf(letter));
      yield { ...letter, place: each.place, purged: each.purged };
    }
    try {
      for await (const letter of letters.readDeadLetters(consumer, topic))
        if (!known.has(nameOf(letter))) yield { ...letter, place: 'topic', purged: false };
    } catch (error) {
      if (!(error instanceof UnknownTopic) || (isAskedFor && known.size === 0)) throw error;
      say(context, error.message);
    }
  }
  try {
    return await work({
      async *letters(filter) {
        const asked = filter.topic === undefined ? topics : [filter.topic.replace(/-dlq$/, '')];
        const pending = filter.all ? undefined : await store.pendingDeadLetters(database, asked);
        let found = 0;
        for (const topic of asked) {
          for await (const { purged, ...letter } of deadLettersIn(topic, filter.topic !== undefined)) {
            if (purged && !filter.all) continue;
            if (pending?.has(nameOf(letter)) === false || !wanted(letter, filter)) continue;
            if (found >= (filter.limit ?? Infinity)) return;
            found += 1;
            yield letter;
          }
        }
      },
      async publish(some) {
        await audit.writeEntries(database, [
          {
            actor: operator(),
            action: 'dead-letters.redrive',
            object: '',
            outcome: 'begun',
            reason: '',
            details: store.namesOf(some),
          },
        ]);
        const records = some.filter(({ place }) => place !== 'outbox');
        if (records.length === 0) return;
        producer ??= await Producer.connect(brokers, config, logger, { clientId: 'ssom-alert-dlq' });
        await producer.publish(records.map(letters.redriven));
      },
      forget: (some) => store.forgetDeadLetters(database, some, accountOf('dead-letters.redrive')),
      markPurged: (some) => store.purgeDeadLetters(database, some, accountOf('dead-letters.purge')),
    });
  } finally {
    await producer?.close();
    await consumer.close();
    await database.close();
  }
}

/** As it would be read from its dead-letter topic. */
function toRecord({ topic, key, value, headers, createdAt }: KeptDeadLetter): IncomingRecord {
  const read = { partition: -1, offset: -1, timestamp: createdAt, key: key?.toString() ?? null, rawKey: key };
  return { topic: `${topic}-dlq`, ...read, value, headers };
}

const PLACES: Readonly<Record<Found['place'], string>> = {
  topic: '',
  waiting: ' waits in PostgreSQL',
  outbox: ' an alert that could not be published',
};

const nameOf = ({ topic, partition, offset }: DeadLetter) => `${topic}-${partition}@${offset}`;

async function list(context: Context, tools: Tools, filter: Filter): Promise<number> {
  let found = 0;
  for await (const letter of tools.letters(filter)) {
    found += 1;
    await print(context, filter.json ? jsonText(toJson(letter)) : toLine(letter));
  }
  if (!filter.json) say(context, found === 0 ? 'no dead letters' : count(found, 'dead letter'));
  return OK;
}

function toLine(letter: Found): string {
  const { added, record, redrives, place } = letter;
  const key = record.key === null ? '(no key)' : oneLine(record.key.slice(0, KEY_SHOWN));
  const again = redrives > 0 ? ` redriven ${redrives}x` : '';
  return (
    `${added['dlq-last-failure-at'] ?? '?'}  ${nameOf(letter)}  ${added['dlq-error-class'] ?? '?'}, ` +
    `${count(Number(added['dlq-attempts'] ?? 0), 'attempt')}${again}${PLACES[place]}  ${key}  ${oneLine(added['dlq-error-message'] ?? '')}`
  );
}

function toJson(letter: Found) {
  const { topic, partition, offset, added, record, redrives, place } = letter;
  const own = Object.fromEntries(Object.entries(added).map(([name, value]) => [name.replace(/^dlq-/, ''), value]));
  return { name: nameOf(letter), topic, partition, offset, key: record.key, redrives, place, ...own };
}

async function show(context: Context, tools: Tools, { topic, name }: Name): Promise<number> {
  for await (const letter of tools.letters({ topic, all: true })) {
    if (nameOf(letter) !== name) continue;
    const { record } = letter;
    await print(context, `key: ${record.key === null ? '(none)' : oneLine(record.key)}`);
    for (const header of record.headers) {
      for (const [key, value] of Object.entries(header))
        await print(context, `${oneLine(key)}: ${oneLine(value.toString())}`);
    }
    await print(context, `value: ${record.value === null ? '(none)' : `${record.value.length} bytes`}`);
    if (record.value !== null) for (const line of hexDump(record.value)) await print(context, line);
    return OK;
  }
  say(context, `error: there is no dead letter ${oneLine(name)}; 'ssom-alert dlq list --all' shows what there is`);
  return FAILED;
}

/** 16 bytes a line: their place, the bytes, and what is printable of them. */
export function* hexDump(bytes: Buffer): Generator<string> {
  for (let at = 0; at < bytes.length; at += 16) {
    const part = bytes.subarray(at, at + 16);
    const hex = [...part].map((byte) => byte.toString(16).padStart(2, '0')).join(' ');
    const text = part.toString('latin1').replace(/[^\x20-\x7e]/g, '.');
    yield `${at.toString(16).padStart(6, '0')}  ${hex.padEnd(47)}  ${text}`;
  }
}

async function change(context: Context, tools: Tools, flags: ChangeFlags, what: 'redrive' | 'purge'): Promise<number> {
  const signal = context.interrupted();
  const verb = what === 'redrive' ? 'sent back to their topics' : 'taken off the list';
  let batch: Found[] = [];
  let total = 0;
  const flush = async () => {
    if (what === 'purge') await tools.markPurged(batch);
    else {
      // Published first: an interruption in between sends them twice, which has no effect, and never not at all.
      await tools.publish(batch);
      await tools.forget(batch);
    }
    total += batch.length;
    batch = [];
  };
  for await (const letter of tools.letters(flags)) {
    if (flags.yes !== true) {
      total += 1;
      await print(context, toLine(letter));
      continue;
    }
    if (signal.aborted) break;
    batch.push(letter);
    if (batch.length === REDRIVE_BATCH) await flush();
  }
  if (batch.length > 0 && !signal.aborted) await flush();
  const done = flags.yes === true;
  say(
    context,
    `${count(total, 'dead letter')} ${done ? '' : 'would be '}${verb}${done || total === 0 ? '' : '; add --yes to do it'}`,
  );
  return signal.aborted ? INTERRUPTED : OK;
}

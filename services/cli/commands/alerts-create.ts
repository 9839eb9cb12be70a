import { randomUUID } from 'node:crypto';
import type { AlertClientError } from '../../client/errors.js';
import type { CreateAlertResponse__Output } from '../../gen/types.js';
import { type CallerFlags, callerIdentity, type ProtoKind, type ProtoLevel, withClient } from '../command.js';
import { type Context, FAILED, INTERRUPTED, OK, print, say, UsageError } from '../context.js';
import { parseAlertLine, readAlert } from '../io/alert-input.js';
import { type Item, sendChunks, type Tally } from '../io/batch-sender.js';
import { Problems } from '../io/fields.js';
import { describeFileError, jsonLines, openInput } from '../io/input-file.js';
import { joinObjects } from '../io/json-objects.js';
import { chunked, LONGEST, readLines } from '../io/lines.js';
import { createJson, createNotes } from '../views/create-notes.js';
import { count, jsonText, oneLine } from '../views/text.js';

export interface CreateFlags extends CallerFlags {
  readonly file?: string;
  readonly kind?: ProtoKind;
  readonly level?: ProtoLevel;
  readonly app?: string;
  readonly title?: string;
  readonly message?: string;
  readonly sourceId?: string;
  readonly label?: readonly string[];
  readonly occurredAt?: string;
  readonly toUser?: readonly string[];
  readonly toDepartment?: readonly string[];
  readonly toLogin?: readonly string[];
  readonly requestId?: string;
  readonly json?: boolean;
}

const OF_ONE_ALERT = [
  'kind',
  'level',
  'app',
  'title',
  'message',
  'sourceId',
  'label',
  'occurredAt',
  'toUser',
  'toDepartment',
  'toLogin',
  'requestId',
] as const satisfies readonly (keyof CreateFlags)[];

/** Below the service's 500: an answer soon is worth more than a few calls less. */
const ITEMS_PER_CALL = 100;
/** The service takes messages up to 1 MiB; the JSON of a line is about as large as its protobuf. */
const BYTES_PER_CALL = 700 * 1024;
const FLUSH_AFTER_MS = 50;
const PROGRESS_EVERY_MS = 100;
const NOTES_MAX = 100;
/** Somebody waits to hear whether the service is there at all. */
const ATTEMPTS = 5;

export async function createAlerts(context: Context, flags: CreateFlags): Promise<number> {
  const given = OF_ONE_ALERT.filter((name) => flags[name] !== undefined);
  if (flags.file === undefined) return createOne(context, flags);
  if (given.length > 0) {
    throw new UsageError(`--file brings whole alerts, so --${kebab(given[0]!)} cannot be given with it`);
  }
  return createFromFile(context, flags.file, flags);
}

function kebab(name: string): string {
  return name.replace(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`);
}

async function createOne(context: Context, flags: CreateFlags): Promise<number> {
  const missing = (['kind', 'level', 'app', 'title'] as const).filter((name) => flags[name] === undefined);
  if (missing.length > 0) {
    throw new UsageError(
      `an alert needs ${missing.map((name) => `--${name}`).join(', ')} (or give --file with JSON lines)`,
    );
  }
  const named = [flags.toUser, flags.toDepartment, flags.toLogin].some((names) => names !== undefined);
  const input = readAlert({
    requestId: flags.requestId,
    kind: flags.kind,
    appName: flags.app,
    level: flags.level,
    title: flags.title,
    message: flags.message,
    occurredAt: flags.occurredAt,
    sourceId: flags.sourceId,
    labels: flags.label === undefined ? undefined : readLabelFlags(flags.label),
    recipients: named
      ? { userIds: flags.toUser, departments: flags.toDepartment, githubLogins: flags.toLogin }
      : undefined,
  });
  if ('problems' in input) throw new UsageError(input.problems.join('; '));
  return withClient(context, flags, callerIdentity(context, flags), async (client, signal) => {
    const response = await client.createAlert(input.request, { signal, attempts: ATTEMPTS });
    const { alert, replayed } = response;
    if (flags.json) await print(context, jsonText(createJson(response)));
    else await print(context, `alert ${alert?.alertId} ${replayed ? 'replayed' : 'created'}`);
    for (const note of createNotes(response)) say(context, note);
    return OK;
  });
}

function readLabelFlags(flags: readonly string[]): Record<string, string> {
  const labels = new Map<string, string>();
  for (const flag of flags) {
    const equals = flag.indexOf('=');
    if (equals < 1) throw new UsageError(`--label '${flag}' must be key=value`);
    const key = flag.slice(0, equals);
    if (labels.has(key)) throw new UsageError(`--label '${key}' was given more than once`);
    labels.set(key, flag.slice(equals + 1));
  }
  return Object.fromEntries(labels);
}

async function createFromFile(context: Context, file: string, flags: CreateFlags): Promise<number> {
  return withClient(context, flags, callerIdentity(context, flags), async (client, interrupted) => {
    const tally: Tally = { created: 0, replayed: 0, refused: 0, unsent: 0, nobody: 0 };
    const progress = new Progress(context, tally);
    const reading = new AbortController();
    const stopReading = () => reading.abort();
    interrupted.addEventListener('abort', stopReading, { once: true });
    let lastLine = 0;
    let fatal: AlertClientError | undefined;
    const notes = new Notes(progress);
    /** For --json: what became of the lines of a call, or could not be read. */
    const results: string[] = [];
    const printResults = async () => {
      for (const result of results.splice(0)) await print(context, result);
    };
    const refuse = (line: number, reason: string) => {
      progress.say(`line ${line}: ${oneLine(reason)}`);
      if (flags.json) results.push(jsonText({ line, error: reason }));
    };
    const note = (line: number, response: CreateAlertResponse__Output) => {
      notes.add(line, createNotes(response));
      if (response.reachesNobody) tally.nobody += 1;
      if (flags.json) results.push(jsonText({ line, ...createJson(response) }));
    };

    async function* items(): AsyncGenerator<Item & { readonly bytes: number }, void, undefined> {
      const lines = jsonLines(readLines(openInput(context, file, reading.signal)), file);
      const listed = new Set<string>();
      for await (const { number, text, problem, bytes } of joinObjects(lines, LONGEST)) {
        lastLine = number;
        const input =
          text === undefined ? { problems: [problem!] } : parseAlertLine(text, number, new Problems(listed));
        if ('problems' in input) {
          tally.refused += 1;
          refuse(number, input.problems.join('; '));
          continue;
        }
        // One that stays: an alert may have been stored although its answer was lost.
        const request = { ...input.request, requestId: input.request.requestId || randomUUID() };
        yield { line: number, request, bytes };
      }
    }

    const limits = { maxItems: ITEMS_PER_CALL, maxWeight: BYTES_PER_CALL, flushAfterMs: FLUSH_AFTER_MS };
    let unreadable: string | undefined;
    try {
      await sendChunks(
        chunked(items(), ({ bytes }) => bytes, limits),
        {
          client,
          signal: interrupted,
          tally,
          patient: file === '-',
          onStored: note,
          onRefused: refuse,
          onProgress: () => {
            progress.show();
            return printResults();
          },
          onFatal: (error) => {
            fatal = error;
            stopReading();
          },
        },
      );
    } catch (error) {
      if (!reading.signal.aborted) unreadable = describeFileError(error, file);
    } finally {
      interrupted.removeEventListener('abort', stopReading);
    }
    progress.clear();
    notes.end();
    await printResults();
    if (unreadable !== undefined) say(context, unreadable);
    if (unreadable === undefined || lastLine > 0) {
      if (flags.json) say(context, summary(tally));
      else await print(context, summary(tally));
    }
    if (fatal !== undefined || tally.unsent > 0) {
      say(context, `stopped after line ${lastLine}. Sending the file again stores no line twice that has a requestId.`);
    }
    if (fatal !== undefined) throw fatal;
    if (interrupted.aborted) return INTERRUPTED;
    return tally.refused > 0 || unreadable !== undefined ? FAILED : OK;
  });
}

/** `298 created, 2 replayed, 1 refused`; what is 0 is left out, except created. */
export function summary({ created, replayed, refused, unsent, nobody }: Tally): string {
  const parts = [`${created} created`];
  if (replayed > 0) parts.push(`${replayed} replayed`);
  if (refused > 0) parts.push(`${refused} refused`);
  if (unsent > 0) parts.push(`${unsent} not sent`);
  if (nobody > 0) parts.push(`${nobody} that reach nobody`);
  return parts.join(', ');
}

/** What is told of stored alerts, each kind of it for the first lines only: a file may have a million. */
class Notes {
  #told = 0;
  #more = 0;

  constructor(private readonly progress: Progress) {}

  add(line: number, notes: readonly string[]): void {
    for (const note of notes) {
      if (this.#told === NOTES_MAX) this.#more += 1;
      else {
        this.#told += 1;
        this.progress.say(`line ${line}: ${note}`);
      }
    }
  }

  end(): void {
    if (this.#more > 0) this.progress.say(`and ${count(this.#more, 'more note')}; --json has all of them`);
  }
}

/** The tally so far, on one line of a terminal that is written over; elsewhere nothing. */
class Progress {
  #shownAt = -Infinity;
  #visible = false;

  constructor(
    private readonly context: Context,
    private readonly tally: Tally,
  ) {}

  show(): void {
    const now = performance.now();
    if (this.context.stderr.isTTY !== true || now - this.#shownAt < PROGRESS_EVERY_MS) return;
    this.#shownAt = now;
    this.#visible = true;
    this.context.stderr.write(`\r\u001b[K${summary(this.tally)} …`);
  }

  clear(): void {
    if (this.#visible) this.context.stderr.write('\r\u001b[K');
    this.#visible = false;
  }

  say(line: string): void {
    this.clear();
    say(this.context, line);
  }
}

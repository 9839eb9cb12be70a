import { AvroCodec, type SchemaNews } from '../lib/avro.js';
import type { Config } from '../lib/config/load.js';
import { type RegistryClient, RegistryError } from '../lib/registry/client.js';
import type { AlertCreatedEvent, InboxChangedEvent, UserAlertEvent } from './event-types.js';
import { FOLDERS, readVersions, type TopicConfig, type TopicKey } from './schemas/files.js';
import { readWriteVersions, writtenVersion } from './schemas/meaning.js';
import { registerSchemas } from './schemas/register.js';

type EventsConfig = TopicConfig & Pick<Config, 'schemaWriteVersions'>;

/** The topics, and the codecs of what is in them. */
export interface Events {
  readonly topics: { readonly alertCreated: string; readonly userAlert: string; readonly inboxChange: string };
  readonly alertCreated: AvroCodec<AlertCreatedEvent>;
  readonly userAlert: AvroCodec<UserAlertEvent>;
  readonly inboxChanged: AvroCodec<InboxChangedEvent>;
}

/** Whose records each codec has. */
const TOPIC_OF = {
  alertCreated: 'topicAlertCreated',
  userAlert: 'topicUserAlert',
  inboxChanged: 'topicInboxChange',
} as const satisfies Record<Exclude<keyof Events, 'topics'>, TopicKey>;

/** @throws SchemaNotRegistered if the registry does not have it */
async function findId(
  registry: RegistryClient,
  subject: string,
  schema: string,
  find: 'find' | 'findKnown' = 'find',
): Promise<number> {
  try {
    return await registry[find](subject, schema);
  } catch (error) {
    if (!(error instanceof RegistryError) || error.status !== 404) throw error;
    throw new SchemaNotRegistered(subject, registry.url, error);
  }
}

/** The registry does not have what we write. */
export class SchemaNotRegistered extends Error {
  constructor(subject: string, url: string, cause: Error) {
    super(`our newest schema of ${subject} is not registered at ${url}; run: ssom-alert migrate`, { cause });
    this.name = 'SchemaNotRegistered';
  }
}

/**
 * Asks the registry again for the ids of what we write, and takes up those that are others: it may have been lost or
 * restored.
 * @returns the subjects that have another id now
 * @throws SchemaNotRegistered if a schema is not there and may not be registered at run time (SET_UP_AT_START)
 */
export async function renewIds(
  config: TopicConfig & Pick<Config, 'setUpAtStart'>,
  registry: RegistryClient,
  events: Events,
): Promise<string[]> {
  const codecs = Object.entries(TOPIC_OF).map(([name, key]) => ({
    subject: `${config[key]}-value`,
    codec: events[name as keyof typeof TOPIC_OF],
  }));
  const find = () => Promise.all(codecs.map(({ subject, codec }) => findId(registry, subject, codec.written)));
  let ids: number[];
  try {
    ids = await find();
  } catch (error) {
    if (!(error instanceof SchemaNotRegistered) || !config.setUpAtStart) throw error;
    await registerSchemas(config, registry);
    ids = await find();
  }
  const renewed = codecs.filter(({ codec }, index) => codec.schemaId !== ids[index]);
  for (const [index, { codec }] of codecs.entries()) if (codec.schemaId !== ids[index]) codec.takeId(ids[index]!);
  return renewed.map(({ subject }) => subject);
}

/** Who is told of what records say of their schemas, for each subject. */
export interface EventsNews {
  readonly onUnread?: SchemaNews['onUnread'];
  /** Fields of a subject that are enums, before anything is read, and then each value that was not known. */
  readonly onUnknownSymbol?: (subject: string, field: string, values: number) => void;
}

/**
 * Finds the ids of the schemas that we write: the newest, but where SCHEMA_WRITE_VERSIONS or a change of meaning holds
 * an earlier one (schemas/meaning.ts). While the registry is away they are those of the cache on disk, if there is one.
 * Afterwards the registry is asked for versions that others wrote, and now and then for ours (renewIds).
 * @throws SchemaNotRegistered, saying how to do it
 */
export async function openEvents(
  config: EventsConfig,
  registry: RegistryClient,
  { onUnread, onUnknownSymbol }: EventsNews = {},
): Promise<Events> {
  const held = readWriteVersions(config.schemaWriteVersions);
  const codec = async <T>(key: TopicKey): Promise<AvroCodec<T>> => {
    const versions = readVersions(FOLDERS[key]);
    const newest = versions.at(-1)!.text;
    const written = writtenVersion({ name: FOLDERS[key], versions }, held).text;
    const subject = `${config[key]}-value`;
    const id = await findId(registry, subject, written, 'findKnown');
    const news = {
      ...(onUnread === undefined ? {} : { onUnread }),
      onUnknownSymbol: (field: string) => onUnknownSymbol?.(subject, field, 1),
    };
    const made = new AvroCodec<T>(newest, id, (writer) => registry.schemaById(writer), news, written);
    for (const field of made.enums) onUnknownSymbol?.(subject, field, 0);
    return made;
  };
  return {
    topics: {
      alertCreated: config.topicAlertCreated,
      userAlert: config.topicUserAlert,
      inboxChange: config.topicInboxChange,
    },
    alertCreated: await codec<AlertCreatedEvent>(TOPIC_OF.alertCreated),
    userAlert: await codec<UserAlertEvent>(TOPIC_OF.userAlert),
    inboxChanged: await codec<InboxChangedEvent>(TOPIC_OF.inboxChanged),
  };
}

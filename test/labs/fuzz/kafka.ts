import { openEvents } from '../../../services/events/events.js';
import { loadConfig } from '../../../services/lib/config/load.js';
import { silentLogger } from '../../../services/lib/logging.js';
import { RegistryClient } from '../../../services/lib/registry/client.js';
import { until } from '../../support/until-true.js';
import { RawReader, RawWriter } from './kafka-client.js';
import { LetterCheck } from './letters.js';
import { createProbe } from './probe.js';
import type { Random } from './random.js';
import { anyRecord } from './records.js';
import type { World } from './world.js';

const PART = 'Kafka records';
const WAVE = 500;
/** Well-formed alerts among a wave of records. */
const ALERTS_A_WAVE = 5;
const PATIENCE_MS = 90_000;

/** Writes records into the three topics, between alerts that must arrive, and finds each again where it belongs. */
export class KafkaFuzz {
  readonly #alertIds: number[] = [];

  private constructor(
    private readonly world: World,
    private readonly events: Awaited<ReturnType<typeof openEvents>>,
    private readonly writer: RawWriter,
    private readonly reader: RawReader,
    private readonly check: LetterCheck,
  ) {}

  static async open(world: World): Promise<KafkaFuzz> {
    const config = loadConfig({ PROFILE: 'dev', ...world.environment });
    const registry = new RegistryClient({ url: world.registry.honestUrl, username: '', password: '' }, silentLogger());
    const events = await openEvents(config, registry);
    const { bootstrap } = world.stack.kafka;
    const reader = await RawReader.connect(bootstrap);
    return new KafkaFuzz(world, events, await RawWriter.connect(bootstrap), reader, new LetterCheck(world, events));
  }

  async run(random: Random, inputs: number): Promise<void> {
    for (let written = 0; written < inputs; written += WAVE) {
      await this.#createAlerts(random);
      const count = Math.min(WAVE, inputs - written);
      const records = Array.from({ length: count }, () =>
        anyRecord(random, { events: this.events, alertIds: this.#alertIds }),
      );
      await this.writer.write(records);
      for (const { kind } of records) this.world.report.input(PART, kind, 'written');
    }
    await this.#createAlerts(random);
  }

  async #createAlerts(random: Random): Promise<void> {
    for (let count = 0; count < ALERTS_A_WAVE; count += 1) this.#alertIds.push(await createProbe(this.world, random));
  }

  /** Waits until every record was either handled or given up, and checks which. */
  async settle(): Promise<void> {
    const { alertCreated, userAlert } = this.events.topics;
    const read = async () => {
      // Letters first: a record that comes in between would otherwise be a dead letter without a source.
      for (const topic of [alertCreated, userAlert]) {
        const letters = await this.reader.read(`${topic}-dlq`);
        await this.check.addSources(await this.reader.read(topic));
        this.check.addLetters(letters);
      }
      return (await this.check.pending()).length === 0;
    };
    try {
      await until('each record was handled or is a dead letter', read, PATIENCE_MS);
    } catch (error) {
      this.world.report.fail(PART, (error as Error).message, (await this.check.pending()).slice(0, 3));
    }
    this.check.finish();
  }

  async close(): Promise<void> {
    await this.writer.close();
    await this.reader.close();
  }
}

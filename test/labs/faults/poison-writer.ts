import { setTimeout as sleep } from 'node:timers/promises';
import { loadConfig } from '../../../services/lib/config/load.js';
import { Producer } from '../../../services/lib/kafka/producer.js';
import { silentLogger } from '../../../services/lib/logging.js';
import type { Random } from '../../support/random.js';

export interface Poison {
  readonly topic: string;
  readonly key: Buffer;
  readonly value: Buffer;
  readonly writtenAt: number;
  /** Undefined until Kafka has answered; false: it may have been written or not. */
  acknowledged: boolean | undefined;
}

export const POISON_HEADER = 'poison';
export const POISON_HEADER_VALUE = 'yes';
export const POISONED = ['alert-created-topic', 'user-alert-topic'] as const;
export type PoisonTopic = (typeof POISONED)[number];
/** When all is well, poison is among the dead letters within this. */
const HANDLED_MS = 5000;

/** Writes records that nobody can decode among the others, every few seconds, and remembers them. */
export class PoisonWriter {
  readonly written: Poison[] = [];
  #stopping = false;
  #paused = false;
  #producer: Promise<Producer> | undefined;

  constructor(
    private readonly bootstrapServers: string,
    private readonly random: Random,
  ) {}

  async run(): Promise<void> {
    while (!this.#stopping) {
      const until = Date.now() + this.random.int(3000, 8000);
      while (!this.#stopping && Date.now() < until) await sleep(100);
      if (!this.#stopping && !this.#paused) void this.write();
    }
  }

  /** Does something while nothing is written, and what was written before is handled. */
  async pausedFor(work: () => Promise<void>): Promise<void> {
    this.#paused = true;
    try {
      await sleep(HANDLED_MS);
      await work();
    } finally {
      this.#paused = false;
    }
  }

  async write(topic: PoisonTopic = this.random.pick(POISONED)): Promise<void> {
    const { bootstrapServers, random } = this;
    const bytes = (length: number) => Buffer.from(Array.from({ length }, () => random.int(0, 255)));
    // Magic byte 0 would name a schema; 0xff names nothing.
    const value = Buffer.concat([Buffer.from([0xff]), bytes(random.int(0, 60))]);
    const poison: Poison = {
      topic,
      key: bytes(12),
      value,
      writtenAt: Date.now(),
      acknowledged: undefined,
    };
    this.written.push(poison);
    try {
      this.#producer ??= Producer.connect({ bootstrapServers, inProcess: false }, loadConfig({}), silentLogger(), {
        clientId: 'fault-run-poison',
      });
      await (await this.#producer).publish([{ ...poison, headers: [{ [POISON_HEADER]: POISON_HEADER_VALUE }] }]);
      poison.acknowledged = true;
    } catch {
      poison.acknowledged = false;
    }
  }

  stop(): void {
    this.#stopping = true;
  }

  close(): void {
    void this.#producer?.then((producer) => producer.close(2000)).catch(() => undefined);
  }
}

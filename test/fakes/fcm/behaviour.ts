import type { Random } from '../../support/random.js';
import type { Rule } from './control-types.js';

/** One TCP connection to the server. */
export interface Connection {
  /** 1 is the server's first. */
  readonly id: number;
  requests: number;
  /** What was drawn for rules that draw once a connection, by the rule's id. */
  readonly draws: Map<number, boolean>;
}

/** What rules look at. */
export interface Asked {
  readonly token: string | undefined;
  readonly validateOnly: boolean;
}

export interface Decision {
  readonly delayMs: number;
  /** The first rule that says more than a delay. */
  readonly rule: Rule | undefined;
}

interface Standing {
  readonly id: number;
  readonly rule: Rule;
  left: number;
  /** Of a rule with perMinute: when each token was let through in the last minute. */
  readonly letThrough: Map<string, number[]>;
}

const MINUTE_MS = 60_000;

/** The rules that say what happens to requests. */
export class Behaviour {
  #standing: Standing[] = [];
  #nextId = 1;

  constructor(private readonly random: Random) {}

  add(rule: Rule): number {
    const id = this.#nextId++;
    this.#standing.push({ id, rule, left: rule.times ?? Infinity, letThrough: new Map() });
    return id;
  }

  remove(id: number): void {
    this.#standing = this.#standing.filter((standing) => standing.id !== id);
  }

  clear(): void {
    this.#standing = [];
  }

  decide(request: Asked, connection: Connection): Decision {
    let delayMs = 0;
    for (const standing of this.#standing) {
      if (!this.#applies(standing, request, connection)) continue;
      standing.left -= 1;
      if (standing.left === 0) this.remove(standing.id);
      const { rule } = standing;
      delayMs += rule.delayMs ?? 0;
      if (rule.error !== undefined || rule.cut !== undefined || rule.malformed !== undefined) return { delayMs, rule };
    }
    return { delayMs, rule: undefined };
  }

  #applies({ id, rule, letThrough }: Standing, { token, validateOnly }: Asked, connection: Connection): boolean {
    if (rule.validateOnly !== undefined && rule.validateOnly !== validateOnly) return false;
    if (rule.token !== undefined && rule.token !== token) return false;
    if (rule.perMinute !== undefined && isWithin(letThrough, token ?? '', rule.perMinute)) return false;
    if (rule.share === undefined) return true;
    if (rule.perConnection !== true) return this.random.chance(rule.share);
    const drawn = connection.draws.get(id) ?? this.random.chance(rule.share);
    connection.draws.set(id, drawn);
    return drawn;
  }
}

/** Whether a token had fewer messages than that within the last minute; then this one is counted. */
function isWithin(letThrough: Map<string, number[]>, token: string, perMinute: number): boolean {
  const now = performance.now();
  const recent = (letThrough.get(token) ?? []).filter((at) => now - at < MINUTE_MS);
  letThrough.set(token, recent);
  if (recent.length >= perMinute) return false;
  recent.push(now);
  return true;
}

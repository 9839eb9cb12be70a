import { wait } from '../retry.js';
import type { ClientTls } from '../tls-client-files.js';
import { tlsFault } from '../tls-errors.js';
import { isRegistryAway, RegistryError, RegistryUnavailable } from './errors.js';
import { exchange } from './exchange.js';

/** Bytes of an answer; the largest schemas have some 10 KiB. */
const ANSWER_MAX = 4 * 1_048_576;
/** How often each server is asked, if there is time. */
const ROUNDS = 2;
const BETWEEN_ROUNDS_MS = 100;

export interface ServersOptions {
  /** One or several, separated by commas; they are servers of one registry and have the same schemas. */
  readonly url: string;
  /** Of one request. Several servers together get as much for each of them. */
  readonly timeoutMs: number;
  /** What authenticates us, as it is now. */
  readonly headers: () => Readonly<Record<string, string>>;
  readonly tls: () => ClientTls;
}

export interface RegistryRequest {
  readonly method: string;
  readonly path: string;
  readonly body?: unknown;
  /** Whether a server that says no is not believed before the others have said it, too. */
  readonly doubts?: (error: RegistryError) => boolean;
}

/** The addresses of SCHEMA_REGISTRY_URL, without slashes at their ends. */
export function registryUrls(url: string): string[] {
  return url
    .split(',')
    .map((each) => each.trim().replace(/\/+$/, ''))
    .filter((each) => each !== '');
}

/**
 * The servers of one registry. The one that answered last is asked first; while it is away the next one is, and each
 * of them at most twice. Whatever we ask may be repeated: registering a schema again changes nothing.
 */
export class RegistryServers {
  readonly #urls: readonly string[];
  #preferred = 0;

  constructor(private readonly options: ServersOptions) {
    this.#urls = registryUrls(options.url);
  }

  /** As messages name them. */
  get shown(): string {
    return this.#urls.join(', ');
  }

  /**
   * The answer's JSON.
   * @throws RegistryError when a server says no, RegistryUnavailable when none answers, the last one's
   */
  async ask(request: RegistryRequest): Promise<unknown> {
    const { timeoutMs } = this.options;
    const deadline = performance.now() + timeoutMs * this.#urls.length;
    const first = this.#preferred;
    let failure: unknown;
    for (let round = 0; round < ROUNDS; round += 1) {
      if (round > 0) await wait(BETWEEN_ROUNDS_MS * (0.5 + Math.random()));
      let refusal: RegistryError | undefined;
      let isOneAway = false;
      for (let step = 0; step < this.#urls.length; step += 1) {
        const index = (first + step) % this.#urls.length;
        const leftMs = Math.ceil(deadline - performance.now());
        if (leftMs <= 0) throw failure;
        try {
          const answer = await this.#askOne(this.#urls[index]!, request, Math.min(timeoutMs, leftMs));
          this.#preferred = index;
          return answer;
        } catch (error) {
          if (isRegistryAway(error)) {
            failure = error;
            isOneAway = true;
            continue;
          }
          this.#preferred = index;
          if (!(error instanceof RegistryError) || request.doubts?.(error) !== true) throw error;
          refusal = error;
        }
      }
      // One that is away may know better.
      if (refusal !== undefined && !isOneAway) throw refusal;
    }
    throw failure;
  }

  async #askOne(url: string, { method, path, body }: RegistryRequest, timeoutMs: number): Promise<unknown> {
    const given = body === undefined ? undefined : JSON.stringify(body);
    const headers = {
      ...this.options.headers(),
      ...(given === undefined ? {} : { 'content-type': 'application/json' }),
    };
    const request = { method, headers, body: given, timeoutMs, answerMax: ANSWER_MAX, tls: this.options.tls() };
    const { status, text, location } = await exchange(new URL(url + path), request).catch(
      (error: Error & { code?: string }) => {
        throw unanswered(url, error);
      },
    );
    if (status >= 200 && status < 300) return parse(url, text);
    if (status >= 300 && status < 400) throw redirected(url, status, location);
    throw refused(`${method} ${path}: the schema registry answered`, status, text);
  }
}

function unanswered(url: string, error: Error & { code?: string }): RegistryUnavailable {
  const fault = tlsFault(error);
  const why = error.code ?? error.name;
  return new RegistryUnavailable(
    fault === undefined
      ? `the schema registry at ${url} did not answer (${why})`
      : `the schema registry at ${url}: ${fault} (${why}); look at SCHEMA_REGISTRY_URL, _CA_FILE and _CERT_FILE`,
    { cause: error },
  );
}

/** What we carry is for this server alone, so nobody is followed elsewhere. */
function redirected(url: string, status: number, location: string | undefined): RegistryUnavailable {
  const where =
    location === undefined || !URL.canParse(location, url) ? 'elsewhere' : `to ${new URL(location, url).origin}`;
  return new RegistryUnavailable(
    `the schema registry at ${url} answered ${status} and sends us ${where}, which is not followed; ` +
      'SCHEMA_REGISTRY_URL must name the address itself',
  );
}

function refused(what: string, status: number, text: string): RegistryError {
  const problem = parseProblem(text);
  const said = typeof problem.message === 'string' ? problem.message : text;
  const code = typeof problem.error_code === 'number' ? problem.error_code : status;
  const error = new RegistryError(status, code, `${what} ${status}: ${said.slice(0, 1000)}`);
  if (error.refusesUs)
    error.message +=
      '; look at SCHEMA_REGISTRY_USERNAME and _PASSWORD, or SCHEMA_REGISTRY_TOKEN, and what it lets them do';
  return error;
}

function parse(url: string, text: string): unknown {
  try {
    return JSON.parse(text);
  } catch (error) {
    throw new RegistryUnavailable(`the schema registry at ${url} answered with something that is no JSON`, {
      cause: error,
    });
  }
}

function parseProblem(text: string): { error_code?: unknown; message?: unknown } {
  try {
    return (JSON.parse(text) ?? {}) as { error_code?: unknown; message?: unknown };
  } catch {
    return {};
  }
}

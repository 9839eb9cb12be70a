import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { canonicalSchema, checkSchema, incompatibility } from '../avro.js';

export interface EmbeddedRegistry {
  readonly url: string;
  close(): Promise<void>;
}

interface Version {
  readonly id: number;
  readonly version: number;
  readonly schema: string;
}

class Problem extends Error {
  constructor(
    readonly status: number,
    readonly errorCode: number,
    message: string,
  ) {
    super(message);
  }
}

const BODY_LIMIT = 1_048_576;

/**
 * A schema registry in this process, on a loopback port: the subset of Confluent's REST API that RegistryClient uses,
 * always at compatibility FULL_TRANSITIVE. It starts empty; ids follow the order of registration.
 */
export async function startEmbeddedRegistry(port: number): Promise<EmbeddedRegistry> {
  const registry = new Registry();
  const server = createServer((request, response) => {
    void answer(registry, request, response);
  });
  await new Promise<void>((resolve, reject) => {
    server.once('error', (error) => {
      reject(
        new Error(`port ${port} for the schema registry is taken; set EMBEDDED_REGISTRY_PORT to another one, or 0`, {
          cause: error,
        }),
      );
    });
    server.listen(port, '127.0.0.1', resolve);
  });
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        server.closeAllConnections();
      }),
  };
}

class Registry {
  readonly #subjects = new Map<string, Version[]>();
  /** One id a schema text, whichever subjects hold it. */
  readonly #ids = new Map<string, number>();
  readonly #schemas: string[] = [];

  register(subject: string, text: string): { id: number } {
    const schema = readSchema(text);
    const versions = this.#subjects.get(subject) ?? [];
    const known = versions.find((version) => version.schema === schema);
    if (known !== undefined) return { id: known.id };
    const reason = conflict(schema, versions);
    if (reason !== undefined) throw new Problem(409, 409, `the schema is incompatible with ${subject}: ${reason}`);
    const id = this.#idOf(schema);
    this.#subjects.set(subject, [...versions, { id, version: versions.length + 1, schema }]);
    return { id };
  }

  #idOf(schema: string): number {
    let id = this.#ids.get(schema);
    if (id === undefined) {
      id = this.#schemas.push(schema);
      this.#ids.set(schema, id);
    }
    return id;
  }

  find(subject: string, text: string): Version & { subject: string } {
    const schema = readSchema(text);
    const version = this.#versions(subject).find((candidate) => candidate.schema === schema);
    if (version === undefined) throw new Problem(404, 40403, 'Schema not found');
    return { subject, ...version };
  }

  version(subject: string, name: string): Version & { subject: string } {
    const versions = this.#versions(subject);
    const found = name === 'latest' ? versions.at(-1) : versions.find(({ version }) => String(version) === name);
    if (found === undefined) throw new Problem(404, 40402, 'Version not found');
    return { subject, ...found };
  }

  versions(subject: string): number[] {
    return this.#versions(subject).map(({ version }) => version);
  }

  schema(id: string): { schema: string } {
    const schema = this.#schemas[Number(id) - 1];
    if (schema === undefined) throw new Problem(404, 40403, 'Schema not found');
    return { schema };
  }

  subjects(): string[] {
    return [...this.#subjects.keys()].sort();
  }

  isCompatible(subject: string, text: string): { is_compatible: boolean } {
    return { is_compatible: conflict(readSchema(text), this.#versions(subject)) === undefined };
  }

  #versions(subject: string): Version[] {
    const versions = this.#subjects.get(subject);
    if (versions === undefined) throw new Problem(404, 40401, `Subject '${subject}' not found`);
    return versions;
  }
}

/** FULL_TRANSITIVE: every old reader reads the new writer and the other way round. */
function conflict(schema: string, versions: readonly Version[]): string | undefined {
  for (const { schema: old, version } of versions) {
    const reason = incompatibility(schema, old) ?? incompatibility(old, schema);
    if (reason !== undefined) return `version ${version}: ${reason}`;
  }
  return undefined;
}

function readSchema(text: string): string {
  try {
    checkSchema(text);
    return canonicalSchema(text);
  } catch (error) {
    throw new Problem(422, 42201, `Invalid schema: ${(error as Error).message}`);
  }
}

async function answer(registry: Registry, request: IncomingMessage, response: ServerResponse): Promise<void> {
  let status = 200;
  let body: unknown;
  try {
    const parts = new URL(request.url ?? '/', 'http://registry').pathname.split('/').filter((part) => part !== '');
    body = route(registry, request.method ?? 'GET', parts.map(decodeURIComponent), await readBody(request));
  } catch (error) {
    const problem = error instanceof Problem ? error : new Problem(500, 50001, (error as Error).message);
    status = problem.status;
    body = { error_code: problem.errorCode, message: problem.message };
  }
  response.writeHead(status, { 'content-type': 'application/vnd.schemaregistry.v1+json' });
  response.end(JSON.stringify(body));
}

function route(
  registry: Registry,
  method: string,
  parts: string[],
  body: { schema?: unknown; compatibility?: unknown },
): unknown {
  const [first, subject, third, fourth] = parts;
  const schema = () => {
    if (typeof body.schema !== 'string')
      throw new Problem(422, 42201, 'Invalid schema: the body wants {"schema": "…"}');
    return body.schema;
  };
  switch (`${method} ${first ?? ''}`) {
    case 'GET subjects':
      if (subject === undefined) return registry.subjects();
      if (third === 'versions')
        return fourth === undefined ? registry.versions(subject) : registry.version(subject, fourth);
      break;
    case 'POST subjects':
      if (subject !== undefined)
        return third === 'versions' ? registry.register(subject, schema()) : registry.find(subject, schema());
      break;
    case 'GET schemas':
      if (subject === 'ids' && third !== undefined) return registry.schema(third);
      break;
    case 'POST compatibility':
      if (third !== undefined) return registry.isCompatible(third, schema());
      break;
    case 'GET config':
      return { compatibilityLevel: 'FULL_TRANSITIVE' };
    case 'PUT config':
      if (body.compatibility !== 'FULL_TRANSITIVE') {
        throw new Problem(422, 42203, 'Invalid compatibility level: this registry knows FULL_TRANSITIVE only');
      }
      return { compatibility: 'FULL_TRANSITIVE' };
    default:
  }
  throw new Problem(404, 404, 'HTTP 404 Not Found');
}

async function readBody(request: IncomingMessage): Promise<Record<string, unknown>> {
  const chunks: Buffer[] = [];
  let size = 0;
  for await (const chunk of request as AsyncIterable<Buffer>) {
    size += chunk.length;
    if (size > BODY_LIMIT) throw new Problem(413, 413, `the body is larger than ${BODY_LIMIT} bytes`);
    chunks.push(chunk);
  }
  if (size === 0) return {};
  try {
    return JSON.parse(Buffer.concat(chunks).toString()) as Record<string, unknown>;
  } catch {
    throw new Problem(422, 42201, 'the body is not JSON');
  }
}

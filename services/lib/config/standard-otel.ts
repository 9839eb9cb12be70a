import { readFileSync } from 'node:fs';
import { keepSecret } from '../secrets.js';

/*
 * OpenTelemetry's standard variables that are no variables of ours: those that its SDK reads by itself, which are
 * looked at before it does, as it would ignore a wrong one; and those that mean nothing here, which are refused with
 * what is right.
 */

interface ReadBySdk {
  readonly name: RegExp;
  readonly accepts: string;
  readonly isRight: (text: string) => boolean;
}

/**
 * The pairs of key=value,key=value…, percent-decoded; undefined for anything else, as the SDK would leave out all of
 * it.
 */
function pairsOf(text: string): [key: string, value: string][] | undefined {
  try {
    const pairs = text
      .split(',')
      .filter((part) => part.trim() !== '')
      .map((part) => part.split('=').map((half) => decodeURIComponent(half.trim())));
    if (pairs.length === 0 || pairs.some(({ length, 0: key }) => length !== 2 || key === '')) return undefined;
    return pairs as [string, string][];
  } catch {
    return undefined;
  }
}

function areAttributes(text: string): boolean {
  return pairsOf(text)?.every((pair) => pair.every(({ length }) => length <= 255)) === true;
}

/** A value may have further signs of equality (base64). */
function encodedHeaders(text: string): string {
  const parts = text.split(',').filter((part) => part.trim() !== '');
  const encoded = parts.map((part) =>
    part.replace(/^([^=]*=)(.*)$/s, (_, key: string, value: string) => key + value.replaceAll('=', '%3D')),
  );
  return encoded.join(',');
}

/** Both may travel in HTTP/2. */
function areHeaders(text: string): boolean {
  return (
    pairsOf(encodedHeaders(text))?.every(([key, value]) => /^[\w.-]+$/.test(key) && /^[\x20-\x7e]*$/.test(value)) ===
    true
  );
}

/** The SDK would go on without a file that it cannot read. */
function isPemFile(file: string): boolean {
  try {
    return readFileSync(file.trim(), 'utf8').includes('-----BEGIN ');
  } catch {
    return false;
  }
}

const READ_BY_SDK: readonly ReadBySdk[] = [
  { name: /^OTEL_SERVICE_NAME$/, accepts: 'a name', isRight: (text) => text.trim() !== '' },
  {
    name: /^OTEL_RESOURCE_ATTRIBUTES$/,
    accepts: 'key=value,key=value… with , and = as %2C and %3D, each of at most 255 characters',
    isRight: areAttributes,
  },
  {
    name: /^OTEL_EXPORTER_OTLP_((TRACES|METRICS)_)?HEADERS$/,
    accepts: 'key=value,key=value…, what is no ASCII percent-encoded',
    isRight: areHeaders,
  },
  {
    name: /^OTEL_EXPORTER_OTLP_((TRACES|METRICS)_)?COMPRESSION$/,
    accepts: 'gzip or none',
    isRight: (text) => text === 'gzip' || text === 'none',
  },
  {
    name: /^OTEL_EXPORTER_OTLP_((TRACES|METRICS)_)?TIMEOUT$/,
    accepts: 'milliseconds, from 1 to 600000',
    isRight: (text) => isWhole(text, 1, 600_000),
  },
  {
    name: /^OTEL_EXPORTER_OTLP_((TRACES|METRICS)_)?(CERTIFICATE|CLIENT_CERTIFICATE|CLIENT_KEY)$/,
    accepts: 'the name of a PEM file that can be read',
    isRight: isPemFile,
  },
  {
    // Of no effect by the specification, as an endpoint has to name its scheme here.
    name: /^OTEL_EXPORTER_OTLP_((TRACES|METRICS)_)?INSECURE$/,
    accepts: 'true or false',
    isRight: (text) => /^(true|false)$/i.test(text),
  },
  {
    name: /^OTEL_EXPORTER_OTLP_METRICS_TEMPORALITY_PREFERENCE$/,
    accepts: 'cumulative',
    isRight: (text) => text.toLowerCase() === 'cumulative',
  },
  {
    name: /^OTEL_EXPORTER_OTLP_METRICS_DEFAULT_HISTOGRAM_AGGREGATION$/,
    accepts: 'explicit_bucket_histogram',
    isRight: (text) => text.toLowerCase() === 'explicit_bucket_histogram',
  },
  {
    name: /^OTEL_METRICS_EXEMPLAR_FILTER$/,
    accepts: 'trace_based',
    isRight: (text) => text.toLowerCase() === 'trace_based',
  },
  {
    name: /^OTEL_(SPAN_)?ATTRIBUTE_(VALUE_LENGTH|COUNT)_LIMIT$|^OTEL_SPAN_(EVENT|LINK)_COUNT_LIMIT$/,
    accepts: 'a whole number from 1 to 1000000',
    isRight: (text) => isWhole(text, 1, 1_000_000),
  },
];

function isWhole(text: string, min: number, max: number): boolean {
  return /^\d+$/.test(text) && Number(text) >= min && Number(text) <= max;
}

/** What is set for others: by operators of Kubernetes to compose variables of, and for the SDKs of other languages. */
const FOREIGN =
  /^OTEL_(RESOURCE_ATTRIBUTES_(POD|NODE)_NAME|POD_IP|NODE_IP|(GO|JAVA|JAVAAGENT|PYTHON|DOTNET|RUBY|PHP|INSTRUMENTATION)_.*)$/;

const REFUSED: readonly (readonly [name: RegExp, right: string])[] = [
  [/^OTEL_(EXPORTER_OTLP_LOGS|BLRP|LOGRECORD)_/, 'logs go to the standard output; see LOG_LEVEL and LOG_FORMAT'],
  [/^OTEL_LOG_LEVEL$/, 'set LOG_LEVEL'],
  [/^OTEL_EXPORTER_PROMETHEUS_/, '/metrics is at HTTP_LISTEN'],
  [/^OTEL_EXPORTER_(ZIPKIN|JAEGER)_/, 'traces go by OTLP; set OTEL_EXPORTER_OTLP_ENDPOINT'],
  [/^OTEL_(EXPERIMENTAL_)?CONFIG_FILE$/, 'there is no such file; set variables'],
  [/^OTEL_NODE_/, 'nothing is instrumented or detected by itself; unset it'],
];

const PREFIX = /^OTEL_/;

/** @returns what is wrong with a variable that is not ours; undefined: nothing */
export function problemOfStandardVariable(name: string, text: string): string | undefined {
  if (!PREFIX.test(name) || FOREIGN.test(name) || text === '') return undefined;
  if (name.endsWith('HEADERS')) for (const [, value] of pairsOf(encodedHeaders(text)) ?? []) keepSecret(value);
  const known = READ_BY_SDK.find((each) => each.name.test(name));
  if (known !== undefined) {
    const shown = name.endsWith('HEADERS') ? 'the given value' : `'${text}'`;
    return known.isRight(text) ? undefined : `${name}: ${shown} is not ${known.accepts}`;
  }
  const right = REFUSED.find(([refused]) => refused.test(name))?.[1] ?? 'unset it; deploy/VARIABLES.md lists what is';
  return `${name}: is not honoured by this service: ${right}`;
}

/** What each of them says is right, and together is not honoured. */
export function contradictionsOfStandard(environment: Readonly<Record<string, string | undefined>>): string[] {
  const isSet = (name: string) => (environment[name] ?? '') !== '';
  const problems: string[] = [];
  if (!isSet('OTEL_METRICS_EXPORTER')) {
    for (const name of Object.keys(environment).filter(
      (each) => each.startsWith('OTEL_EXPORTER_OTLP_METRICS_') && isSet(each),
    ))
      problems.push(
        `${name}: metrics go nowhere by OTLP unless OTEL_METRICS_EXPORTER=otlp; with none they stay at /metrics`,
      );
  }
  const endpoints = ['OTEL_EXPORTER_OTLP_ENDPOINT', 'OTEL_EXPORTER_OTLP_TRACES_ENDPOINT'];
  if (environment['OTEL_TRACES_EXPORTER'] === 'otlp' && !endpoints.some(isSet))
    problems.push(`OTEL_TRACES_EXPORTER: otlp needs ${endpoints.join(' or ')}`);
  if (isSet('OTEL_TRACES_SAMPLER_ARG') && !/traceidratio$/.test(environment['OTEL_TRACES_SAMPLER'] ?? ''))
    problems.push('OTEL_TRACES_SAMPLER_ARG: needs OTEL_TRACES_SAMPLER=traceidratio or parentbased_traceidratio');
  for (const signal of ['', 'TRACES_', 'METRICS_']) {
    const [certificate, key] = ['CLIENT_CERTIFICATE', 'CLIENT_KEY'].map(
      (name) => `OTEL_EXPORTER_OTLP_${signal}${name}`,
    ) as [string, string];
    if (isSet(certificate) !== isSet(key))
      problems.push(isSet(key) ? `${key}: needs ${certificate}` : `${certificate}: needs ${key}`);
  }
  return problems;
}

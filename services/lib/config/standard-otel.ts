/*
 * OpenTelemetry's standard variables that are no variables of ours: those that its SDK reads by itself, which are looked at before it
 * does, as it would ignore a wrong one; and those that mean nothing here, which are refused with what is right.
 */

interface ReadBySdk {
  readonly name: RegExp;
  readonly accepts: string;
  readonly isRight: (text: string) => boolean;
}

const PAIRS = /^\s*[^=,\s]+\s*=[^,]*(,\s*[^=,\s]+\s*=[^,]*)*,?\s*$/;

const READ_BY_SDK: readonly ReadBySdk[] = [
  { name: /^OTEL_SERVICE_NAME$/, accepts: 'a name', isRight: (text) => text.trim() !== '' },
  { name: /^OTEL_RESOURCE_ATTRIBUTES$/, accepts: 'key=value,key=value…', isRight: (text) => PAIRS.test(text) },
  {
    name: /^OTEL_EXPORTER_OTLP_((TRACES|METRICS)_)?HEADERS$/,
    accepts: 'key=value,key=value…',
    isRight: (text) => PAIRS.test(text),
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
    name: /^OTEL_EXPORTER_OTLP_((TRACES|METRICS)_)?(CLIENT_)?(CERTIFICATE|KEY)$/,
    accepts: 'the name of a PEM file',
    isRight: (text) => text.trim() !== '',
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
  const known = READ_BY_SDK.find((each) => each.name.test(name));
  if (known !== undefined) {
    const shown = name.endsWith('HEADERS') ? 'the given value' : `'${text}'`;
    return known.isRight(text) ? undefined : `${name}: ${shown} is not ${known.accepts}`;
  }
  const right = REFUSED.find(([refused]) => refused.test(name))?.[1] ?? 'unset it; deploy/README.md lists what is';
  return `${name}: is not honoured by this service: ${right}`;
}

import { principalOf, type SecurityConfig } from './security-settings.js';

/** A broker is there and does not let us in: it stays so until somebody mends what the message names. */
export class KafkaRefusal extends Error {
  override readonly name = 'KafkaRefusal';
}

/** A line of librdkafka's log. */
export interface LogLine {
  readonly fac: string;
  readonly message: string;
}

/** A refusal is told again after this, while it lasts. */
const TELL_AGAIN_MS = 5000;
/** What a failed connection is logged as, and a failed request for a token. */
const FAULTS: ReadonlySet<string> = new Set(['FAIL', 'OIDC']);

/** What librdkafka logs of a connection, and what to look at then. The first that fits counts. */
const MENDS: readonly (readonly [RegExp, (config: SecurityConfig) => string])[] = [
  [/certificate verify failed/, () => 'look at KAFKA_SSL_CA_LOCATION, and at the host in KAFKA_BOOTSTRAP_SERVERS'],
  [/wrong version number/, () => 'look at KAFKA_SECURITY_PROTOCOL and the port'],
  [
    /SSL alert number|tlsv1[23]? alert|sslv3 alert/,
    () => 'look at KAFKA_SSL_CERTIFICATE_LOCATION and KAFKA_SSL_KEY_LOCATION: the broker wants another certificate',
  ],
  [/Unsupported SASL mechanism/, () => 'look at KAFKA_SASL_MECHANISM'],
  [/OIDC token|oauthbearer_token_refresh|"status":"invalid_token"|OAUTHBEARER/, ofToken],
  [/SASL authentication error|Authentication failed/, () => 'look at KAFKA_SASL_USERNAME and KAFKA_SASL_PASSWORD'],
  [/ssl\.(ca|certificate|key)\.location failed/, () => 'look at KAFKA_SSL_CERTIFICATE_LOCATION and its key'],
];

/** As a port does that speaks TLS, when it is spoken to in clear; and a broker that is about to end. */
const CUT = /Disconnected.*APIVERSION_QUERY/;

function ofToken({ kafkaOauthTokenFile }: SecurityConfig): string {
  return kafkaOauthTokenFile === ''
    ? 'look at KAFKA_SASL_OAUTHBEARER_TOKEN_ENDPOINT_URL, _CLIENT_ID and _CLIENT_SECRET'
    : 'look at the token in KAFKA_SASL_OAUTHBEARER_TOKEN_FILE';
}

/**
 * Why a client has no connection: librdkafka says it in its log alone, and goes on trying. A broker that is only away
 * refuses nobody.
 */
export class ConnectionFaults {
  #refusal: KafkaRefusal | undefined;
  #wasCut = false;
  #toldAt = -Infinity;

  constructor(
    private readonly where: string,
    private readonly config: SecurityConfig,
    private readonly onRefusal: (refusal: KafkaRefusal) => void,
  ) {}

  /** Takes a line of the log. */
  readonly note = ({ fac, message }: LogLine): void => {
    if (!FAULTS.has(fac)) return;
    this.#wasCut = CUT.test(message);
    this.#take(message);
  };

  /** Takes what was thrown where a token was to be read. */
  readonly noteToken = ({ message }: Error): void => this.#take(message);

  #take(message: string): void {
    const refusal = this.#judge(message);
    if (refusal === undefined) return;
    this.#refusal = refusal;
    const now = performance.now();
    if (now < this.#toldAt + TELL_AGAIN_MS) return;
    this.#toldAt = now;
    this.onRefusal(refusal);
  }

  #judge(message: string): KafkaRefusal | undefined {
    const mend = MENDS.find(([pattern]) => pattern.test(message))?.[1];
    if (mend === undefined) return undefined;
    const { where, config } = this;
    return new KafkaRefusal(`Kafka at ${where} refuses ${principalOf(config)}: ${tidy(message)}; ${mend(config)}`);
  }

  /** A broker has answered. */
  clear(): void {
    this.#refusal = undefined;
    this.#wasCut = false;
  }

  /** @param error what librdkafka gave for the request that failed, which says less */
  explain(what: string, error: { readonly message: string }): Error {
    const hint = this.#wasCut ? ' (it closes connections at once: is KAFKA_SECURITY_PROTOCOL right?)' : '';
    return (
      this.#refusal ?? this.#judge(error.message) ?? new Error(`${what} at ${this.where}: ${error.message}${hint}`)
    );
  }
}

/** Without the thread and the broker in front of it and the connection's state behind. */
function tidy(message: string): string {
  return message.replace(/^\[thrd:[^\]]*\]: (\S+:\d+\S*: )?/, '').replace(/ \(after \d+ms in state [^)]*\)$/, '');
}

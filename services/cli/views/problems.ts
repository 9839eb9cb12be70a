import type { AlertClientError } from '../../client/errors.js';
import type { FieldViolation } from '../../domain/errors.js';
import { oneLine } from './text.js';

/** An error of a call for people: what it is, every violation on its own line, and what to look at. */
export function describeError(error: AlertClientError, address: string): string[] {
  const what = error.reason === '' ? error.code : `${error.code} (${error.reason})`;
  // The message of INVALID_FIELDS repeats the violations.
  const repeats = error.reason === 'INVALID_FIELDS' && error.violations.length > 0;
  const lines = [`${what}: ${repeats ? 'the request is not valid' : oneLine(error.message)}`];
  if (repeats) lines.push(...error.violations.map((violation) => `  ${describeViolation(violation)}`));
  if (error.reason === '') lines.push(...hintsFor(error, address === '' ? '' : ` at ${address}`));
  return lines;
}

/** Node's words for an answer that is not HTTP/2. */
const NO_HTTP2 = 'Protocol error';

/** Whether TLS failed, by what Node and OpenSSL say of it: trying again would not help. */
export const isOfTls = ({ message }: Pick<AlertClientError, 'message'>) => /certificate|SSL routines/i.test(message);

/** What to look at when nobody of ours has answered. */
function hintsFor({ code, message }: AlertClientError, where: string): string[] {
  if (message.includes(NO_HTTP2))
    return [
      `What answers${where} speaks no gRPC: is it the port of /metrics and /readyz (HTTP_LISTEN, 9464 and up)? ` +
        'gRPC is at GRPC_LISTEN, 50051 and 50052 by default.',
    ];
  if (isOfTls({ message }))
    return [
      `TLS with the service${where} failed: look at --ca-file (whom to trust) and, where it asks for a certificate of ` +
        'ours, at --cert-file and --key-file.',
    ];
  if (code === 'UNAVAILABLE')
    return [
      `Is the service running${where}? 'npm start' starts it; --address or SSOM_ADDRESS names another one. If it is ` +
        'encrypted: --tls, or --ca-file.',
    ];
  if (code === 'DEADLINE_EXCEEDED')
    return [
      `Is the service${where} reachable from here, and ready? 'npx ssom-alert top --once' says what its roles lack.`,
    ];
  return [];
}

/** Why one item of a batch was refused, on one line. */
export function describeItemError(error: {
  readonly message: string;
  readonly reason: string;
  readonly fieldViolations: readonly FieldViolation[];
}): string {
  if (error.fieldViolations.length > 0) return error.fieldViolations.map(describeViolation).join('; ');
  return oneLine(error.reason === '' ? error.message : `${error.message} (${error.reason})`);
}

function describeViolation({ field, description }: FieldViolation): string {
  return oneLine(`${field} ${description}`);
}

/** A network error's message can be empty; its code never is. What was thrown may be no error at all. */
export function messageOf(error: unknown): string {
  const { message, code, errors } = Object(error) as { message?: string; code?: string; errors?: unknown[] };
  if (message !== undefined && message !== '') return message;
  return code ?? (errors?.[0] === undefined ? String(error) : messageOf(errors[0]));
}

import { readSecretFile } from '../secret-file.js';

/** A token as librdkafka takes it. */
export interface BrokerToken {
  readonly tokenValue: string;
  /** When it expires, in milliseconds since 1970. */
  readonly lifetime: number;
  readonly principal: string;
}

/** Of a header line; brokers take less. */
const LENGTH_MAX = 16_384;

/** The token that is in a file now. @throws with what is wrong with it, and nothing of it */
export function readToken(path: string): BrokerToken {
  const tokenValue = readSecretFile(path);
  if (tokenValue.length > LENGTH_MAX) throw new Error(`the token in '${path}' has more than ${LENGTH_MAX} characters`);
  const { exp, sub } = claimsOf(tokenValue) ?? {};
  if (typeof exp !== 'number' || !Number.isFinite(exp))
    throw new Error(`'${path}' must have a JWT with a number as \`exp\``);
  return { tokenValue, lifetime: Math.floor(exp * 1000), principal: typeof sub === 'string' ? sub : '' };
}

function claimsOf(token: string): { exp?: unknown; sub?: unknown } | undefined {
  try {
    const parsed: unknown = JSON.parse(Buffer.from(token.split('.')[1] ?? '', 'base64url').toString());
    return typeof parsed === 'object' && parsed !== null ? parsed : undefined;
  } catch {
    return undefined;
  }
}

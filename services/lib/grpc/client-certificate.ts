import type { Http2Session } from 'node:http2';
import type { ServerInterceptingCallInterface } from '@grpc/grpc-js';
import { streamOf } from './reset-call.js';

/** What a client has shown of itself in TLS, by an authority that we trust. */
export interface ClientCertificate {
  /** Its alternative names: URIs as they are, such as spiffe://ssom/payments, then DNS names, which have no colon. */
  readonly names: readonly string[];
  /** In milliseconds since 1970. */
  readonly expiresAt: number;
}

/** Of each connection, since reading it takes longer than a call. */
const certificates = new WeakMap<Http2Session, ClientCertificate>();

/** Undefined: the client has shown none that can be believed. */
export function certificateOf(call: ServerInterceptingCallInterface): ClientCertificate | undefined {
  const session = streamOf(call)?.session;
  const known = session === undefined ? undefined : certificates.get(session);
  if (known !== undefined) return known;
  const shown = call.getAuthContext().sslPeerCertificate;
  if (session === undefined || shown === undefined) return undefined;
  const certificate = { names: alternativeNames(shown.subjectaltname), expiresAt: Date.parse(shown.valid_to) };
  certificates.set(session, certificate);
  return certificate;
}

/** What the names of each kind look like. None is of both, or one could pass for the other. */
export const URI_NAME = /^[a-z][a-z0-9+.-]*:/i;
export const DNS_NAME = /^[a-z0-9_.-]+$/i;

const NAME = /([A-Za-z ]+):("(?:[^"\\]|\\.)*"|[^",]*)(?:, |$)/y;

/**
 * Of Node's list of names, which puts those in quotes that could pass for several (CVE-2021-44532): nobody is known by
 * such a one, nor by one in the form of another kind, nor by anything of a list that reads otherwise.
 */
export function alternativeNames(text = ''): string[] {
  const found: { kind: string; name: string }[] = [];
  for (let at = 0; at < text.length; at = NAME.lastIndex) {
    NAME.lastIndex = at;
    const [, kind, name] = NAME.exec(text) ?? [];
    if (kind === undefined) return [];
    if (!name!.startsWith('"')) found.push({ kind, name: name! });
  }
  const ofKind = (wanted: string, form: RegExp) =>
    found.filter(({ kind, name }) => kind === wanted && form.test(name)).map(({ name }) => name);
  return [...ofKind('URI', URI_NAME), ...ofKind('DNS', DNS_NAME).map((name) => name.toLowerCase())];
}

import { createAuthority, issueCertificate, type Pair, type Validity } from '#stack';

export interface Certificates extends Pair {
  readonly authority: string;
  /** A client's; the others are a server's, on localhost. */
  readonly client: Pair;
  /** Another client's, by a URI. */
  readonly clientNamed: (uri: string, validity?: Validity) => Pair;
}

/** An authority of our own, and certificates of it for a server on localhost and for a client; all PEM. */
export function localCertificates(validity?: Validity): Certificates {
  const authority = createAuthority();
  const clientNamed = (uri: string, its = validity) => issueCertificate(authority, 'client', { uri: [uri] }, its);
  return {
    authority: authority.certificate,
    ...issueCertificate(authority, 'localhost', { dns: ['localhost'] }, validity),
    client: clientNamed('spiffe://ssom/payments'),
    clientNamed,
  };
}

/** A server's certificate on localhost, of an authority that one above it vouches for; all PEM. */
export function chainedCertificates(): { root: string; between: string; certificate: string; key: string } {
  const root = createAuthority();
  const between = createAuthority(undefined, { name: 'between', above: root });
  const server = issueCertificate(between, 'localhost', { dns: ['localhost'] });
  return { root: root.certificate, between: between.certificate, ...server };
}

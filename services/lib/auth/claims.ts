import type { JWTPayload } from 'jose';

/** `name`: the token has the claim; `name=value`; `name=*value`: it ends so; `name=@other`: it equals another claim. */
export interface ServiceRule {
  readonly claim: string;
  readonly value?: string;
}

/** @throws Error saying which rule is none */
export function readServiceRules(text: string): ServiceRule[] {
  return words(text).map((rule) => {
    const [, claim, value] = /^([^=]+)(?:=(.+))?$/.exec(rule) ?? [];
    if (claim === undefined) throw new Error(`'${rule}' is no claim, nor claim=value`);
    return { claim, ...(value === undefined ? {} : { value }) };
  });
}

/** What stands between commas. */
export function words(text: string): string[] {
  return text
    .split(',')
    .map((word) => word.trim())
    .filter((word) => word !== '');
}

/** A claim by its name, or by the path into nested ones: `realm_access.roles`. */
export function claimOf(claims: JWTPayload, name: string): unknown {
  if (Object.hasOwn(claims, name)) return claims[name];
  let value: unknown = claims;
  for (const part of name.split('.')) {
    if (typeof value !== 'object' || value === null || !Object.hasOwn(value, part)) return undefined;
    value = (value as Record<string, unknown>)[part];
  }
  return value;
}

/** Whether a rule says that a token speaks for a service. */
export function isService(claims: JWTPayload, { claim, value }: ServiceRule): boolean {
  const found = claimOf(claims, claim);
  if (found === undefined) return false;
  if (value === undefined) return true;
  if (value.startsWith('@')) return found === claimOf(claims, value.slice(1));
  if (value.startsWith('*')) return typeof found === 'string' && found.endsWith(value.slice(1));
  return typeof found !== 'object' && `${found as string | number | boolean}` === value;
}

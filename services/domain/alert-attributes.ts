/** What spans say of an alert; lib/telemetry/README.md says what each means. */
export const ALERT_ATTR = {
  id: 'ssom.alert.id',
  kind: 'ssom.alert.kind',
  recipients: 'ssom.alert.recipients',
  replayed: 'ssom.alert.replayed',
  age: 'ssom.alert.age_ms',
} as const;

/** Which alert it is about. */
export function alertAttributes(alertId: number): { [ALERT_ATTR.id]: number } {
  return { [ALERT_ATTR.id]: alertId };
}

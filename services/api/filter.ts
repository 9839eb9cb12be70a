import { ALERT_KINDS, ALERT_LEVELS, type AlertKind } from '../domain/alert.js';
import type { Bound, Violations } from './violations.js';

/** Reads the kinds and least level of a filter; each kind once. What is unknown is a violation. */
export function readFilter(
  violations: Violations,
  kinds: readonly (string | number)[],
  minimumLevel: string | number,
  bound: Bound,
  path = '',
): { kinds: AlertKind[]; minimumRank: number } {
  const known = new Set<AlertKind>();
  if (violations.fits(`${path}kinds`, kinds, bound)) {
    kinds.forEach((name, index) => {
      const kind = violations.choice(
        `${path}kinds[${index}]`,
        name,
        ALERT_KINDS,
        'ALERT_KIND',
        'leave the list empty for all',
      );
      if (kind !== undefined) known.add(kind);
    });
  }
  if (minimumLevel === 'ALERT_LEVEL_UNSPECIFIED') return { kinds: [...known], minimumRank: 0 };
  const level = violations.choice(
    `${path}minimum_level`,
    minimumLevel,
    ALERT_LEVELS,
    'ALERT_LEVEL',
    'leave it out for all',
  );
  return { kinds: [...known], minimumRank: level === undefined ? 0 : ALERT_LEVELS.indexOf(level) + 1 };
}

import type { Adjustment__Output, CreateAlertResponse__Output, UnreachedRecipient__Output } from '../../gen/types.js';
import { alertJson } from './format.js';
import { count, oneLine } from './text.js';

/** What of an alert is otherwise than its sender may think, for people; the answer of CreateAlert says it. */
export function createNotes({
  adjustments,
  unreached,
  unreachedCount,
  reachesNobody,
}: CreateAlertResponse__Output): string[] {
  const notes = [...adjustments.map(adjustmentNote), ...unreachedNotes(unreached, unreachedCount)];
  if (reachesNobody)
    notes.push(unreachedCount > 0 ? 'it reaches nobody' : 'it reaches nobody: no routing rule matches it');
  return notes;
}

function adjustmentNote({ field, type, originalLength, original }: Adjustment__Output): string {
  const name = oneLine(field);
  switch (type) {
    case 'ADJUSTMENT_TYPE_SHORTENED':
      return field === 'labels'
        ? `labels were left out: of ${originalLength} the first are kept, by key`
        : `${name} was shortened, of ${count(originalLength, 'character')}`;
    case 'ADJUSTMENT_TYPE_CLEANED':
      return `${name} had characters that it cannot have; they were replaced`;
    case 'ADJUSTMENT_TYPE_REPLACED':
      return `${name} ${oneLine(original)} was replaced by the present time`;
    default:
      return `${name} was adjusted`;
  }
}

/** Names that reach nobody, and why. */
export function unreachedNotes(names: readonly UnreachedRecipient__Output[], total: number): string[] {
  const notes = names.map(({ list, name, reason }) => {
    const what = `${LISTS[list] ?? 'recipient'} '${oneLine(name)}'`;
    return `${what} ${REASONS[reason] ?? 'gets nothing'}`;
  });
  if (total > names.length) notes.push(`and ${count(total - names.length, 'more name')} reach nobody`);
  return notes;
}

const LISTS: Partial<Record<string, string>> = {
  RECIPIENT_LIST_USER_IDS: 'user',
  RECIPIENT_LIST_DEPARTMENTS: 'department',
  RECIPIENT_LIST_GITHUB_LOGINS: 'GitHub login',
  RECIPIENT_LIST_ROUTING_RULES: 'a routing rule matches, and its department',
};

const REASONS: Partial<Record<string, string>> = {
  UNREACHED_REASON_UNKNOWN: 'does not exist',
  UNREACHED_REASON_INACTIVE: 'is inactive',
  UNREACHED_REASON_NO_ACTIVE_USER: 'has no active user',
};

/** The answer for programs. */
export function createJson({ alert, ...rest }: CreateAlertResponse__Output): object {
  return { alert: alertJson(alert), ...rest };
}

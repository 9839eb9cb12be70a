import { MOVES_TERMINAL, visibleEscape } from '../../domain/text.js';

const NAMES: Readonly<Record<string, string>> = { '\n': '\\n', '\r': '\\r', '\t': '\\t' };

/** Text from elsewhere on one line of a terminal: every control character as a visible escape. */
export function oneLine(text: string): string {
  return text.replace(MOVES_TERMINAL, (char) => NAMES[char] ?? visibleEscape(char));
}

/** What a replacer of JSON.stringify may be. */
type Replacer = ((key: string, value: unknown) => unknown) | null;

/** JSON.stringify with nothing for a terminal to obey, whose own escapes are of C0 alone. It says the same. */
export function jsonText(value: unknown, replacer: Replacer = null, space = 0): string {
  return JSON.stringify(value, replacer as never, space).replace(MOVES_TERMINAL, (char) =>
    char === '\n' ? char : `\\u${char.charCodeAt(0).toString(16).padStart(4, '0')}`,
  );
}

export type Style = 'dim' | 'bold' | 'green' | 'yellow' | 'red' | 'alarm';
export type Paint = (style: Style, text: string) => string;

const CODES: Record<Style, string> = { dim: '2', bold: '1', green: '32', yellow: '33', red: '31', alarm: '1;97;41' };

interface Screen {
  readonly stdout: { readonly isTTY?: boolean };
  readonly environment: Readonly<Record<string, string | undefined>>;
}

/** Colours for results: on a terminal, unless NO_COLOR is set (https://no-color.org) or the terminal is dumb. */
export function painter({ stdout, environment }: Screen): Paint {
  const plain = stdout.isTTY !== true || (environment['NO_COLOR'] ?? '') !== '' || environment['TERM'] === 'dumb';
  return plain ? (_style, text) => text : (style, text) => `\u001b[${CODES[style]}m${text}\u001b[0m`;
}

/** `1 user`, `2 users`, `1,500 users`, `2 inboxes`, `2 entries`. */
export function count(number: number, noun: string): string {
  return `${number.toLocaleString('en')} ${number === 1 ? noun : plural(noun)}`;
}

function plural(noun: string): string {
  if (noun.endsWith('ry')) return `${noun.slice(0, -1)}ies`;
  return /(x|s|sh)$/.test(noun) ? `${noun}es` : `${noun}s`;
}

/** A time that something takes: `12 ms`, `3.4 s`, `2 min 5 s`, `3 h 20 min`, `4 d 1 h`. */
export function duration(ms: number): string {
  const whole = Math.round(ms);
  if (whole < 1000) return `${whole} ms`;
  const seconds = Math.round(ms / 1000);
  if (whole < 59_950) return `${(ms / 1000).toFixed(1)} s`;
  if (seconds < 3600) return pair(Math.floor(seconds / 60), 'min', seconds % 60, 's');
  const minutes = Math.round(ms / 60_000);
  if (minutes < 24 * 60) return pair(Math.floor(minutes / 60), 'h', minutes % 60, 'min');
  const hours = Math.round(ms / 3_600_000);
  return pair(Math.floor(hours / 24), 'd', hours % 24, 'h');
}

function pair(large: number, unit: string, small: number, smallUnit: string): string {
  return small === 0 ? `${large} ${unit}` : `${large} ${unit} ${small} ${smallUnit}`;
}

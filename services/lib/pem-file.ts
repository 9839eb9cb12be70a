import { readFileSync } from 'node:fs';
import { whyUnreadable } from './secret-file.js';

/** @throws Error saying what is wrong with the file */
export function readPem(file: string): string {
  let text: string;
  try {
    text = readFileSync(file, 'utf8');
  } catch (error) {
    throw new Error(`${file} cannot be read ${whyUnreadable(error as Error)}`, { cause: error });
  }
  if (text.includes('-----BEGIN ')) return text;
  throw new Error(`${file} ${text.trim() === '' ? 'is empty' : 'is no PEM'}`);
}

import type { Fault } from './faults.js';
import type { Kind } from './findings.js';
export interface Defect { readonly name: string; readonly fault: Fault; readonly caughtAs: readonly Kind[] }
export const DEFECTS: readonly Defect[] = [];

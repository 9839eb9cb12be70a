import { cpSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import type { TestContext } from 'node:test';
import { SCHEMAS } from '../../services/events/schemas/files.js';
import type { FieldSchema, RecordSchema } from '../../services/events/schemas/form.js';
import { defer } from './defer.js';

/** A folder with our schemas, to be changed; it goes with the test. */
export function schemaFolder(t: TestContext): SchemaFolderCopy {
  const path = mkdtempSync(join(tmpdir(), 'ssom-schemas-'));
  defer(t, () => rmSync(path, { recursive: true }));
  cpSync(SCHEMAS, path, { recursive: true, filter: (source) => !/\.(md|mjs)$/.test(source) });
  return new SchemaFolderCopy(path);
}

export class SchemaFolderCopy {
  constructor(readonly path: string) {}

  read(file: string): RecordSchema {
    return JSON.parse(readFileSync(join(this.path, file), 'utf8')) as RecordSchema;
  }

  write(file: string, content: string | object): void {
    mkdirSync(dirname(join(this.path, file)), { recursive: true });
    writeFileSync(join(this.path, file), typeof content === 'string' ? content : JSON.stringify(content));
  }

  /** user-alert's next version: the newest with these fields, and whatever else is given. */
  next(fields: readonly (FieldSchema | object)[], rest: object = {}): void {
    const newest = this.read('user-alert-topic-value/v3.avsc');
    this.write('user-alert-topic-value/v4.avsc', { ...newest, ...rest, fields: [...newest.fields, ...fields] });
  }
}

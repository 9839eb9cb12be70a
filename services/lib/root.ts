import { existsSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

function findRoot(): string {
  let folder = dirname(fileURLToPath(import.meta.url));
  while (!existsSync(join(folder, 'schemas')) || !existsSync(join(folder, 'package.json'))) {
    const parent = dirname(folder);
    if (parent === folder) throw new Error('cannot find the folder that holds package.json, proto and schemas');
    folder = parent;
  }
  return folder;
}

/** The folder that holds package.json, proto and schemas, whether the code runs compiled or packaged. */
export const ROOT = findRoot();

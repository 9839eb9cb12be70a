// Makes what release.json and protos.binpb say of a commit: the same commit gives the same bytes.
import { execFileSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { sha256, writeJson } from '../tools/setup/common.mjs';
import { imageFile, recordFile } from './compare.mjs';
import { deprecatedIn, imageOf } from './protos.mjs';
import { stateOf } from './state.mjs';

const RELEASED = ['buf.yaml', 'proto', 'schemas', 'services/store'];

/**
 * @param {string} root a clone that has the commit
 * @param {{ version: string, date: string, commit: string }} release
 * @param {Record<string, string>} deprecatedBefore of the release before
 * @returns {Promise<{ record: import('./compare.mjs').ReleaseRecord, image: Buffer }>}
 */
export async function recordOf(root, { version, date, commit }, deprecatedBefore) {
  const folder = mkdtempSync(join(tmpdir(), 'ssom-release-'));
  try {
    const files = execFileSync('git', ['archive', commit, ...RELEASED], { cwd: root, maxBuffer: 1 << 28 });
    execFileSync('tar', ['-x', '-C', folder], { input: files });
    const image = await imageOf(folder);
    const copy = join(folder, 'protos.binpb');
    writeFileSync(copy, image);
    const deprecated = (await deprecatedIn(copy)).map((member) => [member, deprecatedBefore[member] ?? date]);
    const protos = sha256(image);
    return {
      record: { version, date, commit, ...stateOf(folder), protos, deprecated: Object.fromEntries(deprecated) },
      image,
    };
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

/** @param {string} root @param {Awaited<ReturnType<typeof recordOf>>} made */
export function writeRecord(root, { record, image }) {
  writeFileSync(imageFile(root), image);
  writeJson(recordFile(root), record);
}

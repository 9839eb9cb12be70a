import assert from 'node:assert/strict';
import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import test, { type TestContext } from 'node:test';
import { ROOT } from '../../services/lib/root.js';
import { alertRequest } from '../support/alerts.js';
import type { TestApi } from '../support/api.js';
import { temporaryFolder } from '../support/cleanup.js';
import { defer } from '../support/defer.js';
import { loadDirectory, user } from '../support/directory.js';
import { ForeignTool, whySkipTool } from '../support/foreign-tool.js';
import { createTestDatabase } from '../support/postgres.js';
import { startStandalone } from '../support/standalone.js';
import { untilTrue } from '../support/until-true.js';

/*
 * Clients that are none of ours: what they see of the API is what any other team will. .ci/run installs both; elsewhere
 * they are tested where they are in the PATH.
 */

const CREATED = 'INBOX_CHANGE_TYPE_CREATED';
const UNREADABLE = 'dG9rZW4';

interface SeenResponse {
  readonly changes: readonly { type: string; sequence: number; alertId: number; title: string; isRead: boolean }[];
  readonly resumeToken: string;
  readonly unreadCount: number;
}

async function create(api: TestApi, userId: string, count: number): Promise<number[]> {
  const requests = Array.from({ length: count }, () => alertRequest({ recipients: { userIds: [userId] } }));
  const { results } = await api.call('BatchCreateAlerts', { requests });
  return results.map(({ response }) => response!.alert!.alertId);
}

async function startService(t: TestContext, userId: string) {
  const store = await createTestDatabase(t);
  const service = await startStandalone(t, { env: { DATABASE_URL: store.url } });
  const api = service.api();
  await loadDirectory(api, [user(userId, 'ELSEWHERE')]);
  return { api, address: service.grpc };
}

/** What was shown before the stop and after the resumption: all of it once, in order, nothing else. */
function assertResumed(before: readonly SeenResponse[], after: readonly SeenResponse[], alertIds: readonly number[]) {
  const changes = [...before, ...after].flatMap((response) => response.changes);
  const created = changes.filter(({ type }) => type === CREATED);
  assert.deepEqual(
    changes.map(({ sequence }) => sequence),
    changes.map((_, index) => index + 1),
  );
  assert.deepEqual(created.map(({ alertId }) => alertId).sort(), [...alertIds].sort());
  assert.ok(created.every(({ title }) => title.startsWith('alert ')));
}

const GRPCURL_REMEDY = 'grpcurl is not in the PATH; go install github.com/fullstorydev/grpcurl/cmd/grpcurl@v1.9.3';

test('grpcurl, by reflection', { skip: whySkipTool('grpcurl', ['--version'], GRPCURL_REMEDY) }, async (t) => {
  const { api, address } = await startService(t, 'curl');
  const stream = (request: object) =>
    new ForeignTool(t, 'grpcurl', [
      ...['-plaintext', '-H', 'x-user-id: curl', '-d', JSON.stringify(request), address],
      'ssom.alert.v1.AlertStreamService/StreamAlerts',
    ]);
  interface Printed {
    changes?: { type: string; sequence: string; isRead?: boolean; alert: { alertId: string; title?: string } }[];
    resumeToken: string;
    unreadCount?: number;
  }
  /** It prints one indented object after the other. */
  const responses = ({ stdout }: ForeignTool): SeenResponse[] =>
    stdout
      .split(/(?<=^})\n/m)
      .filter((text) => text.startsWith('{') && text.trimEnd().endsWith('\n}'))
      .map((text) => {
        const { changes = [], resumeToken, unreadCount = 0 } = JSON.parse(text) as Printed;
        return {
          resumeToken,
          unreadCount,
          changes: changes.map(({ type, sequence, isRead = false, alert }) => ({
            type,
            isRead,
            sequence: Number(sequence),
            alertId: Number(alert.alertId),
            title: alert.title ?? '',
          })),
        };
      });
  const seen = (tool: ForeignTool) => responses(tool).flatMap(({ changes }) => changes);

  const health = new ForeignTool(t, 'grpcurl', ['-plaintext', address, 'grpc.health.v1.Health/Check']);
  await health.ended();
  assert.match(health.stdout, /"status": "SERVING"/);

  const first = await create(api, 'curl', 3);
  const before = stream({ start: 'STREAM_START_BEGINNING' });
  await before.until(() => seen(before).length === 3 && before.stdout.includes('resumeToken'), 'the inbox');
  const live = await create(api, 'curl', 1);
  await before.until(() => seen(before).length === 4, 'a live alert');
  await before.interrupt();
  const missed = await create(api, 'curl', 2);
  const { resumeToken } = responses(before).at(-1)!;
  const after = stream({ resumeToken });
  await after.until(() => seen(after).length === 2, 'what was missed');
  await after.interrupt();
  assertResumed(responses(before), responses(after), [...first, ...live, ...missed]);
  assert.equal(responses(after).at(-1)!.unreadCount, 6);

  const refused = stream({ resumeToken: UNREADABLE });
  await refused.ended();
  assert.match(refused.stderr, /Code: InvalidArgument\n.*Message: resume_token is not a token of this service/s);

  const wrong = new ForeignTool(t, 'grpcurl', [
    ...['-plaintext', '-H', 'x-caller: curl', '-d', '{}', address],
    'ssom.alert.v1.AlertService/GetAlert',
  ]);
  await wrong.ended();
  assert.match(wrong.stderr, /"@type": "type.googleapis.com\/google.rpc.ErrorInfo",.*"reason": "INVALID_FIELDS"/s);
  assert.match(wrong.stderr, /"fieldViolations": \[.*"field": "alert_id"/s);
});

const PYTHON_REMEDY = 'python3 has no grpc_tools; pip install grpcio==1.85.1 grpcio-tools==1.85.1';
const skipPython = whySkipTool('python3', ['-c', 'import grpc, grpc_tools'], PYTHON_REMEDY);

test('a Python client, generated from proto/ alone', { skip: skipPython }, async (t) => {
  const { api, address } = await startService(t, 'python');
  const generated = temporaryFolder('ssom-python-');
  defer(t, () => generated.remove());
  // As proto/README.md says.
  const folder = join(ROOT, 'proto', 'ssom', 'alert', 'v1');
  const files = readdirSync(folder).filter((name) => name.endsWith('.proto'));
  const generator = new ForeignTool(t, 'python3', [
    ...['-m', 'grpc_tools.protoc', `--proto_path=${join(ROOT, 'proto')}`],
    ...[`--python_out=${generated.path}`, `--grpc_python_out=${generated.path}`],
    ...files.map((name) => join(folder, name)),
  ]);
  await generator.ended();
  assert.equal(generator.code, 0, generator.stderr);

  const script = join(ROOT, 'test', 'real', 'stream_client.py');
  const stream = (changes: number, ...token: string[]) =>
    new ForeignTool(t, 'python3', [script, generated.path, address, 'python', String(changes), ...token]);
  const responses = ({ stdout }: ForeignTool) =>
    stdout
      .split('\n')
      .slice(0, -1)
      .map((line) => JSON.parse(line) as SeenResponse);

  const first = await create(api, 'python', 3);
  const before = stream(4);
  await before.until(() => responses(before).flatMap(({ changes }) => changes).length === 3, 'the inbox');
  const live = await create(api, 'python', 1);
  await before.ended();
  assert.equal(before.code, 0, before.stderr);
  const missed = await create(api, 'python', 1);
  const [readId] = missed;
  await untilTrue(async () => (await api.call('MarkRead', { alertIds: [readId!] }, { user: 'python' })).changed === 1, {
    what: 'the missed alert is there to be read',
  });
  const after = stream(1, responses(before).at(-1)!.resumeToken);
  await after.ended();
  assert.equal(after.code, 0, after.stderr);
  assertResumed(responses(before), [], [...first, ...live]);
  // Its arrival was superseded by its being read, so that is all that is shown of it.
  const [change, ...more] = responses(after).flatMap(({ changes }) => changes);
  assert.deepEqual(more, []);
  assert.deepEqual(
    [change!.type, change!.sequence, change!.alertId, change!.isRead],
    ['INBOX_CHANGE_TYPE_READ', 6, readId, true],
  );

  const refused = stream(1, UNREADABLE);
  await refused.ended();
  assert.equal((JSON.parse(refused.stdout) as { code: string }).code, 'INVALID_ARGUMENT');
});

import type { RoleName } from '../../../services/domain/role-names.js';
import type { Bench } from '../frame/bench.js';
import type { Deployment } from '../frame/deployment.js';
import type { Figures } from '../frame/figures.js';

export const DEPARTMENT = 'STREAMS';

/** A response without changes: a token of 39 characters. In base64. */
export const CHECKPOINT = Buffer.concat([Buffer.from([0x12, 39]), Buffer.alloc(39, 'A')]).toString('base64');

export const databaseOf = ({ environment }: Deployment): string => environment['DATABASE_URL']!;

export function userIds(count: number): string[] {
  return Array.from({ length: count }, (_, index) => `user-${String(index + 1).padStart(6, '0')}`);
}

/** A gateway, with other roles if wanted, and these users, who have empty inboxes. */
export async function deployGateway(
  bench: Bench,
  name: string,
  users: readonly string[],
  { roles = [], variables = {} }: { roles?: readonly RoleName[]; variables?: Record<string, string> } = {},
): Promise<Deployment> {
  const deployment = await bench.deploy(name);
  Object.assign(deployment.environment, variables);
  await deployment.start(...roles, 'stream-gateway');
  await bench.runSql(
    databaseOf(deployment),
    `WITH people AS (SELECT unnest($1::text[]) AS user_id), stored AS (
       INSERT INTO users (user_id, display_name, department, github_login, active, valid_from)
       SELECT user_id, user_id, $2, '', true, 1 FROM people
     )
     INSERT INTO inboxes (user_id) SELECT user_id FROM people`,
    [users, DEPARTMENT],
  );
  return deployment;
}

/** Notes what came to clients by PostgreSQL instead of Kafka: not the way that was measured. */
export async function noteWay(deployment: Deployment, figures: Figures): Promise<void> {
  for (const metric of ['ssom_stream_gaps_total', 'ssom_stream_healed_total']) {
    const count = await deployment.role('stream-gateway').metric(metric);
    if (count > 0) figures.note(`${deployment.name}: ${metric} is ${count}`);
  }
}

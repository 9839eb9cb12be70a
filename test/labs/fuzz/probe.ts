import { PROBES } from './people.js';
import type { Random } from './random.js';
import { validAlert } from './valid.js';
import type { World } from './world.js';

/** A well-formed alert for a probe, which must be taken at once and arrive. @returns its id */
export async function createProbe(world: World, random: Random): Promise<number> {
  const recipients = [random.pick(PROBES)];
  const request = { ...validAlert(random), recipients: { userIds: recipients } };
  try {
    const { alert } = await world.client.createAlert(request, { attempts: 1 });
    world.expect(alert!.alertId, recipients);
    return alert!.alertId;
  } catch (error) {
    world.report.fail('well-formed alerts', (error as Error).message, request);
    return 1;
  }
}

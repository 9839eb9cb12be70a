import type { TestContext } from 'node:test';
import { cert, deleteApp, initializeApp } from 'firebase-admin/app';
import { getMessaging, type Messaging } from 'firebase-admin/messaging';
import { defer } from '../../support/defer.js';
import { type Fcm, serviceAccountFile } from './client.js';
import { RedirectAgent } from './redirect-agent.js';

/**
 * The real firebase-admin, talking HTTP/1.1 to the server over at most `maxSockets` connections; `timeoutMs`: see
 * RedirectAgent.
 */
export function connectAdmin(
  t: TestContext,
  fcm: Pick<Fcm, 'url' | 'serviceAccount'>,
  maxSockets = 10,
  timeoutMs?: number,
): { messaging: Messaging; agent: RedirectAgent } {
  const agent = new RedirectAgent(fcm.url, maxSockets, timeoutMs);
  const file = serviceAccountFile(t, fcm);
  // By its path: given the object itself, 13.10 forgets the agent when it asks for an access token.
  const app = initializeApp({ credential: cert(file, agent), httpAgent: agent }, file);
  const messaging = getMessaging(app);
  // Its HTTP/2 takes no agent. Deprecated until HTTP/2 is as stable, says the package.
  // eslint-disable-next-line @typescript-eslint/no-deprecated
  messaging.enableLegacyHttpTransport();
  defer(t, async () => {
    await deleteApp(app);
    agent.destroy();
  });
  return { messaging, agent };
}

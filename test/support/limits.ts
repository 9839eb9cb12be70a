import { CallerLimits, type Limits } from '../../services/lib/grpc/caller-limits.js';
import { silentLogger } from '../../services/lib/logging.js';

const NONE: Limits = { requestsPerS: 0, alertsPerS: 0, recipientsPerS: 0, calls: 1000, streams: 1000 };

/** The same limits for everybody: none but those that are given. */
export function limitsOf(limits: Partial<Limits> = {}, burstMs = 1000, file = ''): CallerLimits {
  const own = { ...NONE, ...limits };
  return CallerLimits.read({ service: own, user: own, burstMs, file }, silentLogger());
}

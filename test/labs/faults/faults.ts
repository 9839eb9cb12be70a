import { ROLE_NAMES } from '../../../services/domain/role-names.js';
import { clockFault, steppedClockFault } from './faults/clocks.js';
import type { Fault } from './faults/fault.js';
import { FCM } from './faults/fcm.js';
import { KAFKA } from './faults/kafka.js';
import { networkFaults } from './faults/network.js';
import { NUISANCES } from './faults/nuisances.js';
import { DIRECTORY, STREAMS } from './faults/people.js';
import { POSTGRES } from './faults/postgres.js';
import { REGISTRY } from './faults/registry.js';
import { roleFaults } from './faults/roles.js';

const WAYS = ['postgres', 'kafka', 'registry', 'api', 'gateway'] as const;

/** Every fault there is, in the order in which they are listed. */
export const FAULTS: readonly Fault[] = [
  ...ROLE_NAMES.flatMap(roleFaults),
  ...POSTGRES,
  ...KAFKA,
  ...NUISANCES,
  ...REGISTRY,
  ...WAYS.flatMap(networkFaults),
  ...FCM,
  ...ROLE_NAMES.map(clockFault),
  ...ROLE_NAMES.map(steppedClockFault),
  DIRECTORY,
  STREAMS,
];

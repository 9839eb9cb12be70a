/** What may run as a process of its own, in the order of an alert's way. launch/roles.ts says how each is made. */
export const ROLE_NAMES = ['alert-api', 'fanout', 'delivery', 'push', 'stream-gateway'] as const;
export type RoleName = (typeof ROLE_NAMES)[number];

/** All of them in one process. */
export const STANDALONE = 'standalone';
export type ProcessName = RoleName | typeof STANDALONE;
/** What `ssom-alert run` runs. */
export const PROCESS_NAMES: readonly ProcessName[] = [...ROLE_NAMES, STANDALONE];

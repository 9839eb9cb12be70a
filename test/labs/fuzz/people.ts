/**
 * Who there is while the fuzz runs. What it writes of users stays within CROWD, so that the others are as they were.
 */
export const PROBES = Array.from({ length: 5 }, (_, index) => `probe-${index + 1}`);
/** They read, mark and delete. */
export const READERS = Array.from({ length: 5 }, (_, index) => `reader-${index + 1}`);
/** They hold streams open and are told lies by Kafka. */
export const VICTIMS = Array.from({ length: 3 }, (_, index) => `victim-${index + 1}`);
/** They come, go and change. */
export const CROWD = Array.from({ length: 200 }, (_, index) => `crowd-${index + 1}`);

export const DEPARTMENTS = Array.from({ length: 10 }, (_, index) => `DEPARTMENT-${index + 1}`);
export const PROBE_DEPARTMENT = 'PROBES';

import { inboxOwner } from '../api/access.js';
import { readFilter } from '../api/filter.js';
import { userInactive, userNotFound } from '../api/user-errors.js';
import { BOUNDS, Violations } from '../api/violations.js';
import { AlertError } from '../domain/errors.js';
import { readResumeToken, ResumeTokenWriter, tokenExpired } from '../domain/resume-token.js';
import type { StreamAlertsRequest__Output } from '../gen/types.js';
import type { CallerLimits } from '../lib/grpc/caller-limits.js';
import type { StreamHandler } from '../lib/grpc/calls.js';
import { callerKey } from '../lib/grpc/identity.js';
import { ATTR } from '../lib/telemetry/names.js';
import { isSampled } from '../lib/telemetry/tracing.js';
import type { AdminReads } from '../runtime/admin-reads.js';
import type { InboxPosition } from '../store/inboxes.js';
import { AlertStream } from './alert-stream.js';
import { StreamFilter } from './stream-filter.js';
import type { StreamHub } from './stream-hub.js';
import type { StreamOpenings } from './stream-openings.js';

const CHECKPOINT_DEFAULT_S = 15;
const CHECKPOINT_MIN_S = 1;
const CHECKPOINT_MAX_S = 300;
const NO_FILTER = { kinds: [], minimumLevel: 'ALERT_LEVEL_UNSPECIFIED', unreadOnly: false } as const;

/** The handler of ssom.alert.v1.AlertStreamService.StreamAlerts; responses are written as bytes. */
export function streamAlerts(
  openings: StreamOpenings,
  hub: StreamHub,
  limits: CallerLimits,
  reads: AdminReads,
): StreamHandler<StreamAlertsRequest__Output, Buffer> {
  return async (call, context) => {
    const { identity, span, traceparent } = context;
    const request = call.request;
    const userId = inboxOwner(identity, request.userId);
    const { filter, checkpointMs } = readRequest(request);
    const caller = callerKey(identity);
    const giveBack = hub.reserveStream(userId, caller, limits.of(caller).streams);
    try {
      const opening = await openings.find(userId);
      if (call.cancelled) return;
      if (opening === undefined) throw userNotFound(userId);
      const { active, epoch, inbox } = opening;
      if (!active) throw userInactive(userId);
      const cursor = startOf(request, userId, epoch, inbox);
      await reads.note(context, 'stream.opened', userId);
      if (call.cancelled) return;
      if (span?.isRecording() === true) {
        span.setAttribute(ATTR.streamResumed, request.resumeToken !== '');
        span.setAttribute(ATTR.streamBehind, inbox.lastSequence - cursor);
      }
      // Changes between the reading above and here are behind the cursor, so the catch-up reads them.
      const stream = new AlertStream({
        userId,
        caller,
        call,
        host: hub,
        filter,
        tokens: new ResumeTokenWriter(userId, epoch),
        checkpointMs,
        cursor,
        inboxEnd: inbox.lastSequence,
        endsAt: hub.newEnd(),
        believedUntil: identity.expiresAt,
        openedIn: isSampled(traceparent) ? traceparent : undefined,
      });
      hub.add(stream);
    } finally {
      giveBack();
    }
  };
}

/** @throws AlertError INVALID_ARGUMENT with every violation */
function readRequest({ filter, checkpointInterval, start }: StreamAlertsRequest__Output) {
  const violations = new Violations();
  const { kinds, minimumLevel, unreadOnly } = filter ?? NO_FILTER;
  const read = readFilter(violations, kinds, minimumLevel, BOUNDS['StreamFilter.kinds'], 'filter.');
  const seconds = checkpointInterval === null ? CHECKPOINT_DEFAULT_S : secondsOf(checkpointInterval);
  if (seconds < CHECKPOINT_MIN_S || seconds > CHECKPOINT_MAX_S) {
    const range = `${CHECKPOINT_MIN_S} to ${CHECKPOINT_MAX_S} seconds`;
    violations.add('checkpoint_interval', `must be ${range}, not ${seconds}; leave it out for ${CHECKPOINT_DEFAULT_S}`);
  }
  if (start !== 'STREAM_START_UNSPECIFIED') violations.choice('start', start, ['NOW', 'BEGINNING'], 'STREAM_START');
  violations.throwIfAny();
  return { filter: new StreamFilter(read.kinds, read.minimumRank, unreadOnly), checkpointMs: seconds * 1000 };
}

function secondsOf({ seconds, nanos }: { seconds: number; nanos: number }): number {
  return seconds + nanos / 1e9;
}

/** Up to which number the client has seen everything. */
function startOf(request: StreamAlertsRequest__Output, userId: string, epoch: number, inbox: InboxPosition): number {
  if (request.resumeToken === '') {
    return request.start === 'STREAM_START_BEGINNING' ? inbox.prunedSequence : inbox.lastSequence;
  }
  const sequence = readResumeToken(request.resumeToken, userId, epoch);
  if (sequence < inbox.prunedSequence) throw tokenExpired();
  if (sequence > inbox.lastSequence) {
    throw new AlertError(
      'OUT_OF_RANGE',
      'RESUME_TOKEN_AHEAD',
      `resume_token is ahead of the inbox (${sequence} > ${inbox.lastSequence}); forget what you have and start a stream without a token, with STREAM_START_BEGINNING`,
    );
  }
  return sequence;
}

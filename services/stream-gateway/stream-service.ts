import { AlertError, invalidArgument } from '../domain/errors.js';
import { readResumeToken, ResumeTokenWriter, tokenExpired } from '../domain/resume-token.js';
import { BOUNDS } from '../api/violations.js';
import { inboxOwner } from '../api/access.js';
import { readFilter } from '../api/messages.js';
import type { StreamHandler } from '../lib/grpc/server.js';
import type { StreamAlertsRequest__Output } from '../gen/types.js';
import { ATTR } from '../lib/telemetry/names.js';
import { isSampled } from '../lib/telemetry/tracing.js';
import type { InboxPosition } from '../store/inboxes.js';
import { AlertStream } from './alert-stream.js';
import { StreamFilter } from './stream-filter.js';
import type { StreamHub } from './stream-hub.js';
import type { StreamOpenings } from './stream-openings.js';

const CHECKPOINT_DEFAULT_MS = 15_000;
const CHECKPOINT_MIN_S = 1;
const CHECKPOINT_MAX_S = 300;

/** The handler of ssom.alert.v1.AlertStreamService.StreamAlerts; responses are written as bytes. */
export function streamAlerts(
  openings: StreamOpenings,
  hub: StreamHub,
): StreamHandler<StreamAlertsRequest__Output, Buffer> {
  return async (call, { identity, span, traceparent }) => {
    const request = call.request;
    const userId = inboxOwner(identity, request.userId);
    const filter = readStreamFilter(request);
    const checkpointMs = readCheckpointInterval(request);
    if (typeof request.start === 'number') {
      throw invalidArgument([
        {
          field: 'start',
          description: `${String(request.start)} is no start; STREAM_START_NOW or STREAM_START_BEGINNING`,
        },
      ]);
    }
    const giveBack = hub.reserveStream(userId);
    try {
      const opening = await openings.find(userId);
      if (call.cancelled) return;
      if (opening === undefined) {
        throw new AlertError(
          'NOT_FOUND',
          'USER_NOT_FOUND',
          `there is no user '${userId}' in the directory; UpsertUsers adds users`,
        );
      }
      const { active, epoch, inbox } = opening;
      if (!active) throw new AlertError('PERMISSION_DENIED', 'USER_INACTIVE', `user '${userId}' is inactive`);
      const cursor = startOf(request, userId, epoch, inbox);
      if (span?.isRecording() === true) {
        span.setAttribute(ATTR.streamResumed, request.resumeToken !== '');
        span.setAttribute(ATTR.streamBehind, inbox.lastSequence - cursor);
      }
      // Changes between the reading above and here are behind the cursor, so the catch-up reads them.
      const stream = new AlertStream({
        userId,
        call,
        host: hub,
        filter,
        tokens: new ResumeTokenWriter(userId, epoch),
        checkpointMs,
        cursor,
        inboxEnd: inbox.lastSequence,
        endsAt: hub.newEnd(),
        openedIn: isSampled(traceparent) ? traceparent : undefined,
      });
      hub.add(stream);
    } finally {
      giveBack();
    }
  };
}

function readStreamFilter({ filter }: StreamAlertsRequest__Output): StreamFilter {
  if (filter === null) return new StreamFilter([], 0, false);
  const { kinds, minimumRank } = readFilter(filter.kinds, filter.minimumLevel, BOUNDS['StreamFilter.kinds'], 'filter.');
  return new StreamFilter(kinds, minimumRank, filter.unreadOnly);
}

function readCheckpointInterval({ checkpointInterval }: StreamAlertsRequest__Output): number {
  if (checkpointInterval === null) return CHECKPOINT_DEFAULT_MS;
  const seconds = checkpointInterval.seconds + checkpointInterval.nanos / 1e9;
  if (seconds < CHECKPOINT_MIN_S || seconds > CHECKPOINT_MAX_S) {
    const description = `must be ${CHECKPOINT_MIN_S} to ${CHECKPOINT_MAX_S} seconds, not ${seconds}; leave it out for 15`;
    throw invalidArgument([{ field: 'checkpoint_interval', description }]);
  }
  return seconds * 1000;
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

import type { InboxChangedEvent } from '../../../../services/events/event-types.js';
import { AlertStream } from '../../../../services/stream-gateway/alert-stream.js';
import { StreamHub } from '../../../../services/stream-gateway/stream-hub.js';
import { runWired } from './wired.js';

// A live stream that misses a number goes on behind it, instead of reading what it has missed.
const offered = new WeakMap<AlertStream, InboxChangedEvent>();
const { push: offer } = AlertStream.prototype;
AlertStream.prototype.push = function (event) {
  if (this.isLive) offered.set(this, event);
  offer.call(this, event);
};
const { catchUp } = StreamHub.prototype;
StreamHub.prototype.catchUp = function (stream) {
  const event = offered.get(stream);
  if (event === undefined) catchUp.call(this, stream);
  else stream.applyPage([], true, event);
};
await runWired();

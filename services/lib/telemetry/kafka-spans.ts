import { ATTR, KAFKA, SPAN } from './names.js';
import { type Span, SpanKind, type SpanOptions, type Tracing } from './tracing.js';

type KafkaSpanOptions = Omit<SpanOptions, 'kind'>;

/** The span of records that are published to a topic. */
export function startSend(tracing: Tracing, topic: string, options: KafkaSpanOptions): Span {
  return start(tracing, SPAN.send(topic), SpanKind.PRODUCER, topic, 'send', options);
}

/** The span of records of a topic that are worked on. */
export function startProcess(tracing: Tracing, topic: string, options: KafkaSpanOptions): Span {
  return start(tracing, SPAN.process(topic), SpanKind.CONSUMER, topic, 'process', options);
}

function start(
  tracing: Tracing,
  name: string,
  kind: SpanKind,
  topic: string,
  operation: string,
  options: KafkaSpanOptions,
): Span {
  return tracing.start(name, {
    ...options,
    kind,
    attributes: {
      [ATTR.messagingSystem]: KAFKA,
      [ATTR.messagingDestination]: topic,
      [ATTR.messagingOperation]: operation,
      [ATTR.messagingOperationType]: operation,
      ...options.attributes,
    },
  });
}

/** How long a record waited before it was taken up: writers' clocks may be ahead of ours. */
export function waitedMs(writtenAt: number, takenAt: number): number {
  return Math.max(0, Math.round(takenAt - writtenAt));
}

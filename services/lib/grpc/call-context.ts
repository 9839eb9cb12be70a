import type { Metadata } from '@grpc/grpc-js';
import { AlertError } from '../../domain/errors.js';
import type { Logger } from '../logging.js';
import { CallEnded, type Database, type StatementObserver } from '../postgres.js';
import { judgeDatabaseError } from '../postgres-errors.js';
import { type Span, traceIdOf } from '../telemetry/tracing.js';
import { type RefusedCall, type Said, saidBy } from './call-origin.js';
import { databaseStatus } from './database-status.js';
import type { Identity } from './identity.js';

/** What a handler knows of its call besides the request. */
export class CallContext {
  constructor(
    private readonly path: string,
    readonly identity: Identity,
    /** The address that it came from. */
    readonly peer: string,
    private readonly metadata: Metadata,
    /**
     * Aborted when the client has cancelled or gone, its deadline is over, or the server is cut off: work for it can
     * stop.
     */
    readonly signal: AbortSignal,
    private readonly shared: { readonly database: Database; readonly logger: Logger },
    readonly span?: Span,
    /** Makes spans children of this call; undefined while tracing is off. */
    readonly traceparent?: string,
    /** Undefined while the call is not recorded. */
    private readonly statements?: StatementObserver,
  ) {}

  /** The trace is the one of its span, if it has one. */
  get said(): Said {
    const said = saidBy(this.metadata);
    return { ...said, traceId: traceIdOf(this.traceparent) ?? said.traceId };
  }

  /** Itself, as one that is refused. */
  get refused(): RefusedCall {
    const { path, peer, identity, metadata } = this;
    return { path, peer, identity, metadata };
  }

  /** Its statements are seen below this call, and end when nobody waits for the answer any more. */
  get database(): Database {
    return this.shared.database.forCall({ statements: this.statements, signal: this.signal });
  }

  /**
   * What the caller is told of an error: the one translation, for a call and for an item of a batch. What we did not
   * foresee is logged whole, and the caller learns nothing of our insides.
   */
  translate(thrown: Error): AlertError {
    // Why nobody waits any more: the caller has gone, or this server shuts down.
    const error = this.signal.aborted && thrown instanceof CallEnded ? (this.signal.reason as Error) : thrown;
    if (error instanceof AlertError) return error;
    const facts = { method: this.path, trace_id: traceIdOf(this.traceparent), err: error };
    const refusal = databaseStatus(error);
    if (refusal === undefined) {
      this.shared.logger.error(facts, 'a call failed unexpectedly');
      return new AlertError('INTERNAL', 'INTERNAL', 'internal error');
    }
    if (refusal.canRetry) {
      const { reason } = judgeDatabaseError(error)!;
      this.shared.logger.warn({ ...facts, reason }, 'the database could not do it now');
    }
    return refusal;
  }
}

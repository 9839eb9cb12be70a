// Original file: proto/ssom/alert/v1/alert_stream_service.proto

/**
 * Where a stream without a resume token starts.
 */
export const StreamStart = {
  /**
   * The same as STREAM_START_NOW.
   */
  STREAM_START_UNSPECIFIED: 'STREAM_START_UNSPECIFIED',
  /**
   * With what changes from now on.
   */
  STREAM_START_NOW: 'STREAM_START_NOW',
  /**
   * With the whole inbox.
   */
  STREAM_START_BEGINNING: 'STREAM_START_BEGINNING',
} as const;

/**
 * Where a stream without a resume token starts.
 */
export type StreamStart =
  /**
   * The same as STREAM_START_NOW.
   */
  | 'STREAM_START_UNSPECIFIED'
  | 0
  /**
   * With what changes from now on.
   */
  | 'STREAM_START_NOW'
  | 1
  /**
   * With the whole inbox.
   */
  | 'STREAM_START_BEGINNING'
  | 2

/**
 * Where a stream without a resume token starts.
 */
export type StreamStart__Output = typeof StreamStart[keyof typeof StreamStart]

/**
 * What became of any message and of any attempt that was refused, over 180 days.
 *
 * Messages are found in `trace.db`, which follows the index (`feed`); refused attempts in `attempts.db`, to which the roles that refuse
 * hand them (`recorder`, `attempt-log`). What always holds: nobody who sends or reads mail waits for either; what a stranger can add a day
 * is bounded and never pushes out what was kept before; who asks for its own mail learns of no other recipient.
 */
export {
  type Attempt,
  type AttemptCount,
  type AttemptReport,
  boundedAttempt,
  networkOf,
} from './attempt.ts';
export {
  type AttemptLimits,
  type AttemptLog,
  attemptDays,
  attemptLimits,
  createAttemptLog,
} from './attempt-log.ts';
export { type EnvelopeFields, envelopeFields } from './envelope-fields.ts';
export { createTraceFeed, putEmails, type TraceFeed } from './feed.ts';
export {
  messageEvent,
  prefixFields,
  recipientOf,
  type TracedEmail,
  tracedEmails,
} from './message-events.ts';
export { type QueryClock, type QueryMistake, type ReadQuery, readQuery, spanWords } from './query.ts';
export { type AttemptRecorder, createAttemptRecorder } from './recorder.ts';
export {
  type Fate,
  isMet,
  type Own,
  ownOf,
  searchTrace,
  type Traced,
  type TracedRecipient,
  type TraceResult,
  type TraceSources,
} from './search.ts';
export { readSpan, type Span } from './time-words.ts';

/**
 * The log: groups of frames, durable before they are acknowledged, found again whole or not at all after any crash.
 *
 * Formats: docs/formats/segment.md, docs/formats/keys.md. What always holds: a group is written when the one before it is durable;
 * an acknowledged octet is never overwritten, but for key slots that an ERASED frame destroys; after an error nothing is synced twice;
 * recovery tells a torn end from damage and from a roll-back, and changes nothing when it refuses.
 */

export { groupFramesMax } from './chain.ts';
export { type CheckOptions, type CheckSummary, checkSegments, type Deviation } from './check-segments.ts';
export type { CheckedFrame } from './checked-frame.ts';
export type { DraftBody, FrameDraft, GroupBuilder, GroupLeaf, OwnFile, Placed } from './group-builder.ts';
export { type FileKey, type KeyReader, openKeyReader } from './key-reader.ts';
export type { CommittedGroup } from './log.ts';
export {
  type ClosedSegment,
  type LeafPlace,
  type Log,
  type LogOptions,
  openLog,
  type SegmentLimits,
  segmentLimits,
} from './log.ts';
export {
  type GapInfo,
  gapSeqs,
  type LostRange,
  type NewGenerationOptions,
  type NextGenerationOptions,
  newGeneration,
  nextGeneration,
} from './new-generation.ts';
export { examineLog } from './recovery.ts';
export type { KnownHead, LogRefusal } from './refusal.ts';
export { scanFrames } from './scan.ts';
export {
  type Frame,
  type FrameAddress,
  messageIdOf,
  openHead,
  openSegmentReader,
  type SegmentReader,
} from './segment-reader.ts';
export { keyName, type Survey } from './survey.ts';

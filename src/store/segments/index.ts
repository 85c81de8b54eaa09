/**
 * The formats of the log on disk: segment, frame, record, group, key file and payload, as pure codecs without any I/O.
 *
 * Byte-exact text: docs/formats/segment.md and docs/formats/keys.md. Payloads: age v1 (C2SP/age.md). Roots: RFC 6962 §2.1.
 * What always holds: a parser accepts only what the encoder of the same version would have written, or a longer header
 * of a newer one, and names the first field that is otherwise.
 */
export {
  encodeFrameHead,
  type FrameHead,
  type FrameRecord,
  type FrameTypeName,
  frameAlignBytes,
  frameLimits,
  frameTypeName,
  frameTypes,
  groupAlignBytes,
  isKnownFrameType,
  type KeyRef,
  ownFileHeaderBytes,
  type ParsedFrameHead,
  parseFrameHead,
  places,
  recordBytes,
  type StorageHeader,
  storageHeaderBytes,
} from './frame.ts';
export {
  type CommitBody,
  type ErasedKey,
  encodeCommitBody,
  encodeSealBody,
  parseCommitBody,
  parseErasedKeys,
  parseSealBody,
  type SealBody,
} from './group-bodies.ts';
export { alignUp, copyOf, isZeros, zeroOctets } from './integers.ts';
export {
  encodeClearSlot,
  encodeDestroyedSlot,
  encodeKeyFileHeader,
  fileKeyBytes,
  type KeyFileHeader,
  type KeySlot,
  keyFileHeaderBytes,
  keySlotBytes,
  keySlotOffset,
  type ParsedKeyFileHeader,
  type ParsedKeySlot,
  parseKeyFileHeader,
  parseKeySlot,
  slotStates,
  slotsPerEpoch,
} from './key-file.ts';
export {
  keyFileName,
  largeFileName,
  parseKeyFileName,
  parseLargeFileName,
  parseSegmentFileName,
  segmentFileName,
} from './names.ts';
export {
  chunkBytes,
  openPayload,
  openPayloadAtHand,
  openWholePayload,
  type PayloadReader,
  PayloadSealer,
  type PayloadSource,
  payloadLength,
  payloadNonceBytes,
  plainLengthOf,
  type SealedSummary,
  sealPayload,
} from './payload.ts';
export {
  encodeSegmentHeader,
  type ParsedSegmentHeader,
  type PrevEnd,
  parseSegmentHeader,
  type SegmentHeader,
  segmentHeaderBytes,
} from './segment-header.ts';
export { sha256, sha256Is, sha256Of } from './sha256.ts';

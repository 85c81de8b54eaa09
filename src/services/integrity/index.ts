/** Integrity: keys, receipts, and every octet compared with the log. */
export { type ErasedMessage, erasedMessage } from './erased-message.ts';
export { type EvidenceLine, evidenceLines, evidenceValue } from './evidence-lines.ts';
export { type Journey, journeyOf } from './journey.ts';
export { type GenerationKey, generationKeys, keyLines } from './key-lines.ts';
export {
  headToShow,
  proveConsistency,
  proveInclusion,
  type ShownLeaf,
  type ShownProof,
  shownLeaves,
} from './ledger-view.ts';
export { makeReceipt, type ReceiptOutcome, type ReceiptRequest, type ReceiptSource } from './receipt.ts';
export {
  generationOf,
  type Ledgers,
  ledgerGenerations,
  newestHead,
  type PublishedHead,
  publishedHead,
} from './sealed-place.ts';
export { type VerifyOptions, type VerifyReport, verifyData } from './verify.ts';
export { type DkimAgain, verifyDkimThen } from './verify-dkim.ts';
export { type Finding, type FindingCode, findingsMax, type Note, type NoteCode } from './verify-finding.ts';
export { repairFormat, repairLedger, repairSegments } from './verify-repair.ts';
export type { Repairs } from './verify-repairs.ts';

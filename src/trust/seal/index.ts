/**
 * The seal: Merkle trees, signed heads, leaves of salted commitments, and receipts that prove one message to anybody.
 *
 * RFC 6962 §2.1 (tree, proofs), C2SP signed-note, tlog-checkpoint, tlog-cosignature, tlog-tiles and tlog-proof; what is
 * ours is in `docs/formats/leaf.md`, `ledger.md` and `receipt.md`. Pure: no file, clock or randomness of its own. Every
 * parser accepts exactly what its encoder writes; no text, hash or number has two spellings.
 */
export {
  type Checkpoint,
  encodeCheckpoint,
  encodeOrigin,
  type OriginParts,
  originBytesMax,
  parseCheckpoint,
  parseOrigin,
  type SignedCheckpoint,
  signCheckpoint,
} from './checkpoint.ts';
export {
  type CommittedField,
  commit,
  commitContent,
  isMessageId,
  messageId,
  opens,
  saltBytes,
} from './commitment.ts';
export { CompactRange, treeRoot } from './compact-range.ts';
export {
  type AuthenticationEvidence,
  type EnvelopeEvidence,
  encodeAuthentication,
  encodeEnvelope,
  encodeRecipient,
  encodeSession,
  type SessionEvidence,
} from './evidence.ts';
export { emptyRoot, hashBytes, leafHash, nodeHash, sha256, sha256OfPieces } from './hash.ts';
export {
  type ClockLeaf,
  type DayLeaf,
  type EventLeaf,
  type EventLeafKind,
  encodeLeaf,
  eventLeafKinds,
  type FramesLeaf,
  type GapLeaf,
  type GenesisLeaf,
  type HandoverLeaf,
  isMessageLeaf,
  type Leaf,
  type LeafKind,
  leafBytesMax,
  type MessageLeaf,
  type MessageLeafKind,
  parseLeaf,
  type SegmentLeaf,
} from './leaf.ts';
export {
  edgeNodes,
  type HashReader,
  makeConsistencyProof,
  makeInclusionProof,
  type TreeNode,
  verifyConsistency,
  verifyInclusion,
} from './merkle-proof.ts';
export {
  cosignatureTime,
  encodeNote,
  encodeSignerKey,
  encodeVerifierKey,
  isKeyName,
  type KeyKind,
  keyId,
  type Note,
  type NoteSignature,
  type NoteVerdict,
  noteBytesMax,
  noteSignaturesMax,
  parseNote,
  parseSignerKey,
  parseVerifierKey,
  type SignerKey,
  signerKey,
  signNote,
  signText,
  type VerifierKey,
  verifierKey,
  verifyNote,
} from './note.ts';
export {
  buildReceipt,
  type DigestOpening,
  type Openings,
  parseReceipt,
  type Receipt,
  type ReceiptParts,
  type RecipientOpening,
  receiptBytesMax,
  type TextOpening,
} from './receipt.ts';
export {
  buildRecipientsTree,
  type Recipient,
  type RecipientPlace,
  type RecipientsTree,
  recipientLevelsMax,
  recipientLevelsMin,
  verifyRecipient,
} from './recipients.ts';
export { base64, isoTime, parseBase64, parseDecimal, parseHash, parseIsoTime } from './text.ts';
export {
  edgeTiles,
  encodeBundle,
  entryBytesMax,
  parseBundle,
  parseTile,
  parseTilePath,
  type TileName,
  tileHeight,
  tilePath,
  tileWidth,
} from './tile.ts';
export { encodeProof, parseProof, pathLengthMax, proofBytesMax, type TlogProof } from './tlog-proof.ts';
export {
  encodeKeyLine,
  keysMax,
  parseKeyFile,
  type ReceiptCheck,
  type ReceiptCheckName,
  type ReceiptFacts,
  type ReceiptReason,
  type ReceiptVerdict,
  verifyReceipt,
} from './verify-receipt.ts';

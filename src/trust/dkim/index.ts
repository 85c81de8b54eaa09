/**
 * DKIM: which domains vouch for a message, and that nothing they signed was altered.
 *
 * RFC 6376 with RFC 8301 (no SHA-1, no short keys), RFC 8463 (Ed25519) and RFC 8616 (U-labels). Pure: DNS and the time
 * come in. The parts that ARC has too (bodies hashed while they arrive, canonical headers, keys) are exported for it.
 *
 * Always holds: `pass` means that the whole body and the named fields are what the domain signed, with a key that is
 * strong enough; a key that could not be looked up is `temperror`; the cost is bounded by `signaturesMax`,
 * `headerOctetsMax` and `headerFieldsMax`, whatever the message holds.
 */
export { type BodyHash, BodyHashes, type HashName } from './body-hash.ts';
export { type Canonicalization, canonicalField, FieldSelector } from './canonical-header.ts';
export {
  beginDkim,
  checkBody,
  type DkimOptions,
  type DkimOutcome,
  type DkimResult,
  type DkimWord,
  signaturesMax,
} from './check-dkim.ts';
export { type KeyRecord, type ParsedKeyRecord, parseKeyRecord } from './key-record.ts';
export {
  domainOf,
  parseAlgorithm,
  parseSignature,
  type Signature,
  type SignatureAlgorithm,
  type SignatureClaims,
  selectorOf,
  signatureClaims,
  withoutSignatureValue,
} from './signature.ts';
export type { SignedField, SignedHeader } from './signed-header.ts';
export {
  headerFieldsMax,
  headerOctetsMax,
  SignedMessage,
} from './signed-message.ts';
export { checkSignature, type FoundKey, type KeyEvidence, KeyLookup } from './signing-key.ts';
export { parseTagList, shown, type TagList, tagBase64 } from './tag-list.ts';

/**
 * Addresses: in the envelope (RFC 5321 §4.1.2, RFC 6531), as the key of an account, and the lists in header fields
 * as people really write them (RFC 5322 §3.4 and §4.4, RFC 6532).
 *
 * Always holds: nothing here throws on text from outside, and every scan is linear in its length.
 */
export { addressKey, localPartKey, type Subaddress, splitSubaddress } from './address-key.ts';
export {
  type AddressEntry,
  type Group,
  type Mailbox,
  mailboxesOf,
  parseAddressList,
} from './address-list.ts';
export { foldCase } from './case-folding.ts';
export { type EnvelopeAddress, parseEnvelopeAddress, quoteLocalPart } from './envelope-address.ts';

/** Base 32, lower case, without padding (RFC 4648 §6), as used in ids. */
export { base32, base32OfNumber, parseBase32, parseBase32Number } from './base32.ts';

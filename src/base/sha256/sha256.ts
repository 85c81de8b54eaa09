import { hash } from 'node:crypto';

// A digest comes back as a string, one character an octet: a `Buffer` of 32 octets costs several times what hashing them does, and so does
// handing V8's own small arrays to native code, be it to compare them. Thirty-two steps here are cheaper than either.

const digestBytes = 32;

/** The digest, in memory of its own. @source FIPS 180-4 §6.2 */
export const sha256 = (octets: Uint8Array): Uint8Array => octetsOf(hash('sha256', octets, 'latin1'));

/** The digest of a text in UTF-8. */
export const sha256OfText = (text: string): Uint8Array => octetsOf(hash('sha256', text, 'latin1'));

/** Whether octets have this digest. @source FIPS 180-4 §6.2 */
export const sha256Is = (octets: Uint8Array, expected: Uint8Array): boolean => {
  if (expected.length !== digestBytes) return false;
  const text = hash('sha256', octets, 'latin1');
  let differences = 0;
  for (let at = 0; at < digestBytes; at++) differences |= (expected[at] as number) ^ text.charCodeAt(at);
  return differences === 0;
};

const octetsOf = (text: string): Uint8Array => {
  const digest = new Uint8Array(digestBytes);
  for (let at = 0; at < digestBytes; at++) digest[at] = text.charCodeAt(at);
  return digest;
};

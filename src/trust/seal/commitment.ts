import assert from 'node:assert/strict';
import { base32 } from '#base/base32';
import { ascii, equalBytes } from '#base/bytes';
import { hashBytes, sha256 } from './hash.ts';

/** The fields of a leaf that are salted commitments; `rcp` commits to one recipient inside its tree. */
export type CommittedField = 'msg' | 'pre' | 'env' | 'rcp' | 'ses' | 'aut' | 'evt';

/** octets of a salt */
export const saltBytes = 32;

/**
 * A commitment that hides the content behind its salt and can be opened to the content or to its digest alone.
 *
 * SHA-256("fengni/<field>1\0" ‖ salt ‖ SHA-256(content)).
 *
 * @param digest SHA-256 of the content
 */
export const commit = (field: CommittedField, salt: Uint8Array, digest: Uint8Array): Uint8Array => {
  assert.equal(salt.length, saltBytes);
  assert.equal(digest.length, hashBytes);
  const label = labels[field];
  input.set(label);
  input.set(salt, label.length);
  input.set(digest, label.length + saltBytes);
  return sha256(input.subarray(0, label.length + saltBytes + hashBytes));
};

// Kept, since new octets for each hash would cost more than the hash.
const input = new Uint8Array(128);

/** The commitment to short content; a message's octets are hashed as they arrive and given to `commit`. */
export const commitContent = (field: CommittedField, salt: Uint8Array, content: Uint8Array): Uint8Array =>
  commit(field, salt, sha256(content));

/** Whether a salt and a digest open a commitment. */
export const opens = (
  commitment: Uint8Array,
  field: CommittedField,
  salt: Uint8Array,
  digest: Uint8Array,
): boolean => equalBytes(commitment, commit(field, salt, digest));

/** letters of an id */
export const idLength = 26;

/**
 * The name of a message: 26 lower-case base 32 letters, the first 128 bits of
 * SHA-256("fengni/id1\0" ‖ the leaf's `msg` commitment).
 */
export const messageId = (msg: Uint8Array): string => {
  assert.equal(msg.length, hashBytes);
  input.set(idLabel);
  input.set(msg, idLabel.length);
  return base32(sha256(input.subarray(0, idLabel.length + hashBytes)).subarray(0, 16));
};

/** Whether a text has the form of an id: 26 letters with the last two bits zero. */
export const isMessageId = (text: string): boolean => /^[a-z2-7]{25}[aeimquy4]$/.test(text);

const label = (field: string): Uint8Array => ascii(`fengni/${field}1\0`);
const idLabel = label('id');
const labels: Readonly<Record<CommittedField, Uint8Array>> = {
  msg: label('msg'),
  pre: label('pre'),
  env: label('env'),
  rcp: label('rcp'),
  ses: label('ses'),
  aut: label('aut'),
  evt: label('evt'),
};

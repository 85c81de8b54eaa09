import assert from 'node:assert/strict';
import { hashBytes } from './hash.ts';
import { isKeyName, type Note, parseNote, type SignerKey, signNote } from './note.ts';
import { base64, malformed, parseDecimal, parseHash } from './text.ts';

/** A tree head: the origin names the log, size and root its state. */
export interface Checkpoint {
  readonly origin: string;
  /** leaves */
  readonly size: number;
  /** 32 octets */
  readonly root: Uint8Array;
}

export interface SignedCheckpoint extends Checkpoint {
  readonly note: Note;
}

/** What an origin of this program says. */
export interface OriginParts {
  readonly hostname: string;
  readonly shard: number;
  readonly generation: number;
}

/** Octets of an origin: what fits into a genesis leaf beside size and root. */
export const originBytesMax = 236;

/** `<hostname>/fengni/s<shard>/g<generation>`, also the name of the generation's key. */
export const encodeOrigin = (parts: OriginParts): string => {
  const origin = `${parts.hostname}/fengni/s${parts.shard}/g${parts.generation}`;
  assert(parseOrigin(origin) !== null, 'the hostname can stand in an origin');
  return origin;
};

/** The parts of an origin that `encodeOrigin` writes, or null. */
export const parseOrigin = (origin: string): OriginParts | null => {
  const match = /^([a-z0-9.-]+)\/fengni\/s(0|[1-9][0-9]*)\/g([1-9][0-9]*)$/.exec(origin);
  if (match === null || origin.length > originBytesMax) return null;
  const shard = parseDecimal(match[2] as string);
  const generation = parseDecimal(match[3] as string);
  if (shard === null || generation === null) return null;
  return { hostname: match[1] as string, shard, generation };
};

/**
 * The three lines that a head signs; no extension lines.
 *
 * @source C2SP tlog-checkpoint “Note text”
 */
export const encodeCheckpoint = (head: Checkpoint): string => {
  assert(isKeyName(head.origin), 'an origin without blanks');
  assert(Number.isSafeInteger(head.size) && head.size >= 0);
  assert.equal(head.root.length, hashBytes);
  return `${head.origin}\n${head.size}\n${base64(head.root)}\n`;
};

/** The octets of a signed head. */
export const signCheckpoint = (head: Checkpoint, keys: readonly SignerKey[]): Uint8Array =>
  signNote(encodeCheckpoint(head), keys);

/**
 * Reads a signed head; nothing is verified. Extension lines are allowed and ignored.
 *
 * @throws {FengniError} `note-malformed`, `checkpoint-malformed`
 */
export const parseCheckpoint = (octets: Uint8Array): SignedCheckpoint => {
  const note = parseNote(octets);
  const [origin, size, root, ...extensions] = note.text.slice(0, -1).split('\n');
  if (origin === undefined || origin === '') throw malformed('checkpoint', 'no origin');
  const count = size === undefined ? null : parseDecimal(size);
  if (count === null) throw malformed('checkpoint', 'the size is no decimal up to 2^53 − 1');
  const hash = root === undefined ? null : parseHash(root);
  if (hash === null) throw malformed('checkpoint', 'the root is not 32 octets in base 64');
  if (extensions.some((line) => line === '')) throw malformed('checkpoint', 'an empty extension line');
  return { origin, size: count, root: hash, note };
};

import assert from 'node:assert/strict';
import { equalBytes } from '#base/bytes';
import { FengniError } from '#base/errors';
import { parseCheckpoint, signCheckpoint } from './checkpoint.ts';
import { encodeNote, parseNote, signerKey, verifyNote } from './note.ts';

const key = signerKey('a.example/fengni/s0/g1', new Uint8Array(32).fill(1));
const head = { origin: key.name, size: 12, root: new Uint8Array(32).fill(2) };

export const seeds: Uint8Array[] = [signCheckpoint(head, [key]), signCheckpoint(head, [key, key])];

/** A note is written back octet for octet, and is signed only with the text that was signed. */
export const run = (data: Uint8Array): void => {
  try {
    const note = parseNote(data);
    assert(equalBytes(encodeNote(note), data));
    if (verifyNote(note, key).kind === 'signed') assert.equal(parseCheckpoint(data).size, head.size);
    parseCheckpoint(data);
  } catch (error) {
    assert(error instanceof FengniError, String(error));
    assert(['note-malformed', 'checkpoint-malformed'].includes(error.code));
  }
};

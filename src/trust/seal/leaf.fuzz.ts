import assert from 'node:assert/strict';
import { equalBytes } from '#base/bytes';
import { FengniError } from '#base/errors';
import { emptyRoot } from './hash.ts';
import { encodeLeaf, type Leaf, parseLeaf } from './leaf.ts';

const hash = new Uint8Array(32).fill(1);
const common = { seq: 1, timeMs: 0 };
const six = { msg: hash, pre: hash, env: hash, ses: hash, aut: hash };
const leaves: Leaf[] = [
  { kind: 'received', ...common, ...six, rcp: hash },
  { kind: 'added', ...common, ...six, rcp: emptyRoot },
  { kind: 'hold', ...common, evt: hash },
  { kind: 'genesis', ...common, previous: { origin: 'a/fengni/s0/g1', size: 1, root: hash } },
  { kind: 'frames', ...common, first: 1, last: 2, root: hash },
  { kind: 'segment', ...common, number: 1, revision: 0, sha256: hash },
  { kind: 'gap', ...common, before: 1, after: 2, uids: 3, modSeqs: 4 },
  { kind: 'clock', ...common, beforeMs: 1 },
  { kind: 'day', ...common, count: 1 },
];

export const seeds: Uint8Array[] = leaves.map(encodeLeaf);

/** What is read is written back octet for octet; what is refused is refused by name. */
export const run = (data: Uint8Array): void => {
  let leaf: Leaf;
  try {
    leaf = parseLeaf(data);
  } catch (error) {
    assert(error instanceof FengniError && error.code === 'leaf-malformed', String(error));
    return;
  }
  assert(equalBytes(encodeLeaf(leaf), data));
};

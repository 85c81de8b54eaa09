import assert from 'node:assert/strict';
import fs from 'node:fs';
import path from 'node:path';
import { test } from 'node:test';
import fc from 'fast-check';
import { fromHex, hex } from '#base/bytes';
import { corpora, notRun } from '../../../test/support/corpora.ts';
import {
  CompactRange,
  emptyRoot,
  leafHash,
  makeConsistencyProof,
  makeInclusionProof,
  nodeHash,
  type TreeNode,
  treeRoot,
  verifyConsistency,
  verifyInclusion,
} from './index.ts';

/** the reference tree of the Certificate Transparency projects */
const entries = [
  '',
  '00',
  '10',
  '2021',
  '3031',
  '40414243',
  '5051525354555657',
  '606162636465666768696a6b6c6d6e6f',
];
const hashes = entries.map((entry) => leafHash(fromHex(entry) ?? assert.fail()));

/** RFC 6962 §2.1, word by word */
const mth = (leaves: readonly Uint8Array[]): Uint8Array => {
  if (leaves.length === 0) return emptyRoot;
  if (leaves.length === 1) return leaves[0] as Uint8Array;
  let k = 1;
  while (k * 2 < leaves.length) k *= 2;
  return nodeHash(mth(leaves.slice(0, k)), mth(leaves.slice(k)));
};

const reader = (leaves: readonly Uint8Array[]) => (nodes: readonly TreeNode[]) =>
  nodes.map(({ level, index }) => {
    const own = leaves.slice(index * 2 ** level, (index + 1) * 2 ** level);
    assert.equal(own.length, 2 ** level, 'only complete subtrees are asked for');
    return mth(own);
  });

const someLeaves = (count: number): Uint8Array[] =>
  Array.from({ length: count }, (_, index) => leafHash(Uint8Array.of(index >> 8, index & 255)));

test('the reference tree has the known roots at every size (RFC 6962 §2.1)', () => {
  const range = new CompactRange();
  assert.equal(hex(range.root()), 'e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855');
  const roots = hashes.map((hash) => {
    range.append(hash);
    return hex(range.root());
  });
  assert.deepEqual(roots, [
    '6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d',
    'fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125',
    'aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77',
    'd37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7',
    '4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4',
    '76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef',
    'ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c',
    '5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328',
  ]);
});

test('a compact range has the root of the recursive definition at every size and survives its octets', () => {
  const leaves = someLeaves(300);
  let range = new CompactRange();
  for (const [index, leaf] of leaves.entries()) {
    range.append(leaf);
    if (index % 7 === 0 || index < 40) assert.deepEqual(range.root(), mth(leaves.slice(0, index + 1)));
    range = CompactRange.parse(range.serialise());
  }
  assert.deepEqual(range.root(), treeRoot(leaves));
});

test('a compact range of the wrong length or size is refused', () => {
  const octets = new CompactRange(3, someLeaves(2)).serialise();
  for (const bad of [
    octets.subarray(1),
    octets.subarray(0, 40),
    new Uint8Array(7),
    new Uint8Array(40).fill(255),
  ])
    assert.throws(() => CompactRange.parse(bad), { code: 'compact-range-malformed' });
});

test('every leaf of every small tree has a proof, and the proof fits no other leaf (RFC 6962 §2.1.1)', async () => {
  const leaves = someLeaves(40);
  for (let size = 1; size <= leaves.length; size++) {
    const tree = leaves.slice(0, size);
    const root = mth(tree);
    for (let index = 0; index < size; index++) {
      const proof = await makeInclusionProof(index, size, reader(tree));
      const inclusion = { leafHash: leaves[index] as Uint8Array, index, size, path: proof, root };
      assert(verifyInclusion(inclusion));
      assert(!verifyInclusion({ ...inclusion, leafHash: leafHash(Uint8Array.of(9)) }));
      if (size > 1) assert(!verifyInclusion({ ...inclusion, index: (index + 1) % size }));
      assert(!verifyInclusion({ ...inclusion, path: [...proof, root] }));
      if (proof.length > 0) assert(!verifyInclusion({ ...inclusion, path: proof.slice(1) }));
    }
  }
});

test('every pair of sizes has a consistency proof, and it fits no other root (RFC 6962 §2.1.2)', async () => {
  const leaves = someLeaves(33);
  for (let newSize = 1; newSize <= leaves.length; newSize++) {
    for (let oldSize = 1; oldSize <= newSize; oldSize++) {
      const proof = await makeConsistencyProof(oldSize, newSize, reader(leaves.slice(0, newSize)));
      const oldRoot = mth(leaves.slice(0, oldSize));
      const newRoot = mth(leaves.slice(0, newSize));
      const consistency = { oldSize, oldRoot, newSize, newRoot, path: proof };
      assert(verifyConsistency(consistency), `${oldSize} to ${newSize}`);
      assert(!verifyConsistency({ ...consistency, oldRoot: emptyRoot }));
      assert(!verifyConsistency({ ...consistency, newRoot: emptyRoot }));
      assert(!verifyConsistency({ ...consistency, path: [...proof, newRoot] }));
    }
  }
});

test('sizes beyond 2^32 are handled', async () => {
  const node = leafHash(new Uint8Array(1));
  const size = 2 ** 40 + 5;
  const proof = await makeInclusionProof(2 ** 33 + 1, size, (nodes) => nodes.map(() => node));
  assert.equal(proof.length, 41);
  assert(!verifyInclusion({ leafHash: node, index: 2 ** 33 + 1, size, path: proof, root: node }));
});

test('no changed octet of a proof is accepted', async () => {
  const leaves = someLeaves(23);
  const path = await makeInclusionProof(7, 23, reader(leaves));
  const inclusion = { leafHash: leaves[7] as Uint8Array, index: 7, size: 23, root: mth(leaves) };
  fc.assert(
    fc.property(fc.nat(path.length * 32 - 1), fc.integer({ min: 1, max: 255 }), (at, flip) => {
      const changed = path.map((hash) => hash.slice());
      const hash = changed[Math.floor(at / 32)] as Uint8Array;
      hash[at % 32] = (hash[at % 32] as number) ^ flip;
      assert(!verifyInclusion({ ...inclusion, path: changed }));
    }),
  );
});

interface Probe {
  desc: string;
  wantErr: boolean;
  proof: string[] | null;
  root: string;
  leafHash: string;
  leafIdx: number;
  treeSize: number;
  size1: number;
  size2: number;
  root1: string;
  root2: string;
}

const octets = (text: string): Uint8Array => new Uint8Array(Buffer.from(text ?? '', 'base64'));

test('transparency-dev/merkle: all probes of inclusion and consistency are decided as there', (t) => {
  const folder = corpora('tlog-merkle');
  if (folder === null) return t.skip(notRun);
  let count = 0;
  for (const kind of ['inclusion', 'consistency']) {
    for (const file of fs.readdirSync(path.join(folder, kind), { recursive: true, encoding: 'utf8' })) {
      if (!file.endsWith('.json')) continue;
      const probe = JSON.parse(fs.readFileSync(path.join(folder, kind, file), 'utf8')) as Probe;
      const proof = (probe.proof ?? []).map(octets);
      const good =
        kind === 'inclusion'
          ? verifyInclusion({
              leafHash: octets(probe.leafHash),
              index: probe.leafIdx,
              size: probe.treeSize,
              path: proof,
              root: octets(probe.root),
            })
          : verifyConsistency({
              oldSize: probe.size1,
              oldRoot: octets(probe.root1),
              newSize: probe.size2,
              newRoot: octets(probe.root2),
              path: proof,
            });
      assert.equal(good, !probe.wantErr, `${kind}/${file}: ${probe.desc}`);
      count++;
    }
  }
  assert.equal(count, 196);
});

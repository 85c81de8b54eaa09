import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { ascii, latin1 } from '#base/bytes';
import {
  base64,
  buildRecipientsTree,
  commit,
  commitContent,
  emptyRoot,
  encodeAuthentication,
  encodeEnvelope,
  encodeLeaf,
  encodeOrigin,
  encodeSession,
  encodeVerifierKey,
  eventLeafKinds,
  isMessageId,
  type Leaf,
  leafBytesMax,
  leafHash,
  messageId,
  nodeHash,
  opens,
  parseLeaf,
  parseOrigin,
  sha256,
  signerKey,
  verifyRecipient,
} from './index.ts';

const hash = (octet: number): Uint8Array => new Uint8Array(32).fill(octet);
const timeMs = Date.parse('2026-11-24T01:02:03.456Z');
const longOrigin = `${'a'.repeat(63)}.${'b'.repeat(63)}.${'c'.repeat(63)}.${'d'.repeat(30)}/fengni/s0/g1`;
const common = { seq: Number.MAX_SAFE_INTEGER, timeMs };
const six = { msg: hash(1), pre: hash(2), env: hash(3), ses: hash(5), aut: hash(6) };

/** one of each kind, as long as it gets */
const leaves: Leaf[] = [
  { kind: 'received', ...common, ...six, rcp: hash(4) },
  { kind: 'submitted', ...common, ...six, rcp: hash(4) },
  { kind: 'added', ...common, ...six, rcp: emptyRoot },
  ...eventLeafKinds.map((kind): Leaf => ({ kind, ...common, evt: hash(7) })),
  { kind: 'genesis', ...common, previous: null },
  {
    kind: 'genesis',
    ...common,
    previous: { origin: longOrigin, size: Number.MAX_SAFE_INTEGER, root: hash(8) },
  },
  { kind: 'handover', ...common, key: encodeVerifierKey(signerKey(longOrigin, hash(9))) },
  { kind: 'frames', ...common, first: 0, last: Number.MAX_SAFE_INTEGER, root: hash(8) },
  {
    kind: 'segment',
    ...common,
    number: Number.MAX_SAFE_INTEGER,
    revision: Number.MAX_SAFE_INTEGER,
    sha256: hash(8),
  },
  { kind: 'gap', ...common, before: 1, after: Number.MAX_SAFE_INTEGER, uids: 1_048_576, modSeqs: 2 ** 32 },
  { kind: 'clock', ...common, beforeMs: timeMs + 1 },
  { kind: 'day', ...common, count: 12 },
];

test('a received leaf is exactly this text (docs/formats/leaf.md)', () => {
  const leaf: Leaf = { kind: 'received', seq: 48120, timeMs, ...six, rcp: hash(4) };
  assert.equal(
    latin1(encodeLeaf(leaf)),
    [
      'fengni/leaf@v1',
      'kind received',
      'seq 48120',
      'time 2026-11-24T01:02:03.456Z',
      'msg AQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQE=',
      'pre AgICAgICAgICAgICAgICAgICAgICAgICAgICAgICAgI=',
      'env AwMDAwMDAwMDAwMDAwMDAwMDAwMDAwMDAwMDAwMDAwM=',
      'rcp BAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQ=',
      'ses BQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQU=',
      'aut BgYGBgYGBgYGBgYGBgYGBgYGBgYGBgYGBgYGBgYGBgY=',
      '',
    ].join('\n'),
  );
});

test('a leaf of every kind is read back as written, in at most 400 octets even with the largest values', () => {
  assert.equal(longOrigin.length, 235);
  for (const leaf of leaves) {
    const octets = encodeLeaf(leaf);
    assert(octets.length <= leafBytesMax, leaf.kind);
    assert.deepEqual(parseLeaf(octets), leaf);
  }
});

test('what parseLeaf accepts, encodeLeaf writes octet for octet', () => {
  const texts = leaves.map((leaf) => latin1(encodeLeaf(leaf)));
  const piece = fc.constantFrom('\n', ' ', '0', '1', '=', 'kind', 'seq 1\n', 'A', '\r', 'Z', '-', '\0', 'é');
  const mutant = fc
    .tuple(fc.constantFrom(...texts), fc.nat(400), fc.nat(3), piece)
    .map(([text, at, cut, add]) => text.slice(0, at) + add + text.slice(at + cut));
  fc.assert(
    fc.property(mutant, (text) => {
      const octets = new Uint8Array(Buffer.from(text, 'latin1'));
      let leaf: Leaf;
      try {
        leaf = parseLeaf(octets);
      } catch (error) {
        assert.equal((error as { code?: string }).code, 'leaf-malformed');
        return;
      }
      assert.equal(latin1(encodeLeaf(leaf)), text);
    }),
    { numRuns: 2000 },
  );
});

test('other spellings, orders, kinds and missing or doubled lines are refused', () => {
  const good = latin1(encodeLeaf(leaves[0] as Leaf)).replace(/seq .*/, 'seq 7');
  assert.equal(parseLeaf(ascii(good)).kind, 'received');
  const bad = [
    good.replace('seq 7', 'seq 07'),
    good.replace('seq 7', 'seq 9007199254740992'),
    good.replace('seq 7', 'seq +7'),
    good.replace('seq 7\n', ''),
    good.replace('seq 7\n', 'seq 7\nseq 7\n'),
    good.replace('.456Z', 'Z'),
    good.replace('2026-11-24', '2026-02-30'),
    good.replace('01:02', '24:02'),
    good.replace('received', 'deceived'),
    good.replace('received', 'added'),
    good.replace('received', 'hold'),
    good.replace('AQE=', 'AQF='),
    good.replace('AQE=', 'AQ=='),
    good.replace('leaf@v1', 'leaf@v2'),
    good.replaceAll('\n', '\r\n'),
    good.slice(0, -1),
    `${good}\n`,
    `${good}msg ${base64(hash(1))}\n`,
    good.replace(base64(hash(4)), base64(emptyRoot)),
  ];
  for (const text of bad) assert.throws(() => parseLeaf(ascii(text)), { code: 'leaf-malformed' }, text);
});

test('a commitment is the hash of label, salt and digest, and opens to content or digest alone', () => {
  const content = ascii('Hello\r\n');
  const salt = hash(3);
  const expected = sha256(Buffer.concat([Buffer.from('fengni/msg1\0'), salt, sha256(content)]));
  assert.deepEqual(commitContent('msg', salt, content), expected);
  assert(opens(expected, 'msg', salt, sha256(content)));
  assert(!opens(expected, 'pre', salt, sha256(content)));
  assert(!opens(expected, 'msg', hash(4), sha256(content)));
  assert(!opens(expected, 'msg', salt, sha256(ascii('Hello\n'))));
});

test('an id is 26 letters of base 32 and follows from the msg commitment alone', () => {
  const id = messageId(commit('msg', hash(1), hash(2)));
  assert.match(id, /^[a-z2-7]{26}$/);
  assert(isMessageId(id));
  assert.notEqual(id, messageId(commit('msg', hash(1), hash(3))));
  for (const bad of [id.slice(1), `${id}a`, id.toUpperCase(), `${id.slice(0, 25)}b`])
    assert(!isMessageId(bad));
});

test('an origin names hostname, shard and generation, and nothing else is one of ours', () => {
  const parts = { hostname: 'mail.fengni.test', shard: 0, generation: 12 };
  assert.equal(encodeOrigin(parts), 'mail.fengni.test/fengni/s0/g12');
  assert.deepEqual(parseOrigin(encodeOrigin(parts)), parts);
  for (const bad of [
    'a/fengni/s0/g0',
    'a/fengni/s00/g1',
    'a/fengni/s0/g1/',
    'A/fengni/s0/g1',
    '/fengni/s0/g1',
  ])
    assert.equal(parseOrigin(bad), null, bad);
});

test('evidence texts are exactly these lines, whatever a stranger put into a value', () => {
  assert.equal(
    latin1(encodeEnvelope({ mailFrom: 'a@example.org', parameters: ['SIZE=7', 'BODY=8BITMIME'] })),
    'from <a@example.org>\nparameter SIZE=7\nparameter BODY=8BITMIME\n',
  );
  assert.equal(latin1(encodeEnvelope({ mailFrom: '', parameters: [] })), 'from <>\n');
  assert.equal(
    latin1(
      encodeSession({
        peer: '192.0.2.1',
        port: 40000,
        helo: 'x\npeer 10.0.0.1\\',
        protocol: 'ESMTPS',
        tls: { version: 'TLSv1.3', cipher: 'TLS_AES_256_GCM_SHA384', group: 'X25519' },
        timeMs,
      }),
    ),
    'peer 192.0.2.1\nport 40000\nhelo x\\x0apeer 10.0.0.1\\x5c\nprotocol ESMTPS\ntls TLSv1.3\n' +
      'cipher TLS_AES_256_GCM_SHA384\ngroup X25519\ntime 2026-11-24T01:02:03.456Z\n',
  );
  assert.equal(
    latin1(
      encodeAuthentication({
        results: ['mx.example; none'],
        keys: [{ name: 's._domainkey.example.org', sha256: hash(0) }],
      }),
    ),
    `results mx.example; none\nkey s._domainkey.example.org sha256=${base64(hash(0))}\n`,
  );
});

test('a recipients tree of fewer than 4 leaves is refused: it would tell their number', () => {
  const recipient = { address: 'a@example.org', salt: hash(1) };
  const own = leafHash(commitContent('rcp', recipient.salt, ascii(recipient.address)));
  const path = [hash(2), hash(3)];
  const one = nodeHash(own, hash(2));
  assert(verifyRecipient(nodeHash(one, hash(3)), recipient, { index: 0, path }));
  assert(!verifyRecipient(one, recipient, { index: 0, path: path.slice(0, 1) }));
  assert(!verifyRecipient(own, recipient, { index: 0, path: [] }));
});

test('each recipient can be shown alone, in a tree of 2^n ≥ 4 leaves in random order', async () => {
  let state = 1;
  const random = (lengthBytes: number): Uint8Array =>
    new Uint8Array(lengthBytes).map(() => {
      state = (state * 1103515245 + 12345) % 2 ** 31;
      return state >> 16;
    });
  for (const count of [1, 2, 3, 4, 5, 100]) {
    const recipients = Array.from({ length: count }, (_, index) => ({
      address: `r${index}@example.org`,
      salt: hash(index),
    }));
    const tree = await buildRecipientsTree(recipients, random);
    const levels = Math.max(2, Math.ceil(Math.log2(count)));
    assert.equal(new Set(tree.places.map((place) => place.index)).size, count);
    for (const [index, recipient] of recipients.entries()) {
      const place = tree.places[index] ?? assert.fail();
      assert.equal(place.path.length, levels);
      assert(verifyRecipient(tree.root, recipient, place));
      assert(!verifyRecipient(tree.root, { ...recipient, address: 'x@example.org' }, place));
      assert(!verifyRecipient(tree.root, { ...recipient, salt: hash(200) }, place));
      assert(!verifyRecipient(tree.root, recipient, { ...place, index: place.index ^ 1 }));
      assert(!verifyRecipient(tree.root, recipient, { ...place, path: place.path.slice(1) }));
    }
    if (count === 100)
      assert(
        tree.places.some((place, index) => place.index !== index),
        'the order is not the order given',
      );
  }
});

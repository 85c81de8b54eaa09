import assert from 'node:assert/strict';
import { test } from 'node:test';
import { concat, latin1, utf8 } from '#base/bytes';
import {
  buildReceipt,
  commit,
  commitContent,
  encodeKeyLine,
  encodeLeaf,
  encodeVerifierKey,
  leafHash,
  messageId,
  parseKeyFile,
  parseReceipt,
  receiptBytesMax,
  sha256,
  signCheckpoint,
  signerKey,
  verifyReceipt,
} from './index.ts';

const key = signerKey('mail.fengni.test/fengni/s0/g1', new Uint8Array(32).fill(1));
const salt = new Uint8Array(32).fill(2);

/** A message in a log of one leaf. */
const sealed = (original: Uint8Array, results = 'x; none') => {
  const msg = commit('msg', salt, sha256(original));
  const prefix = utf8(
    `Received: x\r\nAuthentication-Results: x; none\r\nFengni-Seal: id=${messageId(msg)}; o=x\r\n`,
  );
  const ses = utf8('protocol SMTP\n');
  const aut = utf8(`results ${results}\n`);
  const leafOctets = encodeLeaf({
    kind: 'received',
    seq: 1,
    timeMs: 0,
    msg,
    pre: commitContent('pre', salt, prefix),
    env: salt,
    rcp: salt,
    ses: commitContent('ses', salt, ses),
    aut: commitContent('aut', salt, aut),
  });
  const head = { origin: key.name, size: 1, root: leafHash(leafOctets) };
  const parts = {
    leafOctets,
    index: 0,
    path: [],
    checkpoint: signCheckpoint(head, [key]),
    msg: { salt, digest: sha256(original), size: original.length },
    pre: { salt, digest: sha256(prefix), size: prefix.length },
    ses: { salt, text: ses },
    aut: { salt, text: aut },
  };
  return { parts, prefix, mail: concat([prefix, original]) };
};

test('line ends are restored wherever the file is cut into pieces', () => {
  const mebibyte = 1_048_576;
  for (const length of [mebibyte - 3, mebibyte - 2, mebibyte - 1, mebibyte, mebibyte + 1]) {
    const original = utf8(`a\r\n${'x'.repeat(length)}\r\n\r\n${'y'.repeat(mebibyte)}\r\n`);
    const { parts } = sealed(original);
    const receipt = buildReceipt(parts);
    // one LF alone: the whole file is read again, and a CRLF must stay one, also across two pieces
    const copy = utf8(latin1(original).replace('\r\n', '\n'));
    const verdict = verifyReceipt({ receipt, mail: copy, keys: [key] });
    assert(verdict.good, `${length}: ${verdict.failure?.detail}`);
    assert.equal(verdict.facts?.originalAs, 'lf-to-crlf');
  }
});

test('a verdict says what is not covered and how the file was read', () => {
  const { parts, mail, prefix } = sealed(utf8('Subject: x\r\n\r\n'));
  const receipt = buildReceipt(parts);
  const above = utf8('Return-Path: <a@example.org>\r\n');
  const verdict = verifyReceipt({ receipt, mail: concat([above, mail]), keys: [key] });
  assert(verdict.good);
  assert.equal(verdict.facts?.uncoveredBytes, above.length);
  assert.equal(verdict.facts?.originalOffset, above.length + prefix.length);
  assert.equal(verdict.facts?.originalAs, 'stored');
  assert.deepEqual(
    verdict.checks.filter((check) => check.result === 'not-given').map((check) => check.name),
    ['env', 'rcp'],
  );
});

test('a receipt shrinks aut, and only where it must, unless all is asked for', () => {
  const short = sealed(utf8('x'), 'a'.repeat(500)).parts;
  assert.equal(parseReceipt(buildReceipt(short)).openings.aut?.kind, 'text');
  const long = sealed(utf8('x'), 'a'.repeat(5_000)).parts;
  const octets = buildReceipt(long);
  assert(octets.length <= receiptBytesMax);
  const { openings } = parseReceipt(octets);
  assert.deepEqual([openings.aut?.kind, openings.ses?.kind], ['digest', 'text']);
  assert.equal(parseReceipt(buildReceipt({ ...long, full: true })).openings.aut?.kind, 'text');
});

test('no receipt is made of what does not open the leaf', () => {
  const { parts } = sealed(utf8('x'));
  const other = utf8('results y\n');
  for (const bad of [
    { ...parts, aut: { salt, text: other } },
    { ...parts, msg: { ...parts.msg, digest: sha256(other) } },
    { ...parts, pre: { ...parts.pre, salt: sha256(other) } },
    { ...parts, env: { salt, text: other } },
    { ...parts, rcp: { address: 'a@example.org', salt, index: 0, path: [salt, salt] } },
  ])
    assert.throws(() => buildReceipt(bad), { code: 'receipt-inconsistent', exitStatus: 1 });
});

test('a key file names one key a line', () => {
  const next = signerKey('mail.fengni.test/fengni/s0/g2', salt);
  const text = `# keys\n\n${encodeKeyLine(key, 1, 9)}${encodeKeyLine(next, 10, null)}`;
  assert.deepEqual(parseKeyFile(text).map(encodeVerifierKey), [key, next].map(encodeVerifierKey));
  assert.match(encodeKeyLine(key, 1, 9), /^mail\.fengni\.test\/fengni\/s0\/g1\+[0-9a-f]{8}\+\S+ seq 1-9\n$/);
  assert.match(encodeKeyLine(next, 10, null), / seq 10-\n$/);
  for (const bad of ['', '# x\n', 'x\n', `${encodeVerifierKey(key)}\nx\n`])
    assert.throws(() => parseKeyFile(bad), { code: 'key-malformed', exitStatus: 2 });
});

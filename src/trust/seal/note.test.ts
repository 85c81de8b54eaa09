import assert from 'node:assert/strict';
import fs from 'node:fs';
import path from 'node:path';
import { test } from 'node:test';
import fc from 'fast-check';
import { equalBytes, hex, latin1, utf8 } from '#base/bytes';
import { corpora, notRun } from '../../../test/support/corpora.ts';
import {
  cosignatureTime,
  encodeNote,
  encodeSignerKey,
  encodeVerifierKey,
  isKeyName,
  noteSignaturesMax,
  parseCheckpoint,
  parseNote,
  parseProof,
  parseSignerKey,
  parseVerifierKey,
  signCheckpoint,
  signerKey,
  signNote,
  signText,
  verifierKey,
  verifyNote,
} from './index.ts';

const seed = (octet: number): Uint8Array => new Uint8Array(32).fill(octet);
const alice = signerKey('alice.example/log', seed(1));
const bob = signerKey('bob.example/log', seed(2));
const text = 'alice.example/log\n12\nAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQE=\n';

/** the example of the specification */
const vkey = 'example.com/foo+530d903a+AekyeRrm56hApGFkyQR4ZCbV54Id2LKaANYcrnKv3U2k';
const example =
  'This is an example message.\n\n— example.com/foo Uw2QOkn8srV1yJGh2VYRlL1Tnagv1YEq6TfXppzi2ONncAlTgK7Ztg1' +
  'ERYNZXsYjOBH3mFXmRKuwHjG1Yu72IneyaQM=\n';

test('the example of the specification verifies, and one changed letter does not (C2SP signed-note)', () => {
  const key = parseVerifierKey(vkey);
  assert.equal(encodeVerifierKey(key), vkey);
  assert.deepEqual(verifyNote(parseNote(utf8(example)), key), { kind: 'signed' });
  assert.deepEqual(verifyNote(parseNote(utf8(example.replace('This', 'That'))), key), {
    kind: 'bad-signature',
  });
});

test('every verifier key, note and checkpoint in the specifications is read (C2SP)', (t) => {
  const folder = corpora('c2sp-specs');
  if (folder === null) return t.skip(notRun);
  let notes = 0;
  for (const file of ['signed-note.md', 'tlog-checkpoint.md', 'tlog-cosignature.md', 'tlog-proof.md']) {
    const page: string = fs.readFileSync(path.join(folder, file), 'utf8');
    for (const [, block = ''] of page.matchAll(/^```\n(.*?)^```$/gms)) {
      if (!block.includes('\n— ') || block.includes('[...]')) continue;
      const note = parseNote(utf8(block));
      assert.equal(latin1(encodeNote(note)), latin1(utf8(block)));
      if (file !== 'signed-note.md') assert.equal(parseCheckpoint(utf8(block)).size, 20852163);
      notes++;
    }
  }
  assert.equal(notes, 4);
  const signed = fs.readFileSync(path.join(folder, 'signed-note.md'), 'utf8');
  assert(signed.includes(vkey) && signed.includes(example));
  const proof = /^```\n(c2sp\.org\/tlog-proof@v1\n.*?)^```$/ms.exec(
    fs.readFileSync(path.join(folder, 'tlog-proof.md'), 'utf8'),
  )?.[1];
  // the page shortens the extra data to a length that base 64 does not have, and cuts the signatures
  const parsed = parseProof(utf8((proof ?? '').replace(/^extra .*\n/m, '')));
  assert.equal(parsed.index, 73894);
  assert.equal(parsed.path.length, 5);
});

test('keys survive their texts; a key id that does not belong to the key is refused', () => {
  assert.deepEqual(parseSignerKey(encodeSignerKey(alice)), alice);
  assert.match(encodeSignerKey(alice), /^PRIVATE\+KEY\+alice\.example\/log\+[0-9a-f]{8}\+A/);
  const good = encodeVerifierKey(alice);
  for (const bad of [
    good.replace('alice', 'malice'),
    good.slice(0, -1),
    `${good}=`,
    `${good}\n`,
    good.replace(hex(alice.id), hex(alice.id).toUpperCase().replaceAll(/[0-9]/g, 'A')),
    good.replace('log+', 'log +'),
    '',
    '+',
  ])
    assert.throws(() => parseVerifierKey(bad), { code: 'key-malformed' }, bad);
  assert.throws(() => verifierKey('a', new Uint8Array(32).fill(255)), { code: 'key-malformed' });
});

test('lines by unknown keys, or with a known name and another id, are ignored (C2SP signed-note)', () => {
  const other = signerKey(alice.name, seed(3));
  const note = parseNote(signNote(text, [bob, other, alice]));
  assert.equal(note.signatures.length, 3);
  assert.deepEqual(verifyNote(note, alice), { kind: 'signed' });
  assert.deepEqual(verifyNote(parseNote(signNote(text, [bob, other])), alice), { kind: 'not-signed' });
});

test('one bad line of a known key refuses the note, a doubled good one does not (C2SP signed-note)', () => {
  const good = signText(text, alice);
  const bad = { ...good, signature: signText(`x${text}`, alice).signature };
  assert.deepEqual(verifyNote({ text, signatures: [good, good] }, alice), { kind: 'signed' });
  assert.deepEqual(verifyNote({ text, signatures: [good, bad] }, alice), { kind: 'bad-signature' });
  assert.deepEqual(verifyNote({ text, signatures: [bad, good] }, alice), { kind: 'bad-signature' });
  const short = { ...good, signature: good.signature.subarray(1) };
  assert.deepEqual(verifyNote({ text, signatures: [short] }, alice), { kind: 'bad-signature' });
});

test('a witness’s cosignature is over time and text (C2SP tlog-cosignature)', () => {
  const witness = verifierKey('witness.example/w1', alice.publicKey, 'cosignature');
  assert.notDeepEqual(witness.id, alice.id);
  const time = new Uint8Array(8);
  new DataView(time.buffer).setBigUint64(0, 1679315147n);
  const signed = signText(`cosignature/v1\ntime 1679315147\n${text}`, alice);
  const signature = new Uint8Array([...time, ...signed.signature]);
  const note = { text, signatures: [{ name: witness.name, keyId: witness.id, signature }] };
  assert.deepEqual(verifyNote(note, witness), { kind: 'signed' });
  assert.equal(cosignatureTime(note, witness), 1679315147n);
  assert.deepEqual(verifyNote({ ...note, text: `x${text}` }, witness), { kind: 'bad-signature' });
  assert.deepEqual(parseVerifierKey(encodeVerifierKey(witness)), witness);
});

test('a note that breaks the form is refused', () => {
  const good = Buffer.from(signNote(text, [alice])).toString('utf8');
  assert.doesNotThrow(() => parseNote(utf8(good)));
  const line = good.slice(good.indexOf('—'));
  for (const bad of [
    good.slice(0, -1),
    `${good}\n`,
    `${good}x\n`,
    good.replace('\n\n', '\n'),
    good.replace('—', '-'),
    good.replace('— ', '—  '),
    good.replace('12', '1\t2'),
    good.replaceAll('\n', '\r\n'),
    `\n${line}`,
    text,
    `${text}\n`,
    `${text}\n— a b+c=\n`,
    `${text}\n— a AAAAAA==\n`,
    good + line.repeat(noteSignaturesMax),
  ])
    assert.throws(() => parseNote(utf8(bad)), { code: 'note-malformed' }, JSON.stringify(bad));
  assert.throws(() => parseNote(Uint8Array.of(0xff, ...utf8(good))), { code: 'note-malformed' });
});

test('sixteen signatures are accepted (C2SP signed-note “Format”)', () => {
  const keys = Array.from({ length: 16 }, (_, index) => signerKey(`k${index}`, seed(index)));
  assert.equal(parseNote(signNote(text, keys)).signatures.length, 16);
});

test('a checkpoint is three lines; its numbers and hashes have one spelling (C2SP tlog-checkpoint)', () => {
  const head = { origin: alice.name, size: 12, root: new Uint8Array(32).fill(1) };
  const octets = signCheckpoint(head, [alice]);
  const { origin, size, root, note } = parseCheckpoint(octets);
  assert.deepEqual({ origin, size, root }, head);
  assert.equal(note.text, text);
  for (const bad of [
    text.replace('\n12', '\n012'),
    text.replace('\n12', '\n-1'),
    text.replace('\n12', '\n9007199254740993'),
    text.replace('AQE=', 'AQF='),
    text.replace('AQE=\n', '\n'),
    `${alice.name}\n12\n`,
    `${text}\nx\n`,
  ])
    assert.throws(() => parseCheckpoint(signNote(bad, [alice])), { code: 'checkpoint-malformed' }, bad);
});

test('a key name has no blank, no plus and no control character', () => {
  for (const good of ['a', 'example.com/log', '日本', 'x'.repeat(255)]) assert(isKeyName(good));
  for (const bad of ['', 'a b', 'a+b', 'a\u00a0b', 'a\u2003b', 'a\nb', 'a\u0085', 'x'.repeat(256), '\ud800'])
    assert(!isKeyName(bad), JSON.stringify(bad));
});

test('no flipped bit of a signed note is accepted', () => {
  const octets = signNote(text, [alice]);
  fc.assert(
    fc.property(fc.nat(octets.length - 1), fc.nat(7), (at, bit) => {
      const changed = octets.slice();
      changed[at] = (changed[at] as number) ^ (1 << bit);
      try {
        const note = parseNote(changed);
        assert.notEqual(verifyNote(note, alice).kind, 'signed');
        assert(equalBytes(encodeNote(note), changed));
      } catch (error) {
        assert.equal((error as { code?: string }).code, 'note-malformed');
      }
    }),
    { numRuns: 1000 },
  );
});

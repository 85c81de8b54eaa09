/**
 * Makes the receipt vectors beside it: `node test/vectors/seal/make.ts`. Everything is derived from fixed seeds, so that
 * a second run changes no octet. `receipts.json` says what each pair of receipt and mail must give.
 */
import assert from 'node:assert/strict';
import fs from 'node:fs';
import path from 'node:path';
import { ascii, concat, fromLatin1, hex, latin1, utf8 } from '#base/bytes';
import {
  base64,
  buildReceipt,
  buildRecipientsTree,
  CompactRange,
  commit,
  commitContent,
  emptyRoot,
  encodeAuthentication,
  encodeCheckpoint,
  encodeEnvelope,
  encodeKeyLine,
  encodeLeaf,
  encodeSession,
  encodeVerifierKey,
  type Leaf,
  leafHash,
  type MessageLeafKind,
  makeInclusionProof,
  messageId,
  nodeHash,
  parseBase64,
  type ReceiptParts,
  type ReceiptReason,
  type RecipientOpening,
  type SignerKey,
  sha256,
  signCheckpoint,
  signerKey,
  signNote,
  signText,
  type TreeNode,
  treeRoot,
  verifierKey,
} from '#trust/seal';

export interface Vector {
  name: string;
  receipt: string;
  mail: string;
  key: string;
  /** null: the receipt proves the mail */
  failure: { check: string; reason: ReceiptReason } | null;
  prefix: 'good' | 'bad' | 'not-given' | null;
}

export const folder = import.meta.dirname;

const salt = (name: string): Uint8Array => sha256(utf8(`vector salt ${name}`));
const origin = 'mail.fengni.test/fengni/s0/g1';
const key = signerKey(origin, sha256(ascii('vector key 1')));
const nextKey = signerKey('mail.fengni.test/fengni/s0/g2', sha256(ascii('vector key 2')));
const namesake = signerKey(origin, sha256(ascii('vector key 3')));
const witness = signerKey('witness.example/w1', sha256(ascii('vector key 4')));
const timeMs = Date.parse('2026-11-24T01:02:03.456Z');

interface Message {
  leaf: Uint8Array;
  id: string;
  mail: Uint8Array;
  /** where the original begins in the mail */
  prefixBytes: number;
  parts: Omit<ReceiptParts, 'index' | 'path' | 'checkpoint'>;
  recipients: RecipientOpening[];
}

const makeMessage = async (options: {
  name: string;
  kind: MessageLeafKind;
  original: Uint8Array;
  seq: number;
  results?: string;
}): Promise<Message> => {
  const { name, kind, original, seq } = options;
  const digest = sha256(original);
  const msg = commit('msg', salt(`${name} msg`), digest);
  const id = messageId(msg);
  const results = options.results ?? 'mail.fengni.test; spf=pass smtp.mailfrom=example.org; dkim=none';
  const added = kind === 'added';
  const common = added
    ? ''
    : 'Received: from mx.example.org (192.0.2.1) by mail.fengni.test with ESMTPS (TLSv1.3 TLS_AES_256_GCM_SHA384) id ' +
      `${id}; Tue, 24 Nov 2026 01:02:03 +0000\r\nAuthentication-Results: ${results.slice(0, 900)}\r\n` +
      `Fengni-Seal: id=${id}; sha256=${hex(digest)}; o=${origin}\r\n`;
  const own = added
    ? ''
    : 'Return-Path: <a@example.org>\r\nDelivered-To: admin@fengni.test\r\nX-Spam-Score: 0.1\r\n';
  const pre = utf8(common);
  const session = encodeSession({
    peer: '192.0.2.1',
    port: 40000,
    helo: 'mx.example.org',
    protocol: 'ESMTPS',
    tls: { version: 'TLSv1.3', cipher: 'TLS_AES_256_GCM_SHA384', group: 'X25519MLKEM768' },
    timeMs,
  });
  const authentication = encodeAuthentication({
    results: [results],
    keys: [{ name: 's1._domainkey.example.org', sha256: sha256(ascii('v=DKIM1; p=')) }],
  });
  const envelope = added
    ? new Uint8Array(0)
    : encodeEnvelope({ mailFrom: 'a@example.org', parameters: ['SIZE=100'] });
  const addresses = ['admin@fengni.test', 'secret@fengni.test', '李@fengni.test'];
  const given = addresses.map((address) => ({ address, salt: salt(`${name} ${address}`) }));
  let drawn = 0;
  const tree = await buildRecipientsTree(given, (lengthBytes) =>
    sha256(ascii(`${name} random ${drawn++}`)).subarray(0, lengthBytes),
  );
  const leaf = encodeLeaf({
    kind,
    seq,
    timeMs: timeMs + seq,
    msg,
    pre: commitContent('pre', salt(`${name} pre`), pre),
    env: commitContent('env', salt(`${name} env`), envelope),
    rcp: added ? emptyRoot : tree.root,
    ses: commitContent('ses', salt(`${name} ses`), session),
    aut: commitContent('aut', salt(`${name} aut`), authentication),
  });
  return {
    leaf,
    id,
    mail: concat([utf8(own + common), original]),
    prefixBytes: utf8(own + common).length,
    parts: {
      leafOctets: leaf,
      msg: { salt: salt(`${name} msg`), digest, size: original.length },
      pre: { salt: salt(`${name} pre`), digest: sha256(pre), size: pre.length },
      ses: { salt: salt(`${name} ses`), text: session },
      aut: { salt: salt(`${name} aut`), text: authentication },
      env: { salt: salt(`${name} env`), text: envelope },
    },
    recipients: given.map((recipient, index) => ({
      ...recipient,
      ...(tree.places[index] ?? assert.fail()),
    })),
  };
};

/** Everything in `receipts.json` and the files it names. */
export const makeVectors = async (): Promise<{ vectors: Vector[]; files: Map<string, Uint8Array> }> => {
  const oldSeal = `Fengni-Seal: id=aaaaaaaaaaaaaaaaaaaaaaaaaa; sha256=${'0'.repeat(64)}; o=old.example/fengni/s0/g1`;
  const body = ascii(
    `From: a@example.org\r\n${oldSeal}\r\nTo: admin@fengni.test\r\nSubject: Hello\r\n\r\nHello,\r\n\r\nworld.\r\n`,
  );
  const message = await makeMessage({ name: 'one', kind: 'received', original: body, seq: 48120 });
  const empty = await makeMessage({
    name: 'empty',
    kind: 'submitted',
    original: new Uint8Array(0),
    seq: 48121,
  });
  const added = await makeMessage({ name: 'added', kind: 'added', original: message.mail, seq: 48122 });
  const long = await makeMessage({
    name: 'long',
    kind: 'received',
    original: body,
    seq: 48123,
    results: `mail.fengni.test; ${'x'.repeat(3000)}`,
  });
  const config: Leaf = { kind: 'config', seq: 48124, timeMs, evt: salt('evt') };
  const others = (from: number, count: number): Uint8Array[] =>
    Array.from({ length: count }, (_, index) =>
      encodeLeaf({ kind: 'pad', seq: from + index, timeMs, evt: salt(`pad ${index}`) }),
    );
  const entries = [
    ...others(48000, 20),
    message.leaf,
    empty.leaf,
    added.leaf,
    long.leaf,
    encodeLeaf(config),
    ...others(48200, 12),
  ];
  const log = makeLog(entries, [key]);
  const files = new Map<string, Uint8Array>();
  const vectors: Vector[] = [];
  const goodKey = encodeVerifierKey(key);

  const receiptOf = async (of: Message, change: Partial<ReceiptParts> = {}): Promise<string> => {
    const { env: _, ...parts } = of.parts;
    const { index, path: way, checkpoint } = await log.prove(of.leaf);
    return latin1(buildReceipt({ ...parts, index, path: way, checkpoint, ...change }));
  };
  const add = (
    name: string,
    receipt: string,
    mail: string | Uint8Array,
    failure: [check: string, reason: ReceiptReason] | null,
    prefix: Vector['prefix'],
    keyText = goodKey,
  ): void => {
    const mailOctets = typeof mail === 'string' ? fromLatin1(mail) : mail;
    const mailFile = fileFor(files, mailOctets, name, 'eml');
    const receiptFile = fileFor(files, fromLatin1(receipt), name, 'tlog-proof');
    const [check, reason] = failure ?? [];
    vectors.push({
      name,
      receipt: receiptFile,
      mail: mailFile,
      key: keyText,
      failure: check === undefined || reason === undefined ? null : { check, reason },
      prefix,
    });
  };

  const good = await receiptOf(message);
  const mail = latin1(message.mail);
  const original = mail.slice(message.prefixBytes);
  const sealLine = /^Fengni-Seal: id=.*\r\n/m.exec(mail)?.[0] ?? assert.fail();

  // good ones
  add('good', good, mail, null, 'good');
  add('good: the original alone', good, original, null, 'not-given');
  add('good: a copy with LF', good, mail.replaceAll('\r\n', '\n'), null, 'good');
  add('good: the original alone with LF', good, original.replaceAll('\r\n', '\n'), null, 'not-given');
  add(
    'good: a copy with LF in some lines',
    good,
    mail.replace('Hello,\r\n', 'Hello,\n').replace('admin@fengni.test\r\nX-', 'admin@fengni.test\nX-'),
    null,
    'good',
  );
  const mixed = mail.replace('\r\nAuthentication-Results: mail', '\nAuthentication-Results: mail');
  add('good: a copy with LF in one line of the prefix', good, mixed, null, 'good');
  add(
    'good: prefix with LF, original as it is',
    good,
    mail.slice(0, message.prefixBytes).replaceAll('\r\n', '\n') + original,
    null,
    'good',
  );
  add('good: other lines above', good, `From someone\nX-Status: 1\r\n${mail}`, null, 'good');
  add('good: our own lines above removed', good, mail.slice(mail.indexOf('Received:')), null, 'good');
  add(
    'good: our own lines above changed',
    good,
    mail.replace('Return-Path: <a', 'Return-Path: <b'),
    null,
    'good',
  );
  add('good: an empty message', await receiptOf(empty), empty.mail, null, 'good');
  add('good: an added message with an old seal of its own', await receiptOf(added), added.mail, null, 'good');
  add('good: aut as digest', await receiptOf(long), long.mail, null, 'good');
  add('good: aut as text, full', await receiptOf(long, { full: true }), long.mail, null, 'good');
  const withSender = await receiptOf(message, { env: message.parts.env ?? assert.fail() });
  add('good: sender opened', withSender, mail, null, 'good');
  const recipient = message.recipients[2] ?? assert.fail();
  const withRecipient = await receiptOf(message, { rcp: recipient });
  add('good: one recipient opened', withRecipient, mail, null, 'good');
  const noPre = block(good, (text) => text.replace(/^pre \S+ \S+ \d+\n/m, ''));
  add('good: pre not opened', noPre, mail, null, 'not-given');
  const keyFile = `# keys\n${encodeKeyLine(key, 1, 50000)}${encodeKeyLine(nextKey, 50001, null)}`;
  add('good: a key file of two generations', good, mail, null, 'good', keyFile);
  const goodLine = /^— mail\.fengni.*\n/m.exec(utf8Text(good))?.[0] ?? assert.fail();
  const append = (line: string): string => good + latin1(utf8(line));
  add('good: a doubled signature', append(goodLine), mail, null, 'good');
  const witnessLine = signatureOf(log.head, witness);
  add('good: a signature by an unknown key', append(witnessLine), mail, null, 'good');
  add('good: a bad signature by an unknown key', append(flipLetter(witnessLine, 40)), mail, null, 'good');
  add('good: a signature by a namesake', append(signatureOf(log.head, namesake)), mail, null, 'good');
  const single = makeLog([message.leaf], [key]);
  add(
    'good: a log of one leaf',
    await receiptOf(message, await single.prove(message.leaf)),
    mail,
    null,
    'good',
  );
  const extended = makeLog(entries, [key], 'extension\n');
  add(
    'good: a head with an extension line',
    await receiptOf(message, await extended.prove(message.leaf)),
    mail,
    null,
    'good',
  );

  const likeSignature = makeLog(entries, [key], goodLine);
  add(
    'good: a signed extension line that looks like a signature',
    await receiptOf(message, await likeSignature.prove(message.leaf)),
    mail,
    null,
    'good',
  );
  add('good: 32 signature lines', append(witnessLine.repeat(31)), mail, null, 'good');
  const renamed = (name: string): string => witnessLine.replace('witness.example/w1', name);
  add('good: a signature by a name with U+200B', append(renamed('w\u200b')), mail, null, 'good');
  add(
    'good: the key’s line under another name',
    append(goodLine.replace('mail.', 'nail.')),
    mail,
    null,
    'good',
  );
  // trees that no array holds: every sibling is on one side, so that the root is a fold
  const lone = async (
    index: number,
    size: number,
    siblings: number,
    side: 'left' | 'right',
  ): Promise<string> => {
    const way = Array.from({ length: siblings }, (_, level) => sha256(ascii(`sibling ${level}`)));
    const root = way.reduce(
      (below, sibling) => (side === 'left' ? nodeHash(sibling, below) : nodeHash(below, sibling)),
      leafHash(message.leaf),
    );
    const checkpoint = signCheckpoint({ origin, size, root }, [key]);
    return receiptOf(message, { index, path: way, checkpoint });
  };
  const sizeMax = Number.MAX_SAFE_INTEGER;
  const firstOfMax = await lone(0, sizeMax, 53, 'right');
  const lastOfMax = await lone(sizeMax - 1, sizeMax, 52, 'left');
  add('good: the first of 2^53 - 1 leaves', firstOfMax, mail, null, 'good');
  add('good: the last of 2^53 - 1 leaves', lastOfMax, mail, null, 'good');
  add('good: the last of 2^32 + 1 leaves', await lone(2 ** 32, 2 ** 32 + 1, 1, 'left'), mail, null, 'good');

  // the tree
  const bad = (
    name: string,
    receipt: string,
    check: string,
    reason: ReceiptReason,
    keyText = goodKey,
  ): void =>
    add(name, receipt, mail, [check, reason], reason === 'receipt-malformed' ? null : 'good', keyText);
  const lines = good.split('\n');
  const first = 3;
  const swap = [...lines];
  [swap[first], swap[first + 1]] = [swap[first + 1] as string, swap[first] as string];
  bad('swapped siblings', swap.join('\n'), 'inclusion', 'inclusion-wrong');
  bad('a path without its first hash', lines.toSpliced(first, 1).join('\n'), 'inclusion', 'inclusion-wrong');
  const emptyLine = lines.indexOf('');
  bad(
    'a path without its last hash',
    lines.toSpliced(emptyLine - 1, 1).join('\n'),
    'inclusion',
    'inclusion-wrong',
  );
  bad('no path', lines.toSpliced(first, emptyLine - first).join('\n'), 'inclusion', 'inclusion-wrong');
  const extra = lines[first] as string;
  bad(
    'a path with a hash more',
    lines.toSpliced(emptyLine, 0, extra).join('\n'),
    'inclusion',
    'inclusion-wrong',
  );
  bad('a path of 63 hashes', withPath(lines, emptyLine, 63), 'inclusion', 'inclusion-wrong');
  bad('a path of 64 hashes', withPath(lines, emptyLine, 64), 'form', 'receipt-malformed');
  const index = (text: string): string => good.replace('\nindex 20\n', `\nindex ${text}\n`);
  assert.notEqual(index('x'), good);
  bad('another index', index('21'), 'inclusion', 'inclusion-wrong');
  bad('an index beyond the tree', index('37'), 'inclusion', 'inclusion-wrong');
  bad('an index that wraps at 2^32', index(String(2 ** 32 + 20)), 'inclusion', 'inclusion-wrong');
  bad('an index of 2^53', index(String(2 ** 53)), 'form', 'receipt-malformed');
  bad('an index beyond 2^64', index('18446744073709551636'), 'form', 'receipt-malformed');
  for (const text of ['020', '+20', '-20', '20 ', '', '0x14', '２０', '2e1', '20.0'])
    bad(
      `an index written “${text}”`,
      latin1(utf8(utf8Text(index('@')).replace('@', text))),
      'form',
      'receipt-malformed',
    );

  // the head
  const size = (text: string): string => good.replace('\n37\n', `\n${text}\n`);
  bad('another size', size('20'), 'inclusion', 'inclusion-wrong');
  // 37 and 38 leaves give leaf 20 the same path: only the signature says which it was
  bad('a larger size of the same shape', size('38'), 'signature', 'signature-wrong');
  for (const text of ['037', '+37', '37 ', '', '9007199254740992', '18446744073709551653'])
    bad(`a size written “${text}”`, size(text), 'form', 'receipt-malformed');
  const otherRoot = makeLog([...entries, message.leaf], [key]).head;
  bad(
    'the head of another tree',
    good.slice(0, good.indexOf('\n\n') + 2) + latin1(otherRoot.signed),
    'inclusion',
    'inclusion-wrong',
  );
  const rootLine = good.split('\n\n')[1]?.split('\n')[2] ?? assert.fail();
  bad(
    'a root in non-canonical base 64',
    good.replace(rootLine, spareBit(rootLine)),
    'form',
    'receipt-malformed',
  );
  bad(
    'a path hash in non-canonical base 64',
    good.replace(extra, spareBit(extra)),
    'form',
    'receipt-malformed',
  );
  bad('a path hash without padding', good.replace(extra, extra.slice(0, -1)), 'form', 'receipt-malformed');
  bad(
    'an empty extension line',
    good.replace(`${rootLine}\n\n`, `${rootLine}\n\n\n`),
    'form',
    'receipt-malformed',
  );
  bad(
    'an extension line that was not signed',
    good.replace(`${rootLine}\n\n`, `${rootLine}\nx\n\n`),
    'signature',
    'signature-wrong',
  );
  const flipped = latin1(utf8(utf8Text(good).replace(goodLine, flipLetter(goodLine, 40))));
  bad('a changed signature', flipped, 'signature', 'signature-wrong');
  bad('a second, bad signature by the key', append(flipLetter(goodLine, 40)), 'signature', 'signature-wrong');
  bad(
    'a cut signature',
    latin1(utf8(utf8Text(good).replace(goodLine, cutSignature(goodLine)))),
    'signature',
    'signature-wrong',
  );
  bad(
    'a signature with S + L',
    latin1(utf8(utf8Text(good).replace(goodLine, addOrder(goodLine)))),
    'signature',
    'signature-wrong',
  );
  bad(
    'signed by a namesake',
    await receiptOf(message, await makeLog(entries, [namesake]).prove(message.leaf)),
    'signature',
    'not-signed',
  );
  bad('the key of a namesake', good, 'signature', 'not-signed', encodeVerifierKey(namesake));
  bad('the key of another generation', good, 'origin', 'origin-unknown', encodeVerifierKey(nextKey));
  bad(
    'another origin',
    good.replaceAll('mail.fengni.test/', 'evil.fengni.test/'),
    'origin',
    'origin-unknown',
  );
  bad('no signature', latin1(utf8(utf8Text(good).replace(goodLine, ''))), 'form', 'receipt-malformed');
  bad(
    'the key as a witness only',
    good,
    'origin',
    'origin-unknown',
    encodeVerifierKey(verifierKey(key.name, key.publicKey, 'cosignature')),
  );

  // the tree and the head, further
  const pathHashes = lines.slice(first, emptyLine);
  const withSiblings = (siblings: readonly string[]): string =>
    [...lines.slice(0, first), ...siblings, ...lines.slice(emptyLine)].join('\n');
  bad('siblings from the top down', withSiblings(pathHashes.toReversed()), 'inclusion', 'inclusion-wrong');
  bad(
    'the last two siblings swapped',
    withSiblings([...pathHashes.slice(0, -2), ...pathHashes.slice(-2).toReversed()]),
    'inclusion',
    'inclusion-wrong',
  );
  bad('a sibling twice', withSiblings([extra, ...pathHashes.slice(0, -1)]), 'inclusion', 'inclusion-wrong');
  bad('the root as the only sibling', withSiblings([rootLine]), 'inclusion', 'inclusion-wrong');
  bad('a size of 0', size('0'), 'inclusion', 'inclusion-wrong');
  bad('a size of 2^53 - 1', size(String(sizeMax)), 'inclusion', 'inclusion-wrong');
  bad('an index of 2^53 - 1', index(String(sizeMax)), 'inclusion', 'inclusion-wrong');
  bad(
    'the first of 2^53 - 1 leaves as the leaf at 2^32',
    firstOfMax.replace('\nindex 0\n', `\nindex ${2 ** 32}\n`),
    'inclusion',
    'inclusion-wrong',
  );
  bad(
    'the last of 2^53 - 1 leaves without a sibling',
    lastOfMax.replace(/\nindex .*\n.*\n/, (text) => `\n${text.split('\n')[1]}\n`),
    'inclusion',
    'inclusion-wrong',
  );
  for (const text of ['1e309', 'Infinity', 'NaN', '9'.repeat(400)])
    bad(`a size written “${text.slice(0, 20)}”`, size(text), 'form', 'receipt-malformed');
  const relined = (change: (text: string) => string): string =>
    latin1(utf8(utf8Text(good).replace(goodLine, change)));
  bad(
    'a bad signature before the good one',
    relined((line) => flipLetter(line, 40) + line),
    'signature',
    'signature-wrong',
  );
  bad('33 signature lines', append(witnessLine.repeat(32)), 'form', 'receipt-malformed');
  bad(
    'a signature by an unknown key alone',
    relined(() => witnessLine),
    'signature',
    'not-signed',
  );
  bad(
    'signatures by two unknown keys',
    relined(() => witnessLine + signatureOf(log.head, namesake)),
    'signature',
    'not-signed',
  );
  bad(
    'the signature of a namesake under the key’s id',
    relined((line) => {
      const own = parseBase64(line.trimEnd().split(' ')[2] as string) ?? assert.fail();
      return changeSignature(signatureOf(log.head, namesake), (octets) =>
        concat([own.subarray(0, 4), octets.subarray(4)]),
      );
    }),
    'signature',
    'signature-wrong',
  );
  bad(
    'the key’s line under another name alone',
    relined((line) => line.replace('mail.', 'nail.')),
    'signature',
    'not-signed',
  );
  bad(
    'a signature of no octets',
    relined((line) => changeSignature(line, (octets) => octets.subarray(0, 4))),
    'form',
    'receipt-malformed',
  );
  bad(
    'a signature of one octet more',
    relined((line) => changeSignature(line, (octets) => concat([octets, ascii('x')]))),
    'signature',
    'signature-wrong',
  );
  for (const [what, name] of [
    ['a no-break space', 'w\u00a0w'],
    ['a line separator', 'w\u2028w'],
    ['U+0085', 'w\u0085w'],
    ['DEL', 'w\u007fw'],
    ['a plus', 'w+w'],
    ['256 octets', 'w'.repeat(256)],
  ] as const)
    bad(`a signature by a name with ${what}`, append(renamed(name)), 'form', 'receipt-malformed');
  bad('a signature line with a hyphen', append(witnessLine.replace('—', '-')), 'form', 'receipt-malformed');
  bad(
    'a signature line with two blanks',
    append(witnessLine.replace('— ', '—  ')),
    'form',
    'receipt-malformed',
  );
  bad(
    'a signature line with a word more',
    append(witnessLine.replace('\n', ' x\n')),
    'form',
    'receipt-malformed',
  );
  bad(
    'a signature in non-canonical base 64',
    append(`${spareBit(changeSignature(witnessLine, (octets) => octets.subarray(1)).trimEnd())}\n`),
    'form',
    'receipt-malformed',
  );
  bad('a NUL in the head', good.replace(`${rootLine}\n`, `${rootLine}\nx\0\n`), 'form', 'receipt-malformed');
  bad('a head of two lines', good.replace(`\n${rootLine}\n`, '\n'), 'form', 'receipt-malformed');
  bad(
    'a head that is not UTF-8',
    good.replace(`${rootLine}\n`, `${rootLine}\n\xff\n`),
    'form',
    'receipt-malformed',
  );
  bad(
    'a head with a half surrogate in UTF-8',
    good.replace(`${rootLine}\n`, `${rootLine}\n\xed\xa0\x80\n`),
    'form',
    'receipt-malformed',
  );
  const headOf = (name: string, by: SignerKey): string => {
    const text = encodeCheckpoint(log.head).replace(origin, name);
    return good.slice(0, good.indexOf('\n\n') + 2) + latin1(utf8(`${text}\n${lineOf(text, by)}`));
  };
  for (const [what, name] of [
    ['of another host', 'evil.fengni.test/fengni/s0/g1'],
    ['in upper case', origin.toUpperCase()],
    ['that goes on', `${origin}0`],
    ['that ends early', origin.slice(0, -1)],
    ['with a dot at its end', origin.replace('/', './')],
    ['of another shard', origin.replace('s0', 's1')],
  ] as const)
    bad(`an origin ${what}, signed by the key`, headOf(name, key), 'origin', 'origin-unknown');
  bad('the key of another origin signs this one', headOf(origin, nextKey), 'signature', 'not-signed');
  bad('an origin behind a blank', headOf(` ${origin}`, key), 'origin', 'origin-unknown');

  // the form
  bad('trailing garbage', `${good}x`, 'form', 'receipt-malformed');
  bad('a trailing empty line', `${good}\n`, 'form', 'receipt-malformed');
  bad('a leading empty line', `\n${good}`, 'form', 'receipt-malformed');
  bad('CRLF in the receipt', good.replaceAll('\n', '\r\n'), 'form', 'receipt-malformed');
  bad('the last newline missing', good.slice(0, -1), 'form', 'receipt-malformed');
  bad('another version', good.replace('proof@v1', 'proof@v2'), 'form', 'receipt-malformed');
  bad('no extra data', good.replace(/^extra .*\n/m, ''), 'form', 'receipt-malformed');
  bad(
    'doubled extra data',
    good.replace(/^extra .*\n/m, (line) => line + line),
    'form',
    'receipt-malformed',
  );
  bad('an empty file', '', 'form', 'receipt-malformed');
  const inBlock = (name: string, change: (text: string) => string): void => {
    const changed = block(good, change);
    assert.notEqual(changed, good, name);
    bad(name, changed, 'form', 'receipt-malformed');
  };
  inBlock('garbage behind the openings', (text) => `${text}x`);
  inBlock('an empty line behind the openings', (text) => `${text}\n`);
  inBlock('an unknown opening', (text) => `${text}evt ${base64(salt('x'))} digest ${base64(salt('x'))}\n`);
  inBlock('msg not opened', (text) => text.replace(/\n\nmsg .*\n/, '\n\n'));
  inBlock('a doubled opening', (text) => text.replace(/\n\nmsg .*\n/, (line) => line + line.slice(2)));
  inBlock('openings in another order', (text) => text.replace(/\n\n(msg .*\n)(pre .*\n)/, '\n\n$2$1'));
  inBlock('an opening with a word more', (text) => text.replace(/\n\nmsg .*/, '$& 1'));
  inBlock('a length with leading zero', (text) => text.replace(/(\n\nmsg \S+ \S+ )/, '$10'));
  inBlock('a length beyond the text', (text) => text.replace(/ text [0-9]+\n/, ' text 4000\n'));
  inBlock('a huge length', (text) => text.replace(/ text [0-9]+\n/, ' text 9007199254740991\n'));
  inBlock('a length short of the text', (text) => text.replace(/ text [0-9]+\n/, ' text 1\n'));
  inBlock('a salt of 31 octets', (text) =>
    text.replace(/\n\nmsg \S+/, `\n\nmsg ${base64(salt('x').subarray(1))}`),
  );
  inBlock('a leaf of another version', (text) => text.replace('leaf@v1', 'leaf@v2'));
  inBlock('a seq with leading zero', (text) => text.replace('seq 48120', 'seq 048120'));
  inBlock('a day that does not exist', (text) => text.replace('time 2026-11-24', 'time 2026-02-29'));
  inBlock('a leaf without env', (text) => text.replace(/^env \S+\n/m, ''));
  inBlock('a leaf with two msg', (text) => text.replace(/^msg .*\n/m, (line) => line + line));
  inBlock('the leaf of an event', (text) => text.replace('kind received', 'kind config'));
  inBlock('an added leaf with recipients', (text) => text.replace('kind received', 'kind added'));
  inBlock('a receipt of another version', (text) => text.replace('receipt@v1', 'receipt@v2'));
  inBlock('octets that are not UTF-8 in the leaf', (text) => text.replace('kind received', 'kind \xff\xfe'));
  const padded =
    [withSender, withRecipient, noPre].find((text) => /^extra .*=$/m.test(text)) ?? assert.fail();
  bad(
    'extra data in non-canonical base 64',
    block(padded, (text) => text, true),
    'form',
    'receipt-malformed',
  );
  const blanks = good.replace(/^extra ..../m, '$& ');
  bad('a blank in the extra data', blanks, 'form', 'receipt-malformed');

  // the leaf and what opens it
  const changedLeaf = (change: (text: string) => string): string => {
    const changed = block(good, change);
    assert.notEqual(changed, good);
    return changed;
  };
  bad(
    'another time in the leaf',
    changedLeaf((text) => text.replace('time 2026', 'time 2025')),
    'inclusion',
    'inclusion-wrong',
  );
  bad(
    'another seq in the leaf',
    changedLeaf((text) => text.replace('seq 48120', 'seq 48121')),
    'inclusion',
    'inclusion-wrong',
  );
  bad(
    'another kind of leaf',
    changedLeaf((text) => text.replace('kind received', 'kind submitted')),
    'inclusion',
    'inclusion-wrong',
  );
  bad(
    'another session',
    changedLeaf((text) => text.replace('peer 192.0.2.1', 'peer 192.0.2.2')),
    'ses',
    'opening-wrong',
  );
  bad(
    'another result',
    changedLeaf((text) => text.replace('dkim=none', 'dkim=pass')),
    'aut',
    'opening-wrong',
  );
  const saltOfPre = changedLeaf((text) =>
    text.replace(/^pre \S+ (\S+ \d+)$/m, `pre ${base64(salt('x'))} $1`),
  );
  bad('another salt of pre', saltOfPre, 'pre', 'opening-wrong');
  bad(
    'another sender',
    block(withSender, (text) => text.replace('from <a@', 'from <b@')),
    'env',
    'opening-wrong',
  );
  const otherRecipient = block(withRecipient, (text) =>
    text.replace('\xe6\x9d\x8e@fengni', '\xe6\x9d\x8f@fengni'),
  );
  assert.notEqual(otherRecipient, withRecipient);
  bad('another recipient', otherRecipient, 'rcp', 'opening-wrong');
  const movedRecipient = block(withRecipient, (text) =>
    text.replace(/^(rcp \S+) (\d) /m, (_, head: string, place: string) => `${head} ${Number(place) ^ 1} `),
  );
  bad('a recipient at another place', movedRecipient, 'rcp', 'opening-wrong');
  bad(
    'a recipient outside the tree',
    block(withRecipient, (text) => text.replace(/^(rcp \S+) (\d) /m, '$1 4 ')),
    'form',
    'receipt-malformed',
  );
  bad(
    'a recipients tree of one level',
    block(withRecipient, (text) =>
      text.replace(
        /^(rcp \S+ )(\d) 2 (.*\n).*\n/m,
        (_, head: string, _place: string, rest: string) => `${head}0 1 ${rest}`,
      ),
    ),
    'form',
    'receipt-malformed',
  );
  const longerMsg = changedLeaf((text) => text.replace(/(\n\nmsg \S+ \S+ )(\d+)/, '$11$2'));
  bad('another length of the original', longerMsg, 'original', 'size-wrong');
  const shorterPre = changedLeaf((text) =>
    text.replace(/(\npre \S+ \S+ )(\d\d+)/, (_, head: string, count: string) => head + (Number(count) - 1)),
  );
  add('another length of the prefix', shorterPre, mail, ['prefix', 'prefix-changed'], 'bad');
  const emptyMail = latin1(empty.mail);
  add('the receipt of another message', good, emptyMail, ['original', 'original-changed'], 'not-given');
  const otherMsg = block(good, (text) =>
    text.replace(
      /\n\nmsg \S+ \S+ \d+/,
      `\n\nmsg ${base64(empty.parts.msg.salt)} ${base64(empty.parts.msg.digest)} 0`,
    ),
  );
  bad('msg of another message', otherMsg, 'msg', 'opening-wrong');

  inBlock('an index of a recipient beyond 2^53', (text) =>
    text.replace(/\npre .*/, `$&\nrcp ${base64(salt('x'))} 9007199254740992 2 1`),
  );
  const rcpBlock = (change: (text: string) => string): string => {
    const changed = block(withRecipient, change);
    assert.notEqual(changed, withRecipient);
    return changed;
  };
  bad(
    'a recipient at 2^53 - 1',
    rcpBlock((text) => text.replace(/^(rcp \S+) \d /m, `$1 ${sizeMax} `)),
    'form',
    'receipt-malformed',
  );
  bad(
    'a recipients tree of 17 levels',
    rcpBlock((text) => text.replace(/^(rcp \S+ \d) 2 /m, '$1 17 ')),
    'form',
    'receipt-malformed',
  );
  bad(
    'a recipients tree of 2^53 - 1 levels',
    rcpBlock((text) => text.replace(/^(rcp \S+ \d) 2 /m, `$1 ${sizeMax} `)),
    'form',
    'receipt-malformed',
  );
  bad(
    'a recipient of 2^53 - 1 octets',
    rcpBlock((text) => text.replace(/^(rcp \S+ \d 2) \d+$/m, `$1 ${sizeMax}`)),
    'form',
    'receipt-malformed',
  );
  bad(
    'a recipient that is not UTF-8',
    rcpBlock((text) => text.replace('\xe6\x9d\x8e@fengni', '\xe6\x9d\xff@fengni')),
    'form',
    'receipt-malformed',
  );
  bad(
    'swapped siblings of a recipient',
    rcpBlock((text) => text.replace(/^(rcp \S+ \d .*\n)(.*\n)(.*\n)/m, '$1$3$2')),
    'rcp',
    'opening-wrong',
  );
  bad(
    'an original of 2^53 - 1 octets',
    changedLeaf((text) => text.replace(/(\n\nmsg \S+ \S+ )\d+/, `$1${sizeMax}`)),
    'original',
    'size-wrong',
  );
  const preSize = (text: string): string =>
    changedLeaf((whole) => whole.replace(/(\npre \S+ \S+ )\d+/, `$1${text}`));
  add('a prefix of 2^53 - 1 octets', preSize(String(sizeMax)), mail, ['prefix', 'prefix-changed'], 'bad');
  add('a prefix of no octets', preSize('0'), mail, ['prefix', 'prefix-changed'], 'bad');
  bad(
    'a leap second',
    changedLeaf((text) => text.replace(/^time .*$/m, 'time 2016-12-31T23:59:60.000Z')),
    'form',
    'receipt-malformed',
  );
  bad(
    '24 o’clock',
    changedLeaf((text) => text.replace(/^time .*$/m, 'time 2026-11-24T24:00:00.000Z')),
    'form',
    'receipt-malformed',
  );
  bad(
    'a year of five digits',
    changedLeaf((text) => text.replace(/^time .*$/m, 'time +12026-11-24T00:00:00.000Z')),
    'form',
    'receipt-malformed',
  );
  bad(
    'an offset in the time',
    changedLeaf((text) => text.replace(/^time (.*)Z$/m, 'time $1+00:00')),
    'form',
    'receipt-malformed',
  );
  bad(
    'a time of the year 0',
    changedLeaf((text) => text.replace(/^time .*$/m, 'time 0000-02-29T00:00:00.000Z')),
    'inclusion',
    'inclusion-wrong',
  );
  bad(
    'a time that exists in leap years',
    changedLeaf((text) => text.replace(/^time .*$/m, 'time 2028-02-29T23:59:59.999Z')),
    'inclusion',
    'inclusion-wrong',
  );
  bad(
    'a time that does not exist in a year of a century',
    changedLeaf((text) => text.replace(/^time .*$/m, 'time 2100-02-29T00:00:00.000Z')),
    'form',
    'receipt-malformed',
  );
  bad('a byte order mark before the receipt', `\xef\xbb\xbf${good}`, 'form', 'receipt-malformed');
  bad('a CR in the extra data', good.replace(/^extra ..../m, '$&\r'), 'form', 'receipt-malformed');
  bad('a CR behind a path hash', good.replace(extra, `${extra}\r`), 'form', 'receipt-malformed');
  bad(
    'base 64 of another alphabet in the path',
    good.replace(extra, extra.replace(/[+/]|.(?==)/, '_')),
    'form',
    'receipt-malformed',
  );

  // the mail
  const wrongMail = (
    name: string,
    changed: string,
    reason: ReceiptReason,
    prefix: Vector['prefix'],
  ): void => {
    assert.notEqual(changed, mail, name);
    add(name, good, changed, [reason.startsWith('prefix') ? 'prefix' : 'original', reason], prefix);
  };
  wrongMail('a changed octet of the body', mail.replace('world', 'World'), 'original-changed', 'good');
  wrongMail(
    'a changed octet of a header field',
    mail.replace('Subject: H', 'Subject: h'),
    'original-changed',
    'good',
  );
  wrongMail('the last octet missing', mail.slice(0, -1), 'original-changed', 'good');
  wrongMail('a line end more', `${mail}\r\n`, 'original-changed', 'good');
  wrongMail('the original removed', mail.slice(0, message.prefixBytes), 'original-changed', 'good');
  wrongMail('CR CR LF', mail.replaceAll('\r\n', '\r\r\n'), 'original-changed', 'bad');
  wrongMail('CR alone', mail.replaceAll('\r\n', '\r'), 'original-changed', 'not-given');
  wrongMail(
    'one CR lost and one LF doubled',
    mail.replace('Hello,\r\n', 'Hello,\r\n\n'),
    'original-changed',
    'good',
  );
  wrongMail('a changed Received', mail.replace('192.0.2.1)', '192.0.2.9)'), 'prefix-changed', 'bad');
  wrongMail('a changed time in Received', mail.replace('01:02:03 +', '01:02:04 +'), 'prefix-changed', 'bad');
  wrongMail(
    'a changed Authentication-Results',
    mail.replace('dkim=none', 'dkim=pass'),
    'prefix-changed',
    'bad',
  );
  wrongMail('a changed digest in Fengni-Seal', mail.replace('sha256=', 'sha256=0'), 'prefix-changed', 'bad');
  wrongMail(
    'a changed origin in Fengni-Seal',
    mail.replace(sealLine, sealLine.replace('o=mail', 'o=evil')),
    'prefix-changed',
    'bad',
  );
  wrongMail(
    'a changed id in Fengni-Seal',
    mail.replace(`id=${message.id};`, 'id=baaaaaaaaaaaaaaaaaaaaaaaaa;'),
    'original-changed',
    'not-given',
  );
  wrongMail(
    'Fengni-Seal in other letters',
    mail.replace('Fengni-Seal', 'fengni-seal'),
    'original-changed',
    'not-given',
  );
  wrongMail(
    'Fengni-Seal folded',
    mail.replace(`Fengni-Seal: id=${message.id}; sha`, `Fengni-Seal: id=${message.id};\r\n sha`),
    'original-changed',
    'bad',
  );
  wrongMail('Fengni-Seal twice', mail.replace(sealLine, sealLine + sealLine), 'original-changed', 'good');
  wrongMail('Fengni-Seal at the top too', sealLine + mail, 'original-changed', 'bad');
  wrongMail('Fengni-Seal alone', mail.slice(mail.indexOf(sealLine)), 'prefix-changed', 'bad');
  wrongMail(
    'a field between Received and Fengni-Seal',
    mail.replace('\r\nAuth', '\r\nX: 1\r\nAuth'),
    'prefix-changed',
    'bad',
  );
  wrongMail(
    'Authentication-Results removed',
    mail.replace(/^Authentication-Results: mail.*\r\n/m, ''),
    'prefix-changed',
    'bad',
  );
  wrongMail(
    'Received drawn into the line above',
    mail.replace('\r\nReceived:', '\r\nX-Note: Received:'),
    'prefix-changed',
    'bad',
  );
  wrongMail(
    'a field behind Fengni-Seal',
    mail.replace(sealLine, `${sealLine}X: 1\r\n`),
    'original-changed',
    'good',
  );
  wrongMail('an empty file as mail', '', 'original-changed', 'not-given');
  add(
    'an added message with a prefix',
    await receiptOf(added),
    concat([ascii(`Fengni-Seal: id=${added.id}; x\r\n`), added.mail]),
    ['prefix', 'prefix-unexpected'],
    'bad',
  );
  return { vectors, files };
};

const makeLog = (entries: readonly Uint8Array[], keys: readonly SignerKey[], extension = '') => {
  const hashes = entries.map(leafHash);
  const range = new CompactRange();
  for (const hash of hashes) range.append(hash);
  const text = { origin: keys[0]?.name ?? assert.fail(), size: entries.length, root: range.root() };
  let signed = signCheckpoint(text, keys);
  if (extension !== '') signed = signNote(encodeCheckpoint(text) + extension, keys);
  const read = (nodes: readonly TreeNode[]): Uint8Array[] =>
    nodes.map(({ level, index }) => treeRoot(hashes.slice(index * 2 ** level, (index + 1) * 2 ** level)));
  const prove = async (leaf: Uint8Array) => {
    const index = entries.indexOf(leaf);
    return { index, path: await makeInclusionProof(index, entries.length, read), checkpoint: signed };
  };
  return { head: { ...text, signed }, prove };
};

/** One file for equal octets. */
const fileFor = (
  files: Map<string, Uint8Array>,
  octets: Uint8Array,
  name: string,
  ending: string,
): string => {
  for (const [known, content] of files)
    if (known.endsWith(ending) && latin1(content) === latin1(octets)) return known;
  const stem = name
    .normalize('NFKD')
    .replaceAll(/[^A-Za-z0-9+-]+/g, '-')
    .replaceAll(/^-+|-+$/g, '');
  let file = `${stem}.${ending}`;
  for (let count = 2; files.has(file); count++) file = `${stem}-${count}.${ending}`;
  files.set(file, octets);
  return file;
};

/** Changes the text in the extra data, one character an octet. */
const block = (receipt: string, change: (text: string) => string, spare = false): string =>
  receipt.replace(/^extra (.*)$/m, (_, text: string) => {
    const changed = base64(fromLatin1(change(latin1(parseBase64(text) ?? assert.fail()))));
    return `extra ${spare ? spareBit(changed) : changed}`;
  });

/** Sets a bit that base 64 does not use. */
const spareBit = (text: string): string => {
  assert(text.endsWith('='), 'there are spare bits');
  const alphabet = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/';
  return text.replace(/(.)(=+)$/, (_, letter: string, padding: string) => {
    return `${alphabet[alphabet.indexOf(letter) + 1] ?? assert.fail()}${padding}`;
  });
};

/** Another letter, so many from the end. */
const flipLetter = (line: string, fromEnd: number): string => {
  const at = line.length - fromEnd;
  return `${line.slice(0, at)}${line[at] === 'A' ? 'B' : 'A'}${line.slice(at + 1)}`;
};

const changeSignature = (line: string, change: (octets: Uint8Array) => Uint8Array): string =>
  line.replace(/\S+\n$/, (text) => `${base64(change(parseBase64(text.trimEnd()) ?? assert.fail()))}\n`);

const cutSignature = (line: string): string => changeSignature(line, (octets) => octets.subarray(0, -1));

/** S + L satisfies the equation too, but is refused by RFC 8032 §5.1.7. */
const addOrder = (line: string): string =>
  changeSignature(line, (octets) => {
    const order = 2n ** 252n + 27742317777372353535851937790883648493n;
    const s = BigInt(`0x${hex(octets.slice(36).reverse())}`) + order;
    const changed = octets.slice();
    for (let at = 0; at < 32; at++) changed[36 + at] = Number((s >> BigInt(8 * at)) & 255n);
    return changed;
  });

const withPath = (lines: readonly string[], emptyLine: number, length: number): string => {
  const more = length - (emptyLine - 3);
  return lines.toSpliced(emptyLine, 0, ...Array.from({ length: more }, () => lines[3] as string)).join('\n');
};

const signatureOf = (head: { origin: string; size: number; root: Uint8Array }, by: SignerKey): string =>
  lineOf(encodeCheckpoint(head), by);

const lineOf = (text: string, by: SignerKey): string => {
  const line = signText(text, by);
  return `— ${line.name} ${base64(concat([line.keyId, line.signature]))}\n`;
};

const utf8Text = (text: string): string => Buffer.from(text, 'latin1').toString('utf8');

if (process.argv[1] === import.meta.filename) {
  const { vectors, files } = await makeVectors();
  fs.rmSync(path.join(folder, 'receipts'), { recursive: true, force: true });
  fs.mkdirSync(path.join(folder, 'receipts'));
  for (const [file, octets] of files) fs.writeFileSync(path.join(folder, 'receipts', file), octets);
  fs.writeFileSync(path.join(folder, 'receipts.json'), `${JSON.stringify(vectors, null, 2)}\n`);
}

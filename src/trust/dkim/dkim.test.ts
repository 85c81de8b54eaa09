import assert from 'node:assert/strict';
import crypto from 'node:crypto';
import { test } from 'node:test';
import fc from 'fast-check';
import { fromLatin1, latin1, utf8 } from '#base/bytes';
import { storedDns } from '#trust/dns';
import { type DkimSigner, signDkim } from '../../../test/support/sign-dkim.ts';
import { type BodyHash, BodyHashes, type HashName } from './body-hash.ts';
import { type Canonicalization, canonicalField, FieldSelector } from './canonical-header.ts';
import { beginDkim, type DkimOutcome, signaturesMax } from './check-dkim.ts';
import { parseKeyRecord } from './key-record.ts';
import { readRsaKey } from './rsa-key.ts';
import { parseSignature } from './signature.ts';
import { headerFieldsMax, headerOctetsMax, SignedMessage } from './signed-message.ts';
import { parseTagList } from './tag-list.ts';

const nowMs = Date.UTC(2026, 10, 24);
const rsa = crypto.generateKeyPairSync('rsa', { modulusLength: 1024 });
const shortRsa = crypto.generateKeyPairSync('rsa', { modulusLength: 768 });
const ed25519 = crypto.generateKeyPairSync('ed25519');
const rsaRecord = `v=DKIM1; k=rsa; p=${rsa.publicKey.export({ type: 'spki', format: 'der' }).toString('base64')}`;
const edRaw = ed25519.publicKey.export({ format: 'jwk' }).x ?? '';
const edRecord = `v=DKIM1; k=ed25519; p=${Buffer.from(edRaw, 'base64url').toString('base64')}`;

const check = async (
  message: string,
  records: Readonly<Record<string, string | readonly string[]>> | 'silent',
  options: { nowMs?: number; pieces?: readonly number[] } = {},
): Promise<DkimOutcome> => {
  const stored = new Map(
    Object.entries(records === 'silent' ? {} : records).map(([name, text]) => [
      `${name}._domainkey.a.example`,
      (typeof text === 'string' ? [text] : text).map((each) => utf8(each)),
    ]),
  );
  const dns = storedDns(stored, { isWhole: records !== 'silent' });
  let finish: (() => Promise<DkimOutcome>) | undefined;
  const signed = new SignedMessage((header, body) => {
    finish = beginDkim(header, body, { dns, nowMs: options.nowMs ?? nowMs });
  });
  for (const piece of cut(fromLatin1(message), options.pieces ?? [])) signed.write(piece);
  signed.end();
  return (await finish?.()) ?? assert.fail();
};

/** Cuts octets at places given as shares of what is left. */
const cut = (octets: Uint8Array, pieces: readonly number[]): Uint8Array[] => {
  const cuts: Uint8Array[] = [];
  let at = 0;
  for (const length of pieces) {
    cuts.push(octets.subarray(at, at + length));
    at += length;
  }
  return [...cuts, octets.subarray(at)];
};

const sign = async (message: string, signer: Partial<DkimSigner> = {}): Promise<string> =>
  (await signDkim([fromLatin1(message)], {
    domain: 'a.example',
    selector: 's',
    key: rsa.privateKey,
    signedFields: ['From', 'Subject'],
    ...signer,
  })) + message;

const mail = 'From: x@a.example\r\nSubject: s\r\n\r\nHello  there \r\nsecond\r\n\r\n';

const only = async (outcome: Promise<DkimOutcome>) => {
  const { results } = await outcome;
  assert.equal(results.length, 1);
  return results[0] ?? assert.fail();
};

/** Relaxed and simple by the letter of RFC 6376 §3.4.3 and §3.4.4, over the whole body. */
const canonicalBody = (body: string, canonicalization: Canonicalization): string => {
  const lines = body.split('\r\n');
  const clean =
    canonicalization === 'simple'
      ? lines
      : lines.map((line) => line.replace(/[ \t]+/g, ' ').replace(/ $/, ''));
  while (clean.length > 0 && clean.at(-1) === '') clean.pop();
  if (clean.length === 0) return canonicalization === 'simple' ? '\r\n' : '';
  return clean.map((line) => `${line}\r\n`).join('');
};

test('bodies are hashed as RFC 6376 §3.4.3 and §3.4.4 say, in any chunking, with and without l=', () => {
  const octet = fc.constantFrom(' ', '\t', '\r', '\n', '\r\n', '\r\n\r\n', '  ', ' \r\n', 'a', 'b\xff');
  fc.assert(
    fc.property(
      fc.array(octet, { maxLength: 40 }),
      fc.array(fc.nat({ max: 9 }), { maxLength: 12 }),
      fc.option(fc.nat({ max: 60 })),
      (parts, pieces, length) => {
        const body = parts.join('');
        const hashes = new BodyHashes();
        const ways: [Canonicalization, HashName, () => BodyHash | null][] = [];
        for (const canonicalization of ['simple', 'relaxed'] as const)
          for (const hash of ['sha256', 'sha1'] as const)
            ways.push([canonicalization, hash, hashes.want(canonicalization, hash, length)]);
        for (const piece of cut(fromLatin1(body), pieces)) hashes.write(piece);
        hashes.end();
        for (const [canonicalization, hash, result] of ways) {
          const whole = canonicalBody(body, canonicalization);
          const hashed = length === null ? whole : whole.slice(0, length);
          const { digest, bodyOctets, hashedOctets } = result() ?? assert.fail();
          assert.equal(bodyOctets, whole.length);
          assert.equal(hashedOctets, hashed.length);
          assert.equal(
            Buffer.from(digest).toString('hex'),
            crypto.hash(hash, Buffer.from(hashed, 'latin1')),
            `${canonicalization} ${JSON.stringify(body)}`,
          );
        }
      },
    ),
    { numRuns: 2_000 },
  );
});

test('the empty bodies have the hashes that RFC 6376 §3.4.3 and §3.4.4 print', () => {
  const hashes = new BodyHashes();
  const simple = hashes.want('simple', 'sha256', null);
  const relaxed = hashes.want('relaxed', 'sha256', null);
  hashes.end();
  const printed = (result: BodyHash | null): string => Buffer.from(result?.digest ?? []).toString('base64');
  assert.equal(printed(simple()), 'frcCV1k9oG9oKj3dpUqdJg1PxRT2RSN/XKdLCPjaYaY=');
  assert.equal(printed(relaxed()), '47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=');
});

test('a million line ends, and blanks, that end the body are held as a number', () => {
  const hashes = new BodyHashes();
  const relaxed = hashes.want('relaxed', 'sha256', null);
  const simple = hashes.want('simple', 'sha256', null);
  hashes.write(utf8('a\r\n'));
  const lines = utf8(' \t\r\n'.repeat(10_000));
  for (let count = 0; count < 100; count++) hashes.write(lines);
  hashes.end();
  assert.equal(relaxed()?.bodyOctets, 3);
  assert.equal(simple()?.bodyOctets, 3 + 4_000_000);
});

test('header fields are hashed as the example of RFC 6376 §3.4.5 shows', () => {
  assert.equal(canonicalField('A: X', 'relaxed'), 'a:X');
  assert.equal(canonicalField('B : Y\t\r\n\tZ  ', 'relaxed'), 'b:Y Z');
  assert.equal(canonicalField('B : Y\t\r\n\tZ  ', 'simple'), 'B : Y\t\r\n\tZ  ');
  assert.equal(canonicalField('Subject:', 'relaxed'), 'subject:');
  assert.equal(canonicalField('Subject: \r\n ', 'relaxed'), 'subject:');
});

test('of fields with one name h= means the last first, and none where there are no more (RFC 6376 §5.4.2)', () => {
  const field = (raw: string) => ({ name: raw.slice(0, 1), raw });
  const selector = new FieldSelector([field('a:1'), field('b:2'), field('a:3')]);
  assert.equal(selector.select(['a', 'b', 'a', 'a', 'c'], 'simple', -1), 'a:3\r\nb:2\r\na:1\r\n');
  assert.equal(selector.select(['a', 'a'], 'simple', 2), 'a:1\r\n');
});

test('what is signed here verifies, with both keys and all canonicalizations, in any chunking', async () => {
  for (const key of [rsa.privateKey, ed25519.privateKey])
    for (const header of ['simple', 'relaxed'] as const)
      for (const body of ['simple', 'relaxed'] as const) {
        const message = await sign(mail, { key, header, body });
        const record = key === rsa.privateKey ? rsaRecord : edRecord;
        for (const pieces of [[], new Array<number>(message.length).fill(1)]) {
          const result = await only(check(message, { s: record }, { pieces }));
          assert.equal(result.result, 'pass', result.reason ?? '');
          assert.equal(result.domain, 'a.example');
          assert.equal(latin1(result.key?.record ?? new Uint8Array()), record);
        }
      }
});

test('an octet that is altered anywhere in what is signed makes it fail, with the reason', async () => {
  const message = await sign(mail, { header: 'simple', body: 'simple' });
  const start = message.indexOf('From: ');
  for (let at = start; at < message.length - 4; at++) {
    const octets = Buffer.from(message, 'latin1');
    octets[at] = (octets[at] ?? 0) ^ 0x80;
    const { result, reason } = await only(check(octets.toString('latin1'), { s: rsaRecord }));
    assert.notEqual(result, 'pass', `octet ${at}`);
    assert.match(reason ?? '', /was altered|one of them was altered/);
  }
});

test('a field that was added counts where h= names it once more than it was there (RFC 6376 §8.15)', async () => {
  const once = await sign(mail);
  const twice = await sign(mail, { signedFields: ['From', 'Subject', 'Subject'] });
  const add = (message: string): string => `Subject: other\r\n${message}`;
  assert.equal((await only(check(add(once), { s: rsaRecord }))).result, 'pass');
  assert.equal((await only(check(add(twice), { s: rsaRecord }))).result, 'fail');
});

test('l= that leaves part of the body out is policy, one that is too long fails (RFC 6376 §3.5, §8.2)', async () => {
  const whole = await sign(mail, { length: 21 });
  assert.match(whole, / l=21;/);
  assert.equal((await only(check(whole, { s: rsaRecord }))).result, 'pass');
  const part = await only(check(`${whole.slice(0, -2)}more\r\n`, { s: rsaRecord }));
  assert.equal(part.result, 'policy');
  assert.match(part.reason ?? '', /l= leaves 6 octets of the body unsigned/);
  assert.equal((await only(check(await sign(mail, { length: 0 }), { s: rsaRecord }))).result, 'policy');
  const long = await sign(mail, { length: 99 });
  assert.match(
    (await only(check(long, { s: rsaRecord }))).reason ?? '',
    /l= signs 99 octets, the body has 21/,
  );
});

test('x= in the past and t= in the future are policy (RFC 6376 §3.5)', async () => {
  const at = nowMs / 1000;
  const past = await sign(mail, { tags: [`t=${at - 100}`, `x=${at - 50}`] });
  assert.match((await only(check(past, { s: rsaRecord }))).reason ?? '', /expired/);
  assert.equal((await only(check(past, { s: rsaRecord }, { nowMs: nowMs - 60_000 }))).result, 'pass');
  const future = await sign(mail, { tags: [`t=${at + 200_000}`] });
  assert.equal((await only(check(future, { s: rsaRecord }))).result, 'policy');
});

test('i= may be below d=, but not with a key for d= alone, and nowhere else (RFC 6376 §3.5)', async () => {
  const below = await sign(mail, { tags: ['i=x=20y@b.a.example'] });
  const result = await only(check(below, { s: rsaRecord }));
  assert.equal(result.result, 'pass');
  assert.equal(result.identity, 'x y@b.a.example');
  assert.match(
    (await only(check(below, { s: rsaRecord.replace('k=', 't=s; k=') }))).reason ?? '',
    /the key is for d= alone/,
  );
  for (const identity of [
    '@xa.example',
    '@a.example.evil.example',
    'x',
    '@example',
    '@a.example@evil.example',
    '@',
  ]) {
    const message = await sign(mail, { tags: [`i=${identity}`] });
    const { result: word, reason } = await only(check(message, { s: rsaRecord }));
    assert.equal(word, 'permerror', identity);
    assert.match(reason ?? '', /i= is not within d=/);
  }
});

test('keys that are short, revoked, missing, doubled or for something else never pass (RFC 6376 §6.1.2, RFC 8301)', async () => {
  const message = await sign(mail);
  const shortMail = await sign(mail, { key: shortRsa.privateKey });
  const shortRecord = `p=${shortRsa.publicKey.export({ type: 'spki', format: 'der' }).toString('base64')}`;
  const cases: [string, string, Record<string, string | string[]> | 'silent', RegExp][] = [
    [message, 'temperror', 'silent', /could not be looked up: the answer was not kept/],
    [message, 'permerror', {}, /no key record/],
    [message, 'permerror', { s: 'v=DKIM1; p=' }, /revoked/],
    [message, 'permerror', { s: 'v=DKIM1; p=AA' }, /no RSA key/],
    [message, 'permerror', { s: [rsaRecord, rsaRecord] }, /several key records/],
    [message, 'permerror', { s: edRecord }, /the key is for ed25519, the signature is rsa-sha256/],
    [message, 'permerror', { s: rsaRecord.replace('k=', 'h=sha1; k=') }, /not for the hash sha256/],
    [message, 'permerror', { s: rsaRecord.replace('k=', 's=tlsrpt; k=') }, /not for mail/],
    [message, 'permerror', { s: rsaRecord.replace('DKIM1', 'DKIM2') }, /version DKIM2/],
    [shortMail, 'policy', { s: shortRecord }, /768 bits proves nothing/],
  ];
  for (const [octets, word, records, reason] of cases) {
    const result = await only(check(octets, records));
    assert.equal(result.result, word, reason.source);
    assert.match(result.reason ?? '', reason);
  }
  // Somebody else's TXT record beside the key is passed over.
  assert.equal((await only(check(message, { s: ['v=spf1 -all', rsaRecord] }))).result, 'pass');
  const testing = await only(check(message, { s: rsaRecord.replace('k=', 't=y; k=') }));
  assert.deepEqual([testing.result, testing.isTesting], ['pass', true]);
});

test('of thousands of signatures sixteen are checked, and the others counted', async () => {
  const message = await sign(mail);
  const field = message.slice(0, message.indexOf('From: '));
  const { results, uncheckedCount } = await check(field.repeat(3_000) + mail, { s: rsaRecord });
  assert.equal(results.length, signaturesMax);
  assert.equal(uncheckedCount, 3_000 - signaturesMax);
});

test('a header that passes a limit is not checked, and no signature in it passes', async () => {
  const message = await sign(mail);
  for (const [padding, limit] of [
    [`X: ${'x'.repeat(headerOctetsMax)}\r\n`, /octets/],
    ['X:\r\n'.repeat(headerFieldsMax), /fields/],
  ] as const) {
    let limitTold: string | null = null;
    const signed = new SignedMessage((header) => {
      limitTold = header.limit;
      assert.deepEqual(header.fields, []);
    });
    signed.write(fromLatin1(message.slice(0, message.indexOf('From: ')) + padding + mail));
    signed.end();
    assert.match(limitTold ?? '', limit);
  }
});

test('a signature field is read strictly: what is missing, doubled or unknown is named (RFC 6376 §6.1.1)', async () => {
  const message = await sign(mail);
  const raw = message.slice(0, message.indexOf('\r\nFrom: '));
  assert.equal(parseSignature(raw, 'dkim').kind, 'signature');
  const cases: [string | RegExp, string, RegExp][] = [
    ['v=1;', '', /v= is missing/],
    ['v=1', 'v=2', /version 2/],
    ['a=rsa-sha256', 'a=rsa-md5', /algorithm rsa-md5/],
    ['d=a.example', 'd=a..example', /d= is no domain name/],
    ['d=a.example', `d=${'a.'.repeat(600)}example`, /d= is no domain name/],
    ['s=s;', 's=s;s=t;', /s= comes twice/],
    ['s=s;', 's=s t;', /s= is no selector/],
    ['s=s;', 's=;', /s= is no selector/],
    ['h=From:', 'h=', /does not sign From/],
    ['h=From:', 'h=From:\xff:', /no list of field names/],
    ['h=From:', `h=From:${'a:'.repeat(1_000)}`, /more than 1000 names/],
    ['c=relaxed/relaxed', 'c=relaxed/relaxed/relaxed', /canonicalization/],
    ['c=relaxed/relaxed', 'c=nofws', /canonicalization/],
    [/bh=[^;]*/, 'bh=AAAA', /as long as its hash/],
    [/ b=.*/s, ' b=', /b= is no base 64/],
    [/ b=.*/s, ` b=${'A'.repeat(4_000)}`, /longer than any key/],
    ['s=s;', 's=s;q=http;', /q= has no method/],
    ['s=s;', 's=s;l=-1;', /l= is no number/],
    ['s=s;', 's=s;t=1;x=0;', /x= is before t=/],
    ['s=s;', 's=s;=;', /no tag name/],
    ['s=s;', 's=s;;', /a tag is empty/],
    ['s=s;', `s=s;${Array.from({ length: 200 }, (_, at) => `z${at}=;`).join('')}`, /more than 100 tags/],
    ['s=s;', 's=s\x01;', /characters that no value may have/],
  ];
  for (const [from, to, why] of cases) {
    const broken = raw.replace(from, to);
    assert.notEqual(broken, raw);
    const parsed = parseSignature(broken, 'dkim');
    assert.equal(parsed.kind, 'broken', why.source);
    assert.match(parsed.kind === 'broken' ? parsed.why : '', why);
  }
});

test('domains with U-labels and underscores are taken (RFC 8616 §4)', () => {
  const raw = (domain: string, selector: string): string =>
    `DKIM-Signature: v=1; a=rsa-sha256; d=${latin1(utf8(domain))}; s=${latin1(utf8(selector))}; h=from; bh=${'A'.repeat(43)}=; b=AAAA`;
  const claims = (text: string): string => {
    const parsed = parseSignature(text, 'dkim');
    return parsed.kind === 'signature'
      ? `${parsed.signature.selector} ${parsed.signature.domain}`
      : parsed.why;
  };
  assert.equal(claims(raw('例子.测试', '选')), 'xn--483a xn--fsqu00a.xn--0zwm56d');
  assert.equal(claims(raw('A.Example', 'S_1.b')), 's_1.b a.example');
  assert.match(claims('DKIM-Signature: v=1; a=rsa-sha256; d=\xff; s=s; h=from; bh=A; b=AAAA'), /bh=|d=/);
});

const integer = (octets: readonly number[]): number[] => [2, ...derLength(octets.length), ...octets];
const derLength = (length: number): number[] => (length < 128 ? [length] : [0x82, length >> 8, length & 255]);
const rsaDer = (modulus: readonly number[], exponent: readonly number[]): string => {
  const content = [...integer(modulus), ...integer(exponent)];
  return Buffer.from([0x30, ...derLength(content.length), ...content]).toString('base64');
};

test('RSA keys with absurd sizes and exponents are refused before anything computes with them', () => {
  const modulus = (octets: number): number[] => [0, 0x80, ...new Array<number>(octets - 3).fill(1), 1];
  const problem = (p: string): string => {
    const parsed = parseKeyRecord(utf8(`p=${p}`));
    return parsed.kind === 'problem' ? `${parsed.problem}: ${parsed.why}` : 'key';
  };
  assert.equal(problem(rsaDer(modulus(129), [1, 0, 1])), 'key');
  assert.equal(problem(rsaDer(modulus(1_025), [1, 0, 1])), 'key');
  assert.match(problem(rsaDer(modulus(33), [1, 0, 1])), /^size: .* 256 bits/);
  assert.match(problem(rsaDer(modulus(2_000), [1, 0, 1])), /^size: .* 15992 bits/);
  for (const exponent of [[1], [0], [2], [1, 0, 0], [1, 0, 0, 0, 1], new Array<number>(200).fill(1)])
    assert.match(problem(rsaDer(modulus(129), exponent)), /^key: /);
  assert.match(problem(rsaDer([...modulus(129).slice(0, -1), 2], [1, 0, 1])), /absurd/);
  assert.match(problem(rsaDer([0], [1, 0, 1])), /^key: /);
  assert.match(problem(`${rsaDer(modulus(129), [1, 0, 1])}AAAA`), /^key: /);
  assert.match(problem('A'.repeat(16_400)), /more than 16384 octets/);
  assert.equal(readRsaKey(new Uint8Array()), null);
  assert.equal(readRsaKey(Uint8Array.of(0x30, 0x84, 255, 255, 255, 255)), null);
});

test('tag lists: what is written is read, and nothing is read twice (RFC 6376 §3.2)', () => {
  const name = fc.stringMatching(/^[a-z][a-z0-9_]{0,9}$/);
  const value = fc.stringMatching(/^([!-:<-~]( [!-:<-~]){0,4})?$/);
  const blank = fc.constantFrom('', ' ', '\r\n ', '\t');
  fc.assert(
    fc.property(
      fc.uniqueArray(name, { minLength: 1, maxLength: 12 }),
      fc.infiniteStream(value),
      fc.infiniteStream(blank),
      (names, values, blanks) => {
        const next = <T>(stream: Iterator<T>): T => stream.next().value;
        const pairs = names.map((each) => [each, next(values)] as const);
        const text = pairs
          .map(
            ([tag, content]) =>
              `${next(blanks)}${tag}${next(blanks)}=${next(blanks)}${content}${next(blanks)}`,
          )
          .join(';');
        const parsed = parseTagList(`${text}${next(blanks)}`);
        assert.equal(parsed.kind, 'tags');
        if (parsed.kind === 'tags')
          assert.deepEqual(
            [...parsed.tags].map(([tag, { value: content }]) => [tag, content]),
            pairs,
          );
        const first = names[0] ?? '';
        assert.equal(parseTagList(`${text};${first}=`).kind, 'broken');
      },
    ),
  );
});

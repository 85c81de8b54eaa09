import assert from 'node:assert/strict';
import crypto from 'node:crypto';
import { test } from 'node:test';
import { fromLatin1, utf8 } from '#base/bytes';
import { type SignedField, SignedMessage } from '#trust/dkim';
import type { Dns } from '#trust/dns';
import { storedDns } from '#trust/dns';
import { sealArc } from '../../../test/support/seal-arc.ts';
import { arcSetsMax, collectArcSets } from './arc-set.ts';
import { type ArcResult, beginArc } from './check-arc.ts';

const field = (raw: string): SignedField => ({ name: raw.slice(0, raw.indexOf(':')).toLowerCase(), raw });

const set = (instance: number, cv = instance === 1 ? 'none' : 'pass'): string[] => [
  `ARC-Seal: i=${instance}; a=rsa-sha256; cv=${cv}; d=a.example; s=s; b=AAAA`,
  `ARC-Message-Signature: i=${instance}; a=rsa-sha256; c=relaxed/relaxed; d=a.example; s=s; h=from; bh=${'A'.repeat(43)}=; b=AAAA`,
  `ARC-Authentication-Results: i=${instance}; mx.a.example; dmarc=pass header.from=b.example`,
];

const sets = (count: number): string[] => Array.from({ length: count }, (_, at) => set(count - at)).flat();

const why = (fields: readonly string[]): string => {
  const collected = collectArcSets(fields.map(field));
  return collected.kind === 'broken' ? collected.why : collected.kind;
};

const check = async (fields: readonly string[], dns: Dns): Promise<ArcResult> => {
  let finish: (() => Promise<ArcResult>) | undefined;
  const message = new SignedMessage((header, body) => {
    finish = beginArc(header, body, { dns });
  });
  message.write(fromLatin1(`${[...fields, 'From: x@b.example'].join('\r\n')}\r\n\r\nbody\r\n`));
  message.end();
  return (await finish?.()) ?? assert.fail();
};

/** DNS that answers nothing and notes what it was asked. */
const silent = (asked: string[]): Dns => ({
  ...storedDns(new Map()),
  txt: async (name) => {
    asked.push(name);
    return { kind: 'unavailable', why: 'timeout' };
  },
});

test('a chain has each field of each set once, from 1 on without a gap (RFC 8617 §4.2, §5.2)', () => {
  assert.equal(why([]), 'none');
  assert.equal(why(sets(1)), 'sets');
  assert.equal(why(sets(arcSetsMax)), 'sets');
  assert.match(why([...set(3), ...set(1)]), /ARC-Authentication-Results and .* 2 is missing/);
  assert.match(why([...sets(2), ...set(1)]), /1 is there twice/);
  assert.match(why(set(1).slice(0, 2)), /ARC-Authentication-Results 1 is missing/);
  assert.match(why(set(1, 'pass')), /cv=pass cannot be/);
  assert.match(why([...set(2, 'none'), ...set(1)]), /ARC-Seal 2: cv=none cannot be/);
  assert.match(why([...set(2, 'fail'), ...set(1)]), /found the chain broken/);
});

test('a thousand sets, instances beyond 50 and fields without end fail at once', async () => {
  assert.match(why(sets(1_000)), /no instance from 1 to 50/);
  assert.match(why(set(51)), /no instance from 1 to 50/);
  assert.match(why(set(1).map((raw) => raw.replace('i=1', 'i=01'))), /no instance/);
  assert.match(why([`ARC-Seal: i=1; x=${'a'.repeat(300_000)}`]), /more than 262144 octets/);
  const asked: string[] = [];
  const dns = silent(asked);
  assert.equal((await check(sets(1_000), dns)).result, 'fail');
  assert.deepEqual(asked, []);
});

test('keys that cannot be looked up make a temperror, and a forged chain costs no more than its last set', async () => {
  const asked: string[] = [];
  const dns = silent(asked);
  const chain = Array.from({ length: 50 }, (_, at) =>
    set(50 - at).map((raw) => raw.replace('s=s', `s=s${50 - at}`)),
  ).flat();
  const result = await check(chain, dns);
  assert.equal(result.result, 'temperror');
  assert.match(result.reason ?? '', /could not be looked up: timeout/);
  assert.deepEqual(asked, ['s50._domainkey.a.example']);
  const gone = await check(sets(2), storedDns(new Map(), { isWhole: true }));
  assert.equal(gone.result, 'fail');
  assert.match(gone.reason ?? '', /there is no key record/);
});

const key = crypto.generateKeyPairSync('ed25519');
const record = `k=ed25519; p=${Buffer.from(key.publicKey.export({ format: 'jwk' }).x ?? '', 'base64url').toString('base64')}`;
const keys = storedDns(new Map([['s._domainkey.a.example', [utf8(record)]]]), { isWhole: true });

test('what is sealed here holds, set upon set, until an octet is altered (RFC 8617 §5.1)', async () => {
  const lines = (message: string): string[] =>
    message.slice(0, message.indexOf('\r\n\r\n')).split(/\r\n(?![ \t])/);
  let message = 'Subject: s\r\nFrom: x@b.example\r\n\r\nbody\r\n';
  let result: ArcResult = await check(['Subject: s'], keys);
  for (let count = 1; count <= 3; count++) {
    const fields = await sealArc([fromLatin1(message)], {
      domain: 'a.example',
      selector: 's',
      key: key.privateKey,
      signedFields: ['From', 'Subject'],
      results: 'mx.a.example; dmarc=pass header.from=b.example',
      chain: result,
      nowSeconds: 1_800_000_000,
    });
    message = (fields ?? assert.fail()) + message;
    result = await check(
      lines(message).filter((line) => !line.startsWith('From')),
      keys,
    );
    assert.deepEqual([result.result, result.reason], ['pass', null]);
    assert.equal(result.sealers.length, count);
    const altered = message.replace('dmarc=pass', 'dmarc=fail');
    assert.equal(
      (
        await check(
          lines(altered).filter((line) => !line.startsWith('From')),
          keys,
        )
      ).result,
      'fail',
    );
  }
  const broken = await sealArc([fromLatin1(message.replace('Subject: s', 'Subject: t'))], {
    domain: 'a.example',
    selector: 's',
    key: key.privateKey,
    signedFields: ['From', 'Subject'],
    results: 'mx.a.example; none',
    chain: { result: 'fail' },
    nowSeconds: 1_800_000_000,
  });
  assert.match(broken ?? '', /^ARC-Seal: i=4; .* cv=fail;/);
});

import assert from 'node:assert/strict';
import { fromLatin1, latin1 } from '#base/bytes';
import { SignedMessage } from '#trust/dkim';
import { arcSetsMax, collectArcSets } from './arc-set.ts';

const set = (instance: number): string =>
  `ARC-Seal: i=${instance}; a=rsa-sha256; cv=${instance === 1 ? 'none' : 'pass'}; d=a.example; s=s; b=AAAA\r\n` +
  `ARC-Message-Signature: i=${instance}; a=rsa-sha256; d=a.example; s=s; h=from; bh=A; b=AAAA\r\n` +
  `ARC-Authentication-Results: i=${instance}; mx.a.example; dmarc=pass\r\n`;

export const seeds: Uint8Array[] = [
  fromLatin1(set(1)),
  fromLatin1(set(2) + set(1)),
  fromLatin1(`${set(50)}From: x\r\n\r\n`),
];

/** Sets come in their order, each whole, or not at all. */
export const run = (data: Uint8Array): void => {
  const message = new SignedMessage(({ fields }) => {
    const collected = collectArcSets(fields);
    if (collected.kind !== 'sets') return;
    assert(collected.sets.length >= 1 && collected.sets.length <= arcSetsMax);
    for (const [at, each] of collected.sets.entries()) {
      assert.equal(each.instance, at + 1);
      assert.match(each.domain, /^[a-z0-9._-]+$/);
      for (const { index, raw } of [each.seal, each.messageSignature, each.resultsField])
        assert.equal(fields[index]?.raw, raw);
      assert(latin1(data).includes(each.seal.raw));
    }
  });
  message.write(data);
  message.end();
};

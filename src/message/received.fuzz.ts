import assert from 'node:assert/strict';
import { parseReceived, receivedLimits } from './index.ts';

export const seeds: Uint8Array[] = [
  'from a (b [192.0.2.1]) by c (Postfix) with ESMTPS id 1 for <d@e>; Thu, 15 Feb 2007 01:02:03 +0200 (EET)',
  'by 2002:a05:: with SMTP id x; Wed, 14 Feb 2007 17:02:03 -0800',
  '(qmail 1 invoked by uid 89); 15 Feb 2007 01:02:03 -0000',
  'from "a;\\" by" (x (y) \\)) by z via w with id 7; odd; 2007-02-15',
].map((text) => Buffer.from(text));

/** Any field is read; what is shown is one bounded line without controls. */
export const run = (data: Uint8Array): void => {
  const { date, ...texts } = parseReceived(Buffer.from(data).toString('latin1'));
  if (date !== null) assert.ok(Number.isFinite(date.epochMs));
  for (const text of Object.values(texts)) {
    if (text === null) continue;
    assert.ok(text.length <= receivedLimits.valueLengthMax && text.isWellFormed());
    assert.doesNotMatch(text, /\p{Cc}|[\u202a-\u202e\u2066-\u2069]/u);
  }
};

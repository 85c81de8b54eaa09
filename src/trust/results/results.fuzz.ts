import assert from 'node:assert/strict';
import { parseResults, resultsLimits } from './parse-results.ts';
import { encodeResult } from './results.ts';

export const seeds: Uint8Array[] = [
  'mx.example.org; dkim=pass reason="x \\" y" header.d=example.com header.i=@example.com header.b="a/b"',
  'foo.example.net (foobar) 1 (baz); dkim (a) / 1 (b) = (c) fail policy (d) . (e) expired (f) = (g) 1362471462; spf=none',
  'a 1; none',
].map((text) => Buffer.from(text));

/** Never throws; what was read is written and read again as the same. */
export const run = (data: Uint8Array): void => {
  const read = parseResults(Buffer.from(data).toString('utf8'));
  if (read === null) return;
  assert(read.results.length <= resultsLimits.resultsMax);
  for (const result of read.results) {
    const value = encodeResult(read.authservId, result);
    // biome-ignore lint/suspicious/noControlCharactersInRegex: none of them may be left
    assert.doesNotMatch(value, /[\x00-\x1f\x7f]/);
    const [again] = parseResults(value)?.results ?? [];
    assert.equal(again?.method, result.method);
    assert.equal(again?.result, result.result);
  }
};

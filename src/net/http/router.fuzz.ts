import assert from 'node:assert/strict';
import { createRouter, segmentsOf, textReply } from './router.ts';

const text = (value: string): Uint8Array => new TextEncoder().encode(value);

export const seeds: Uint8Array[] = [
  '/',
  '/seal/key',
  '/seal/g1/tile/0/x001/234.p/7',
  '/a/%2e%2e/b',
  '/%E5%B0%81%E6%B3%A5',
  '//x',
  '/a%00',
].map(text);

const find = createRouter([
  { method: 'GET', path: '/', handle: () => textReply(200, '') },
  { method: 'GET', path: '/seal/:generation/*path', handle: () => textReply(200, '') },
]);

/** No segment can climb, split or hide; whatever comes is found, refused or not there. */
export const run = (data: Uint8Array): void => {
  const path = Buffer.from(data).toString('latin1');
  const segments = segmentsOf(path);
  for (const segment of segments ?? []) {
    assert.ok(segment !== '.' && segment !== '..' && !/[/\\\0]/.test(segment));
    if (path !== '/') assert.notEqual(segment, '');
  }
  assert.equal(find('GET', path).kind === 'bad-path', segments === null);
};

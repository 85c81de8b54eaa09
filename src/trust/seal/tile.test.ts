import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { utf8 } from '#base/bytes';
import { edgeTiles, encodeBundle, parseBundle, parseTile, parseTilePath, tilePath } from './index.ts';

test('paths are those of the specification (C2SP tlog-tiles “Merkle Tree”)', () => {
  assert.equal(tilePath({ level: 0, index: 1234067, width: 256 }), 'tile/0/x001/x234/067');
  assert.equal(tilePath({ level: 63, index: 0, width: 256 }), 'tile/63/000');
  assert.equal(tilePath({ level: 'entries', index: 999, width: 7 }), 'tile/entries/999.p/7');
  assert.equal(tilePath({ level: 1, index: 1000, width: 255 }), 'tile/1/x001/000.p/255');
});

test('a path is read only in the spelling that is written', () => {
  const level = fc.oneof(fc.constant('entries' as const), fc.nat(63));
  const tiles = fc.record({
    level,
    index: fc.maxSafeNat(),
    width: fc.integer({ min: 1, max: 256 }),
  });
  fc.assert(fc.property(tiles, (tile) => assert.deepEqual(parseTilePath(tilePath(tile)), { ...tile })));
  for (const bad of [
    'tile/00/000',
    'tile/64/000',
    'tile/-1/000',
    'tile/0/0',
    'tile/0/0000',
    'tile/0/x000/001',
    'tile/0/001/001',
    'tile/0/000.p/0',
    'tile/0/000.p/01',
    'tile/0/000.p/256',
    'tile/0/000.p',
    'tile/0/x999/x999/x999/x999/x999/999',
    'tile/0/../0/000',
    '/tile/0/000',
    'tile/0/000\n',
  ])
    assert.equal(parseTilePath(bad), null, bad);
});

test('the partial tiles of a size are those of the specification (C2SP tlog-tiles “Partial Tiles”)', () => {
  const paths = (size: number): string[] => edgeTiles(size).map(tilePath);
  assert.deepEqual(paths(0), []);
  assert.deepEqual(paths(256), ['tile/entries/000', 'tile/0/000', 'tile/1/000.p/1']);
  assert.deepEqual(paths(70_000), [
    'tile/entries/273.p/112',
    'tile/0/273.p/112',
    'tile/1/001.p/17',
    'tile/2/000.p/1',
  ]);
});

test('a bundle is read as written; one of another count, a cut or a longer one is refused', () => {
  const entries = [utf8('a'), new Uint8Array(0), new Uint8Array(65_535).fill(7)];
  const octets = encodeBundle(entries);
  assert.deepEqual(parseBundle(octets, 3), entries);
  for (const [bad, width] of [
    [octets, 2],
    [octets, 4],
    [octets.subarray(0, -1), 3],
    [Uint8Array.of(...octets.subarray(0, 3), 0), 2],
    [Uint8Array.of(0), 1],
  ] as const)
    assert.throws(() => parseBundle(bad, width), { code: 'bundle-malformed' });
});

test('a tile of another width is refused', () => {
  assert.equal(parseTile(new Uint8Array(96), 3).length, 3);
  for (const length of [0, 95, 97, 128])
    assert.throws(() => parseTile(new Uint8Array(length), 3), { code: 'tile-malformed' });
});

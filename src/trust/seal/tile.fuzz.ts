import assert from 'node:assert/strict';
import { equalBytes, latin1, utf8 } from '#base/bytes';
import { FengniError } from '#base/errors';
import { encodeBundle, parseBundle, parseTilePath, tilePath } from './tile.ts';

export const seeds: Uint8Array[] = [
  encodeBundle([utf8('one'), new Uint8Array(0), new Uint8Array(300)]),
  utf8('tile/entries/x001/234.p/7'),
];

/** A bundle or a path is written back octet for octet. */
export const run = (data: Uint8Array): void => {
  const tile = parseTilePath(latin1(data));
  if (tile !== null) assert.equal(tilePath(tile), latin1(data));
  for (const width of [1, 3, 256]) {
    try {
      assert(equalBytes(encodeBundle(parseBundle(data, width)), data));
    } catch (error) {
      assert(error instanceof FengniError && error.code === 'bundle-malformed', String(error));
    }
  }
};

import assert from 'node:assert/strict';
import { concat, latin1, utf8 } from '#base/bytes';
import { signCheckpoint } from './checkpoint.ts';
import { commit, commitContent, messageId } from './commitment.ts';
import { leafHash, sha256 } from './hash.ts';
import { encodeLeaf } from './leaf.ts';
import { signerKey } from './note.ts';
import { buildReceipt } from './receipt.ts';
import { base64, parseBase64 } from './text.ts';
import { verifyReceipt } from './verify-receipt.ts';

const key = signerKey('a.example/fengni/s0/g1', new Uint8Array(32).fill(1));
const salt = new Uint8Array(32).fill(2);
const original = utf8('Subject: x\r\n\r\nx\r\n');
const msg = commit('msg', salt, sha256(original));
const prefix = utf8(
  `Received: x\r\nAuthentication-Results: x; none\r\nFengni-Seal: id=${messageId(msg)}; o=x\r\n`,
);
const text = utf8('protocol SMTP\n');
const leaf = encodeLeaf({
  kind: 'received',
  seq: 1,
  timeMs: 0,
  msg,
  pre: commitContent('pre', salt, prefix),
  env: salt,
  rcp: salt,
  ses: commitContent('ses', salt, text),
  aut: commitContent('aut', salt, text),
});
const receipt = buildReceipt({
  leafOctets: leaf,
  index: 0,
  path: [],
  checkpoint: signCheckpoint({ origin: key.name, size: 1, root: leafHash(leaf) }, [key]),
  msg: { salt, digest: sha256(original), size: original.length },
  pre: { salt, digest: sha256(prefix), size: prefix.length },
  ses: { salt, text },
  aut: { salt, text },
});
const mail = concat([prefix, original]);
const separator = utf8('\0mail\0');
/** the extra data in clear, so that a change reaches the block and not only its base 64 */
const opened = latin1(receipt).replace(/^extra (.*)$/m, (_, data: string) => {
  return `extra=${latin1(parseBase64(data) ?? assert.fail())}\0end`;
});

export const seeds: Uint8Array[] = [
  concat([receipt, separator, mail]),
  concat([Buffer.from(opened, 'latin1'), separator, mail]),
];

/** A verdict never throws, and is good only for the original that was sealed, in one line end or the other. */
export const run = (data: Uint8Array): void => {
  const [first = '', second = ''] = latin1(data).split(latin1(separator));
  const closed = first.replace(/^extra=(.*)\0end$/ms, (_, block: string) => {
    return `extra ${base64(Buffer.from(block, 'latin1'))}`;
  });
  const given = Buffer.from(second, 'latin1');
  const verdict = verifyReceipt({ receipt: Buffer.from(closed, 'latin1'), mail: given, keys: [key] });
  assert.equal(verdict.good, verdict.failure === null);
  if (verdict.good)
    assert(second.replaceAll(/\r?\n/g, '\n').endsWith(latin1(original).replaceAll('\r\n', '\n')));
};

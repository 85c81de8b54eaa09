import { randomBytes } from 'node:crypto';
import { utf8 } from '#base/bytes';
import { createMessageParser, createMessageSealer } from '#services/mailstore';
import type { Writer } from '#services/writer';
import { nodeIo } from '#store/durable';
import type { Spool } from '#store/large';
import { buildRecipientsTree } from '#trust/seal';

/** as it comes from a socket */
const pieceBytes = 64 * 1024;

/** A message of exactly this many octets, lines of random text. */
export const letter = (address: string, sizeBytes: number): Uint8Array => {
  const head = `Subject: a letter\r\nFrom: peer@example.org\r\nTo: ${address}\r\n\r\n`;
  const text = randomBytes(sizeBytes).toString('base64').slice(0, sizeBytes);
  return utf8(head + text.replace(/.{76}/g, (line) => `${line}\r\n`)).subarray(0, sizeBytes);
};

/** Hashes, parses, encrypts and hands over one message, as a role that received it does; resolves when it is durable. */
export const deliver = async (
  writer: Writer,
  spool: Spool,
  to: { account: string; address: string },
  octets: Uint8Array,
): Promise<void> => {
  const { account, address } = to;
  const sealer = createMessageSealer(nodeIo.random, { spool });
  const parser = createMessageParser();
  for (let at = 0; at < octets.length; at += pieceBytes) {
    const piece = octets.subarray(at, at + pieceBytes);
    await sealer.write(piece);
    parser.write(piece);
  }
  const { id, sha256Hex } = await sealer.complete();
  const salt = nodeIo.random(32);
  const tree = await buildRecipientsTree([{ address, salt }], nodeIo.random);
  const prefix = utf8(
    `Received: from bench\r\nFengni-Seal: id=${id}; sha256=${sha256Hex}; o=mail.fengni.test/fengni/s0/g1\r\n`,
  );
  const message = sealer.seal({
    kind: 'received',
    evidence: { env: utf8('from <>\n'), ses: utf8('protocol SMTP\n'), aut: utf8('results x; none\n') },
    prefix,
    rcp: tree.root,
    parsed: parser.end(),
  });
  const place = tree.places[0];
  if (place === undefined) throw new Error('the recipient has no place');
  const outcome = await writer.deliver(message, [{ account, address, prefix, proof: { ...place, salt } }]);
  if (outcome.kind !== 'done') throw new Error(`deliver: ${outcome.kind}`);
};

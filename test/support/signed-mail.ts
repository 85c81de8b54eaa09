import fs from 'node:fs';
import { fromLatin1, utf8 } from '#base/bytes';
import { type ArcResult, beginArc } from '#trust/arc';
import { beginDkim, type DkimOutcome, SignedMessage } from '#trust/dkim';
import { type Dns, storedDns } from '#trust/dns';

/** DNS that has these TXT records and no others. */
export const txtRecords = (records: Readonly<Record<string, string | readonly string[]>>): Dns =>
  storedDns(
    new Map(
      Object.entries(records).map(([name, text]) => [
        name.toLowerCase(),
        (typeof text === 'string' ? [text] : text).map((each) => utf8(each)),
      ]),
    ),
    { isWhole: true },
  );

/** A message from a file whose lines may have lost their CR. */
export const readMessage = (file: string): Uint8Array =>
  fromLatin1(fs.readFileSync(file, 'latin1').replace(/\r?\n/g, '\r\n'));

/** Checks the DKIM signatures of a message that arrives in pieces of that many octets. */
export const checkDkim = async (
  message: Uint8Array,
  dns: Dns,
  {
    nowMs = Date.UTC(2026, 10, 24),
    pieceBytes = message.length,
  }: { nowMs?: number; pieceBytes?: number } = {},
): Promise<DkimOutcome> => {
  let finish: (() => Promise<DkimOutcome>) | null = null;
  const signed = new SignedMessage((header, body) => {
    finish = beginDkim(header, body, { dns, nowMs });
  });
  for (let at = 0; at < message.length; at += pieceBytes) signed.write(message.subarray(at, at + pieceBytes));
  signed.end();
  const finished = finish as (() => Promise<DkimOutcome>) | null;
  if (finished === null) throw new Error('the header is always told');
  return finished();
};

/** Checks the ARC chain of a message that arrives in pieces of that many octets. */
export const checkArc = async (
  message: Uint8Array,
  dns: Dns,
  { pieceBytes = message.length }: { pieceBytes?: number } = {},
): Promise<ArcResult> => {
  let finish: (() => Promise<ArcResult>) | null = null;
  const signed = new SignedMessage((header, body) => {
    finish = beginArc(header, body, { dns });
  });
  for (let at = 0; at < message.length; at += pieceBytes) signed.write(message.subarray(at, at + pieceBytes));
  signed.end();
  const finished = finish as (() => Promise<ArcResult>) | null;
  if (finished === null) throw new Error('the header is always told');
  return finished();
};

import { fromHex, utf8 } from '#base/bytes';
import type { Clock } from '#base/clock';
import { FengniError } from '#base/errors';
import { addressKey } from '#message/address';
import { type BodyReaders, openBodyReaders } from '#store/bodies';
import type { Io } from '#store/durable';
import type { Directory, EmailRow, MailIndex, MessageRow } from '#store/index';
import {
  buildReceipt,
  type DigestOpening,
  hashBytes,
  parseBase64,
  type RecipientOpening,
  sha256,
} from '#trust/seal';
import { headOver, ledgerOf, type PublishedHead } from './sealed-place.ts';

export interface ReceiptRequest {
  /** of the message: 26 base32 letters */
  id: string;
  /** opens session and authentication results whatever their length */
  full: boolean;
  /** opens the envelope sender too */
  withSender: boolean;
  /** parts that are opened to their digest alone */
  withheld?: readonly ('ses' | 'aut')[];
  /** opens this recipient too, and no other */
  recipient: string | null;
}

export interface ReceiptSource {
  io: Io;
  /** DATA */
  folder: string;
  shard: number;
  index: MailIndex;
  directory: Directory;
  clock: Clock;
  /** how long a head over the message is waited for */
  waitMs: number;
}

export type ReceiptOutcome =
  | { kind: 'made'; octets: Uint8Array; index: number; head: PublishedHead }
  | { kind: 'unknown-message' }
  | { kind: 'unknown-recipient' }
  /** no signed head covers it yet: `head` is the newest, null before the first */
  | { kind: 'not-sealed'; index: number };

const pollMs = 50;

/**
 * Makes the receipt of a message from the data folder; waits a while for the head that covers it. Every opening is checked against the
 * leaf, and the proof against the head, before it leaves.
 *
 * @throws {FengniError} `receipt-inconsistent`, `ledger-damaged`, `frame-damaged`, `message-erased` (exit status 1)
 */
export const makeReceipt = async (
  source: ReceiptSource,
  request: ReceiptRequest,
): Promise<ReceiptOutcome> => {
  const { io, index, directory, clock } = source;
  const row = index.messageById(request.id);
  if (row === null) return { kind: 'unknown-message' };
  const copies = index.emailsOfMessage(row.seq);
  const copy = request.recipient === null ? null : copyFor(copies, request.recipient);
  if (copy === undefined) return { kind: 'unknown-recipient' };

  const until = clock.monotonicMs() + source.waitMs;
  let head = await headOver(source, directory, row);
  while (head === null) {
    if (clock.monotonicMs() >= until) return { kind: 'not-sealed', index: row.leafIndex };
    await new Promise((resolve) => setTimeout(resolve, pollMs));
    head = await headOver(source, directory, row);
  }

  const bodies = openBodyReaders({ io, folder: source.folder, shard: source.shard });
  try {
    const { head: content, leaf } = await bodies.message(row);
    const salt = (name: keyof typeof content.salts): Uint8Array => parseHashText(content.salts[name]);
    const octets = buildReceipt({
      leafOctets: leaf,
      index: row.leafIndex,
      path: await ledgerOf(source, head.generation).inclusion(row.leafIndex, leaf, head.checkpoint),
      checkpoint: head.note,
      msg: {
        salt: salt('msg'),
        digest: fromHex(content.sha256Hex) ?? new Uint8Array(hashBytes),
        size: content.sizeBytes,
      },
      pre: await prefixOpening(bodies, row, copies, salt('pre')),
      ses: { salt: salt('ses'), text: utf8(content.ses) },
      aut: { salt: salt('aut'), text: utf8(content.aut) },
      ...(request.withSender ? { env: { salt: salt('env'), text: utf8(content.env) } } : {}),
      ...(copy === null ? {} : { rcp: await recipientOpening(bodies, copy) }),
      full: request.full,
      withheld: request.withheld ?? [],
    });
    return { kind: 'made', octets, index: row.leafIndex, head };
  } finally {
    await bodies.close();
  }
};

const copyFor = (copies: readonly EmailRow[], recipient: string): EmailRow | undefined => {
  const key = addressKey(recipient);
  return copies.find(({ address }) => address === recipient || (key !== null && addressKey(address) === key));
};

/** The common part of the prefix, from any copy that is still there: all have the same. */
const prefixOpening = async (
  bodies: BodyReaders,
  row: MessageRow,
  copies: readonly EmailRow[],
  salt: Uint8Array,
): Promise<DigestOpening> => {
  if (row.kind === 'added') return { salt, digest: sha256(new Uint8Array(0)), size: 0 };
  let erased: FengniError | null = null;
  for (const copy of copies) {
    try {
      const common = commonPart(await bodies.prefix(copy));
      return { salt, digest: sha256(common), size: common.length };
    } catch (error) {
      if (!(error instanceof FengniError) || error.code !== 'message-erased') throw error;
      erased = error;
    }
  }
  throw (
    erased ??
    new FengniError('message-erased', {
      subject: `message ${row.id}: no copy of it is left`,
      remedy: 'it was erased for good; its proof remains',
      exitStatus: 1,
    })
  );
};

/** From our own `Received` on (FORMATS §5): what stands above it is one copy's own. */
const commonPart = (prefix: Uint8Array): Uint8Array => {
  const octets = Buffer.from(prefix.buffer, prefix.byteOffset, prefix.byteLength);
  const name = 'Received: ';
  if (octets.subarray(0, name.length).toString('latin1') === name) return prefix;
  const at = octets.indexOf(`\n${name}`);
  return prefix.subarray(at < 0 ? prefix.length : at + 1);
};

const recipientOpening = async (bodies: BodyReaders, copy: EmailRow): Promise<RecipientOpening> => {
  const { recipient, address } = await bodies.copy(copy);
  if (recipient === null) {
    throw new FengniError('receipt-inconsistent', {
      subject: `copy ${copy.emailId} has no place among the recipients`,
      remedy: 'leave --recipient out: an added message has no recipients',
      exitStatus: 1,
    });
  }
  return {
    salt: parseHashText(recipient.salt),
    address,
    index: recipient.index,
    path: recipient.path.map(parseHashText),
  };
};

const parseHashText = (text: string): Uint8Array => {
  const octets = parseBase64(text);
  if (octets?.length === hashBytes) return octets;
  throw new FengniError('frame-content-damaged', {
    subject: 'a salt of a stored message',
    remedy: 'run "fengni verify --repair"',
    exitStatus: 1,
  });
};

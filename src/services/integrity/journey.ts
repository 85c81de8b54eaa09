import { concat } from '#base/bytes';
import { FengniError } from '#base/errors';
import { type ReceivedHop, receivedHops } from '#message';
import { type MessageBody, openBodyReaders } from '#store/bodies';
import type { Io } from '#store/durable';
import type { Directory, MailIndex, MessageRow } from '#store/index';
import { type EvidenceLine, evidenceLines } from './evidence-lines.ts';
import { generationOf, headOver } from './sealed-place.ts';

/** What the log says of one message's way here. */
export interface Journey {
  message: MessageRow;
  generation: number;
  /** lines of the session: peer, port, helo, protocol, account, tls, cipher, group, time */
  session: readonly EvidenceLine[];
  /** lines of the envelope, without recipients: from, parameter */
  envelope: readonly EvidenceLine[];
  /** lines of the authentication results */
  authentication: readonly EvidenceLine[];
  /** the signed head that covers it, or null */
  head: { origin: string; size: number } | null;
  /** what the message says of its way before it came here, newest first: claimed, not proven; null where its octets cannot be read */
  claimedHops: readonly ReceivedHop[] | null;
  copies: readonly { address: string; account: string; emailId: string }[];
}

/** octets that are looked at for a header's end: what lies behind them is claimed to nobody */
const headerBytesMax = 256 * 1024;

/** Damage of the octets does not hide what the log itself says. */
const claimedHops = async (body: MessageBody): Promise<ReceivedHop[] | null> => {
  const pieces: Uint8Array[] = [];
  try {
    for await (const piece of body.read(0, Math.min(body.sizeBytes, headerBytesMax)))
      pieces.push(piece.slice());
  } catch (error) {
    if (error instanceof FengniError) return null;
    throw error;
  }
  return receivedHops(concat(pieces));
};

/**
 * The journey of a message, from its own frame and not from the index alone.
 *
 * @returns null for an id that no message has
 * @throws {FengniError} `frame-damaged`, `message-erased` (exit status 1)
 */
export const journeyOf = async (
  source: { io: Io; folder: string; shard: number; index: MailIndex; directory: Directory },
  id: string,
): Promise<Journey | null> => {
  const { index, directory } = source;
  const message = index.messageById(id);
  if (message === null) return null;
  const bodies = openBodyReaders(source);
  try {
    const body = await bodies.message(message);
    const { head: content } = body;
    const head = await headOver(source, directory, message);
    return {
      message,
      generation: generationOf(directory, message.seq),
      session: evidenceLines(content.ses),
      envelope: evidenceLines(content.env),
      authentication: evidenceLines(content.aut),
      head: head === null ? null : { origin: head.checkpoint.origin, size: head.checkpoint.size },
      claimedHops: await claimedHops(body),
      copies: index
        .emailsOfMessage(message.seq)
        .map(({ address, account, emailId }) => ({ address, account, emailId })),
    };
  } finally {
    await bodies.close();
  }
};

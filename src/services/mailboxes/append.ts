import { utf8 } from '#base/bytes';
import { FengniError } from '#base/errors';
import type { AppendedMessage, AppendSink, Refused } from '#protocols/imap';
import { createMessageParser, createMessageSealer, ownFileBytesMin } from '#services/mailstore';
import { encodeAuthentication, encodeSession } from '#trust/seal';
import type { MailboxesContext, SessionFacts } from './context.ts';

/**
 * Hashes, encrypts and parses a message as it comes, then hands it to the writer.
 *
 * An added message has no trace fields, no envelope and no recipients (FORMATS §4, §5): what was uploaded is what comes back.
 */
export const beginAppend = (
  context: MailboxesContext,
  account: string,
  mailbox: string,
  message: AppendedMessage,
  { key, connection }: SessionFacts,
): { kind: 'ready'; sink: AppendSink } | Refused => {
  const { clock, held, logger, random, writer, shared } = context;
  if (context.isDiskNearlyFull?.() === true) return diskNearlyFull;
  // What a large one has in memory at once is bounded: the rest is in the spool.
  const heldBytes = context.large === null ? message.sizeBytes : Math.min(message.sizeBytes, largeHeldBytes);
  if (!held.hold(heldBytes)) {
    return {
      kind: 'refused',
      code: 'UNAVAILABLE',
      text: 'Too many messages are being stored, try again later',
    };
  }
  let isHeld = true;
  const release = (): void => {
    if (isHeld) held.release(heldBytes);
    isHeld = false;
  };
  const sealer = createMessageSealer(random, context.large);
  const parser = createMessageParser();
  let isOver = false;
  const discard = async (): Promise<void> => {
    if (isOver) return;
    isOver = true;
    release();
    await sealer.discard().catch((error: unknown) => {
      // What stays behind is removed when this process starts again.
      logger.warn('spool file not removed', {
        code: error instanceof FengniError ? error.code : String(error),
      });
    });
  };
  let refused: Refused | null = null;
  const spoolFailed = async (error: unknown): Promise<void> => {
    await discard();
    if (!(error instanceof FengniError)) throw error;
    logger.warn('spool cannot be written', { code: error.code });
    refused = error.code === 'disk-full' ? diskNearlyFull : notNow;
  };
  const sink: AppendSink = {
    write: (octets) => {
      if (isOver) return;
      // A large message that began in time stops as well: what is left of the disk is for what was promised.
      if (sealer.sizeBytes > ownFileBytesMin && context.isDiskNearlyFull?.() === true) {
        refused = diskNearlyFull;
        return discard();
      }
      const written = sealer.write(octets);
      parser.write(octets);
      return written?.catch(spoolFailed);
    },
    commit: async () => {
      if (refused !== null) return refused;
      let isStored = false;
      try {
        await sealer.complete().catch(spoolFailed);
        if (refused !== null) return refused;
        const sealed = sealer.seal({
          kind: 'added',
          evidence: {
            env: utf8(''),
            ses: encodeSession({
              peer: connection.peer.address,
              port: connection.peer.port,
              protocol: 'IMAP',
              account: key,
              ...(connection.tls === null ? {} : { tls: connection.tls }),
              timeMs: clock.nowMs(),
            }),
            aut: encodeAuthentication({ results: [], keys: [] }),
          },
          prefix: new Uint8Array(0),
          rcp: null,
          parsed: parser.end(),
        });
        const outcome = await writer.append({
          account,
          mailbox,
          message: sealed,
          flags: message.flags,
          dateMs: message.internalDateMs,
          origin: '',
        });
        isStored = outcome.kind === 'done';
        if (outcome.kind === 'refused') {
          return outcome.code === 'NONEXISTENT' ? { ...outcome, code: 'TRYCREATE' } : outcome;
        }
        shared.loaded(mailbox)?.follow(outcome.modSeq, null);
        return { kind: 'done', uidValidity: outcome.uidValidity, uid: outcome.uid };
      } finally {
        if (isStored) release();
        else await discard();
      }
    },
    abort: () => void discard(),
  };
  return { kind: 'ready', sink };
};

/** ciphertext for one write, the chunk that is being made, and what network and cipher have under way */
const largeHeldBytes = 512 * 1024;

const notNow: Refused = {
  kind: 'refused',
  code: 'UNAVAILABLE',
  text: 'The message could not be stored, try again later',
};

/** RFC 9208 §4 has a code for quotas only; this one says that later may be better. @source RFC 5530 §3 */
const diskNearlyFull: Refused = {
  kind: 'refused',
  code: 'UNAVAILABLE',
  text: 'The disk of the server is nearly full, try again later',
};

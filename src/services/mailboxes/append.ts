import { utf8 } from '#base/bytes';
import type { AppendedMessage, AppendSink, Refused } from '#protocols/imap';
import { createMessageParser, createMessageSealer } from '#services/mailstore';
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
  const { clock, held, random, writer, shared } = context;
  const heldBytes = message.sizeBytes;
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
  const sealer = createMessageSealer(random);
  const parser = createMessageParser();
  const sink: AppendSink = {
    write: (octets) => {
      sealer.write(octets);
      parser.write(octets);
    },
    commit: async () => {
      try {
        sealer.complete();
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
        if (outcome.kind === 'refused') {
          return outcome.code === 'NONEXISTENT' ? { ...outcome, code: 'TRYCREATE' } : outcome;
        }
        shared.loaded(mailbox)?.follow(outcome.modSeq, null);
        return { kind: 'done', uidValidity: outcome.uidValidity, uid: outcome.uid };
      } finally {
        release();
      }
    },
    abort: release,
  };
  return { kind: 'ready', sink };
};

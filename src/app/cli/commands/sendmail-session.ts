import { splice } from '#net/smtp-local';
import {
  createSmtpSession,
  type DeliveryOutcome,
  type InboundDelivery,
  type InboundService,
  refusal,
  type SmtpEffect,
  smtpDefaults,
  storeIsAway,
} from '#protocols/smtp';
import { checkRecipients } from '#services/local-mail';
import type { SysExit } from '../command.ts';
import { end, exits, type SendmailCall, SendmailEnd } from './sendmail-call.ts';
import { askDirectory, localPorts, reachServer, submit } from './sendmail-submit.ts';

/** `-bs`: SMTP on standard input and output. For the owner of the data folder with this process's own engine, for others to the server. */
export const speakSmtp = async (call: SendmailCall): Promise<0 | SysExit> => {
  const { stdin, stdout } = call.context;
  if (!call.isOwner) {
    const ports = localPorts(call);
    if (await splice(ports, stdin, stdout)) return exits.ok;
    throw end(call, exits.tempFail, 'sendmail.no-server', { ports: ports.join(', ') });
  }
  const session = createSmtpSession(
    {
      ...smtpDefaults,
      hostname: call.config.server.hostname,
      starttls: false,
      sizeBytesMax: call.config.smtp.sizeBytesMax,
      recipientsMax: call.config.smtp.recipientsMax,
    },
    { address: '', port: 0 },
    null,
  );
  const service = createService(call);
  let delivery: InboundDelivery | null = null;
  let isOpen = true;
  /** Each effect in its turn: an answer makes further ones. */
  const act = async (effects: readonly SmtpEffect[]): Promise<void> => {
    for (const effect of effects) {
      switch (effect.kind) {
        case 'reply':
          stdout.write(effect.text);
          break;
        case 'mail':
          await act(session.answer({ kind: 'mail', verdict: await service.sender(effect.transaction) }));
          break;
        case 'rcpt': {
          const verdict = await service.recipient(effect.transaction, effect.address);
          await act(session.answer({ kind: 'rcpt', verdict }));
          break;
        }
        case 'begin':
          delivery = service.begin(effect.transaction, effect.recipients);
          break;
        case 'body':
          await delivery?.write(effect.octets);
          break;
        case 'abort':
          delivery?.abort();
          delivery = null;
          break;
        case 'end': {
          const outcome: DeliveryOutcome = (await delivery?.finish()) ?? storeIsAway;
          delivery = null;
          await act(session.answer({ kind: 'end', outcome }));
          break;
        }
        case 'close':
          isOpen = false;
          break;
        case 'starttls':
        case 'count':
          break;
      }
    }
  };
  await act(session.greet());
  for await (const piece of stdin) {
    await act(session.feed(typeof piece === 'string' ? Buffer.from(piece, 'utf8') : (piece as Uint8Array)));
    if (!isOpen) break;
  }
  if (isOpen) await act(session.peerEnded());
  return exits.ok;
};

/** The mail system as a program on this machine sees it: with a server, or with the folder where mail waits for one. */
const createService = (call: SendmailCall): InboundService => ({
  sender: () => ({ kind: 'accepted' }),
  recipient: async (transaction, address) => {
    const server = await reachServer(call);
    const recipient = server === null ? await askDirectory(call) : server.inbound.recipient;
    const checked = await checkRecipients(
      { recipient },
      {
        mailFrom: transaction.mailFrom,
        parameters: transaction.parameters,
        recipients: [{ address, notify: null }],
        uid: call.caller.uid,
        msgSalt: new Uint8Array(32),
      },
    );
    server?.close();
    if (checked.kind === 'accepted') return { kind: 'accepted', key: '' };
    return checked.kind === 'later' ? checked.refusal : (checked.refused[0]?.refusal ?? storeIsAway);
  },
  begin: (transaction, recipients) => {
    let pieces: Uint8Array[] = [];
    return {
      // The pieces of an input stream are its own again with the next read.
      write: (octets) => void pieces.push(octets.slice()),
      abort: () => {
        pieces = [];
      },
      finish: async () => {
        try {
          const outcome = await submit(call, {
            mailFrom: transaction.mailFrom,
            recipients: recipients.map(({ address, dsn }) => ({ address, notify: dsn?.notify ?? null })),
            parameters: transaction.parameters,
            pieces,
          });
          return outcome.kind === 'sent'
            ? storeIsAway
            : { kind: 'accepted', id: outcome.id, sha256Hex: outcome.sha256Hex };
        } catch (error) {
          if (!(error instanceof SendmailEnd)) throw error;
          return error.status === exits.tempFail ? storeIsAway : refusal(554, '5.0.0', error.sentence);
        }
      },
    };
  },
});

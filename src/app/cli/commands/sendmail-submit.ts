import { createHash } from 'node:crypto';
import { statfs } from 'node:fs/promises';
import path from 'node:path';
import { connectOrNull, requireOwnedFolder } from '#app/connect';
import { systemClock, systemRandom } from '#base/clock';
import { FengniError } from '#base/errors';
import { createMailstoreClient, type MailstoreClient } from '#net/mailstore';
import { submitBySmtp } from '#net/smtp-local';
import type { Refusal } from '#protocols/smtp';
import { createInbound, type Inbound } from '#services/inbound';
import {
  checkRecipients,
  handIn,
  type LocalMail,
  mailParameters,
  type RefusedRecipient,
} from '#services/local-mail';
import type { RecipientVerdict } from '#services/mailstore';
import { nodeIo } from '#store/durable';
import { openSpool } from '#store/large';
import { createPickup } from '#store/pickup';
import { commit, messageId, saltBytes } from '#trust/seal';
import type { SysExit } from '../command.ts';
import { end, exits, type SendmailCall, SendmailEnd } from './sendmail-call.ts';

export type Submitted =
  /** in the log */
  | { kind: 'taken'; id: string; sha256Hex: string }
  /** on disk, for the server to take */
  | { kind: 'waits'; id: string; sha256Hex: string; name: string }
  /** the server of this machine said 250 */
  | { kind: 'sent'; reply: string };

export interface Submission {
  mailFrom: string;
  recipients: readonly { address: string; notify: string | null }[];
  /** of MAIL; left out: what the command line says */
  parameters?: readonly string[];
  pieces: readonly Uint8Array[];
}

/** a server that starts, or is busy, has so long before the message waits on disk instead */
const serverMs = 3_000;
/** the writer itself gives up what waits for a minute (WIRE, “Limits and replies”) */
const takenMs = 120_000;

/** Hands a message in, or keeps it on disk. @throws {SendmailEnd} where nobody gets it */
export const submit = async (call: SendmailCall, submission: Submission): Promise<Submitted> =>
  call.isOwner ? submitAsOwner(call, submission) : submitAsUser(call, submission);

const parametersOf = (call: SendmailCall, { mailFrom, recipients }: Omit<Submission, 'pieces'>): string[] =>
  mailParameters({
    addresses: [mailFrom, ...recipients.map(({ address }) => address)],
    body: call.request.body,
    ret: call.request.ret,
    envid: call.request.envid,
  });

const submitAsUser = async (call: SendmailCall, submission: Submission): Promise<Submitted> => {
  const ports = localPorts(call);
  const outcome = await submitBySmtp({
    ports,
    hostname: call.config.server.hostname,
    ...submission,
    parameters: submission.parameters ?? parametersOf(call, submission),
  });
  switch (outcome.kind) {
    case 'accepted':
      return { kind: 'sent', reply: `250 ${outcome.reply.text}` };
    case 'refused':
      throw refusedEnd(
        call,
        outcome.refused.map(({ recipient, reply }) => ({
          address: recipient ?? submission.recipients[0]?.address ?? '',
          refusal: asRefusal(reply),
        })),
      );
    case 'later':
      if (outcome.reply === null)
        throw end(call, exits.tempFail, 'sendmail.no-server', { ports: ports.join(', ') });
      throw end(call, exits.tempFail, 'sendmail.later', {
        reply: `${outcome.reply.code} ${outcome.reply.text}`,
      });
  }
};

/** Where the server of this machine may listen: as configured, and where systemd opens the port for it. */
export const localPorts = ({ config }: SendmailCall): number[] => {
  const configured = config.listeners
    .filter(({ service, port }) => service === 'smtp' && port > 0)
    .map(({ port }) => port);
  return [...new Set([...configured, 25])];
};

const asRefusal = ({ code, text }: { code: number; text: string }): Refusal => {
  const [, enhanced = '', rest = text] = /^(\d\.\d{1,3}\.\d{1,3}) (.*)$/s.exec(text) ?? [];
  return { kind: 'refused', code, enhanced, text: rest };
};

const submitAsOwner = async (call: SendmailCall, submission: Submission): Promise<Submitted> => {
  await requireOwnedFolder(call.dataFolder);
  const mail: LocalMail = {
    ...submission,
    parameters: submission.parameters ?? parametersOf(call, submission),
    uid: call.caller.uid,
    msgSalt: systemRandom(saltBytes),
  };
  const server = await reachServer(call);
  if (server !== null) {
    const outcome = await inTime(handIn(server.inbound, mail));
    server.close();
    if (outcome?.kind === 'accepted') return { kind: 'taken', id: outcome.id, sha256Hex: outcome.sha256Hex };
    if (outcome?.kind === 'refused') throw refusedEnd(call, outcome.refused);
    // Not now, or nobody knows: it waits, and under its salt it comes once whatever happened.
  } else {
    const checked = await checkRecipients({ recipient: await askDirectory(call) }, mail);
    if (checked.kind === 'refused') throw refusedEnd(call, checked.refused);
  }
  return keep(call, mail);
};

/** Puts a message where the server takes it from; durable when this resolves. */
const keep = async (call: SendmailCall, mail: LocalMail): Promise<Submitted> => {
  const { bavail, bsize } = await statfs(call.dataFolder);
  if (bavail * bsize < call.config.limits.freeBytesMin)
    throw end(call, exits.tempFail, 'sendmail.disk-nearly-full', { folder: call.dataFolder });
  const hash = createHash('sha256');
  for (const piece of mail.pieces) hash.update(piece);
  const digest = hash.digest();
  const { mailFrom, parameters, recipients, uid, msgSalt, pieces } = mail;
  const id = messageId(commit('msg', msgSalt, digest));
  const timeMs = systemClock.nowMs();
  const name = await createPickup({ io: nodeIo, folder: call.dataFolder }).add(
    { id, msgSalt, mailFrom, parameters, recipients, uid, timeMs },
    pieces,
  );
  return { kind: 'waits', id, sha256Hex: digest.toString('hex'), name };
};

const inTime = async <T>(work: Promise<T>): Promise<T | null> => {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<null>((resolve) => {
    timer = setTimeout(() => resolve(null), takenMs);
  });
  try {
    return await Promise.race([work, late]);
  } finally {
    clearTimeout(timer);
  }
};

/** The running server by its control socket, or null where none answers soon. */
export const reachServer = async (
  call: SendmailCall,
): Promise<{ inbound: Inbound; writer: MailstoreClient; close(): void } | null> => {
  // Where nobody listens at all there is nothing to wait for.
  const probe = await connectOrNull(call.dataFolder);
  if (probe === null) return null;
  probe.close();
  const writer = createMailstoreClient({
    path: path.join(call.dataFolder, 'run/control'),
    waitMs: serverMs,
    watches: false,
  });
  try {
    const { origin } = await writer.status();
    return { inbound: localInbound(call, writer, origin), writer, close: () => writer.close() };
  } catch (error) {
    writer.close();
    if (error instanceof FengniError) return null;
    throw error;
  }
};

export const localInbound = (
  call: SendmailCall,
  writer: Pick<MailstoreClient, 'resolve' | 'deliver'>,
  origin: string,
): Inbound =>
  createInbound({
    writer,
    hostname: call.config.server.hostname,
    origin: () => origin,
    clock: systemClock,
    random: systemRandom,
    // What happened, the exit status and the sentence say; a log on the standard error of a program would be mailed by cron.
    logger: silent,
    large: { spool: openSpool({ io: nodeIo, folder: call.dataFolder, owner: 'local' }) },
    heldBytesMax: 2 * call.config.smtp.sizeBytesMax,
  });

const silent = {
  debug: () => {},
  info: () => {},
  warn: () => {},
  error: () => {},
  with: () => silent,
};

/** Who is here, by the directory of a server that does not run. It may lag: what it does not know is asked again when the mail is taken. */
export const askDirectory = async (call: SendmailCall): Promise<Inbound['recipient']> => {
  const { openSqliteDirectory } = await import('#store/sqlite');
  const { createAddresses } = await import('#services/writer');
  let resolve: (address: string) => RecipientVerdict;
  try {
    const directory = openSqliteDirectory(path.join(call.dataFolder, 'state.db'), { readOnly: true });
    resolve = createAddresses(directory).resolve;
    directory.close();
  } catch (error) {
    if (!(error instanceof FengniError)) throw error;
    return async () => ({ kind: 'accepted', key: '' });
  }
  const deliver = (): never => {
    throw new Error('a directory delivers nothing');
  };
  return localInbound(call, { resolve: async (address) => resolve(address), deliver }, '').recipient;
};

/** Why nobody got it: a sentence for each recipient that is refused, and the status of the first. */
export const refusedEnd = (call: SendmailCall, refused: readonly RefusedRecipient[]): SendmailEnd => {
  const [first, ...others] = refused.map((each) => whyRefused(call, each));
  if (first === undefined) throw new Error('somebody is refused');
  const sentences = [first, ...others].map(({ sentence }) => sentence);
  return new SendmailEnd(first.status, sentences.join('\nsendmail: '), first.remedy);
};

const whyRefused = (call: SendmailCall, { address, refusal }: RefusedRecipient): SendmailEnd => {
  const { code, enhanced, text } = refusal;
  if (enhanced === '5.7.1') return end(call, exits.unavailable, 'sendmail.elsewhere', { address });
  if (enhanced === '5.1.1') return end(call, exits.noUser, 'sendmail.unknown-user', { address });
  if (enhanced === '5.2.1') return end(call, exits.noUser, 'sendmail.disabled', { address });
  const reply = `${code} ${enhanced} ${text}`;
  return end(call, exits.unavailable, 'sendmail.refused', { address, reply });
};

/** `-bv`: says of each recipient whether it would get mail. */
export const verify = async (
  call: SendmailCall,
  mailFrom: string,
  recipients: readonly string[],
): Promise<0 | SysExit> => {
  if (!call.isOwner) throw end(call, exits.noPermission, 'sendmail.owner-only', { folder: call.dataFolder });
  await requireOwnedFolder(call.dataFolder);
  const server = await reachServer(call);
  const recipient = server === null ? await askDirectory(call) : server.inbound.recipient;
  const submission = { mailFrom, recipients: recipients.map((address) => ({ address, notify: null })) };
  const checked = await checkRecipients(
    { recipient },
    {
      ...submission,
      parameters: parametersOf(call, submission),
      uid: call.caller.uid,
      msgSalt: systemRandom(saltBytes),
    },
  );
  server?.close();
  if (checked.kind === 'later')
    throw end(call, exits.tempFail, 'sendmail.later', {
      reply: `${checked.refusal.code} ${checked.refusal.text}`,
    });
  if (checked.kind === 'refused') throw refusedEnd(call, checked.refused);
  for (const address of recipients)
    call.context.stdout.write(`${call.context.say('sendmail.deliverable', { address })}\n`);
  return exits.ok;
};

import fs from 'node:fs';
import os from 'node:os';
import { type Config, loadConfig } from '#app/config';
import { dataFolderOwner } from '#app/connect';
import { systemClock, systemRandom } from '#base/clock';
import { FengniError } from '#base/errors';
import { say, sayFault } from '#base/text';
import { quoteLocalPart } from '#message/address';
import type { Composed } from '#services/local-mail';
import type { Command, CommandContext, SysExit } from '../command.ts';
import { commandHelp } from '../help.ts';
import { parseSendmail, type SendmailRequest } from './sendmail-arguments.ts';
import { end, envelopeAddress, exits, type SendmailCall, SendmailEnd } from './sendmail-call.ts';
import type { Submitted } from './sendmail-submit.ts';

/** `fengni sendmail`, and the program of that name */
export const command: Command = {
  usage: (language) => say(language, 'sendmail.usage'),
  options: {},
  parsesItself: true,
  run: async (context) => {
    const parsed = parseSendmail(context.args);
    if (parsed.kind === 'help') {
      context.stdout.write(commandHelp(context.language, command));
      return 0;
    }
    try {
      if (parsed.kind !== 'request') throw usageEnd(context, parsed);
      return await run(context, parsed.request);
    } catch (error) {
      return tellEnd(context, error);
    }
  },
};

const run = async (context: CommandContext, request: SendmailRequest): Promise<0 | SysExit> => {
  if (request.mode === 'nothing') return exits.ok;
  const call = await prepare(context, request);
  switch (request.mode) {
    case 'queue':
    case 'flush': {
      if (!call.isOwner)
        throw end(call, exits.noPermission, 'sendmail.owner-only', { folder: call.dataFolder });
      const { flush, showQueue } = await import('./sendmail-queue.ts');
      return request.mode === 'queue' ? showQueue(call) : flush(call);
    }
    case 'smtp': {
      const { speakSmtp } = await import('./sendmail-session.ts');
      return speakSmtp(call);
    }
    case 'verify':
    case 'deliver':
      return deliver(call);
  }
};

/** Reads the configuration, and finds out who calls. Root becomes the owner of the data folder, so that its mail waits like the owner's. */
const prepare = async (context: CommandContext, request: SendmailRequest): Promise<SendmailCall> => {
  const { cwd } = context;
  const config = await loadConfig({ cwd, file: request.config, dataFolder: request.data, portBase: 0 });
  const dataFolder = config.server.data;
  const caller = whoCalls(context.env);
  const owner = ownerOf(dataFolder);
  if (owner !== null && owner !== 0 && process.geteuid?.() === 0) becomeOwner(dataFolder, owner);
  const isOwner = owner !== null && owner === process.geteuid?.();
  if (isOwner) process.umask(0o077);
  return { context, request, config, dataFolder, caller, domain: localDomain(config), isOwner };
};

const ownerOf = (folder: string): number | null => {
  try {
    return dataFolderOwner(folder);
  } catch (error) {
    if (error instanceof FengniError && /^data-folder-(?:closed|missing)$/.test(error.code)) return null;
    throw error;
  }
};

const becomeOwner = (folder: string, owner: number): void => {
  const { gid } = fs.statSync(folder);
  process.setgroups?.([gid]);
  process.setgid?.(gid);
  process.setuid?.(owner);
};

const whoCalls = (env: NodeJS.ProcessEnv): SendmailCall['caller'] => {
  const uid = process.getuid?.() ?? 0;
  let login = `uid${uid}`;
  try {
    login = os.userInfo().username;
  } catch {
    // A user that the system does not know by name.
  }
  return { uid, login, name: env['NAME'] ?? nameOf(login) };
};

/** The full name in the user's line of /etc/passwd; `&` stands for the login. @source passwd(5) */
const nameOf = (login: string): string => {
  try {
    const line = fs
      .readFileSync('/etc/passwd', 'utf8')
      .split('\n')
      .find((each) => each.startsWith(`${login}:`));
    const [name = ''] = (line?.split(':')[4] ?? '').split(',');
    return name.replaceAll('&', login.charAt(0).toUpperCase() + login.slice(1));
  } catch {
    return '';
  }
};

/** The host name without its first part, or as it is where that would be no domain. */
const localDomain = ({ sendmail, server }: Config): string => {
  if (sendmail.domain !== null) return sendmail.domain;
  const rest = server.hostname.slice(server.hostname.indexOf('.') + 1);
  return rest.includes('.') ? rest : server.hostname;
};

const deliver = async (call: SendmailCall): Promise<0 | SysExit> => {
  const { context, request, config } = call;
  const given = request.recipients.map((address) => envelopeAddress(call, address));
  if (!request.takesRecipients && given.length === 0) throw end(call, exits.usage, 'sendmail.no-recipient');
  const mailFrom = senderOf(call);
  if (request.mode === 'verify') {
    const { verify } = await import('./sendmail-submit.ts');
    return verify(call, mailFrom, given);
  }
  const { composeMessage } = await import('#services/local-mail');
  const composed = await composeMessage(context.stdin as AsyncIterable<Uint8Array | string>, {
    dotEnds: request.dotEnds,
    takesRecipients: request.takesRecipients,
    from: {
      address: mailFrom === '' ? `${call.caller.login}@${call.domain}` : mailFrom,
      name: request.fullName ?? (request.mailFrom === null ? call.caller.name : ''),
    },
    domain: call.domain,
    hostname: config.server.hostname,
    nowMs: systemClock.nowMs(),
    random: systemRandom,
    bytesMax: config.smtp.sizeBytesMax,
  });
  const message = usable(call, composed);
  const recipients = [
    ...new Set([...given, ...message.recipients.map((each) => envelopeAddress(call, each))]),
  ];
  if (recipients.length === 0) throw end(call, exits.usage, 'sendmail.no-recipient');
  const { submit } = await import('./sendmail-submit.ts');
  const outcome = await submit(call, {
    mailFrom,
    recipients: recipients.map((address) => ({ address, notify: request.notify })),
    pieces: message.pieces,
  });
  tellDone(call, outcome);
  return exits.ok;
};

/** A program that is content hears nothing: what it says, cron would mail. */
const tellDone = ({ context, request }: SendmailCall, outcome: Submitted): void => {
  if (request.json) {
    const value =
      outcome.kind === 'taken'
        ? { id: outcome.id, sha256: outcome.sha256Hex }
        : outcome.kind === 'waits'
          ? { waiting: outcome.name, id: outcome.id, sha256: outcome.sha256Hex }
          : { reply: outcome.reply };
    context.printJson(value);
  } else if (request.isVerbose) {
    if (outcome.kind === 'taken')
      context.stdout.write(
        `${context.say('sendmail.taken', { id: outcome.id, digest: outcome.sha256Hex })}\n`,
      );
    else if (outcome.kind === 'waits')
      context.stdout.write(`${context.say('sendmail.waits', { name: outcome.name })}\n`);
    else context.stdout.write(`${context.say('sendmail.sent', { reply: outcome.reply })}\n`);
  }
};

const usable = (call: SendmailCall, composed: Composed): Extract<Composed, { kind: 'message' }> => {
  switch (composed.kind) {
    case 'message':
      return composed;
    case 'too-large':
      throw end(call, exits.unavailable, 'sendmail.too-large', { max: call.config.smtp.sizeBytesMax });
    case 'header-too-large':
      throw end(call, exits.dataError, 'sendmail.header-too-large');
    case 'recipient-malformed':
      throw end(call, exits.dataError, 'sendmail.address-malformed', {
        address: JSON.stringify(composed.text),
      });
  }
};

const senderOf = (call: SendmailCall): string => {
  const { mailFrom } = call.request;
  if (mailFrom === null) return `${quoteLocalPart(call.caller.login)}@${call.domain}`;
  return mailFrom === '' ? '' : envelopeAddress(call, mailFrom);
};

const usageEnd = (
  context: CommandContext,
  wrong: Exclude<ReturnType<typeof parseSendmail>, { kind: 'request' | 'help' }>,
): SendmailEnd => {
  const { option } = wrong;
  if (wrong.kind === 'unknown') return end({ context }, exits.usage, 'sendmail.option-unknown', { option });
  if (wrong.kind === 'without-value')
    return end({ context }, exits.usage, 'sendmail.option-without-value', { option });
  return end({ context }, exits.usage, 'sendmail.option-wrong-value', {
    option,
    value: JSON.stringify(wrong.value),
  });
};

const tellEnd = (context: CommandContext, error: unknown): 0 | SysExit => {
  if (error instanceof SendmailEnd) {
    const { sentence, remedy, status } = error;
    context.stderr.write(`sendmail: ${sentence}\nsendmail: ${context.say('cli.remedy', { remedy })}\n`);
    return status;
  }
  if (!(error instanceof FengniError)) throw error;
  const { sentence, remedy } = sayFault(context.language, error);
  context.stderr.write(`sendmail: ${sentence}\nsendmail: ${context.say('cli.remedy', { remedy })}\n`);
  return statusOf(error);
};

const statusOf = ({ code, retryable, exitStatus }: FengniError): SysExit => {
  if (code.startsWith('config-')) return exits.config;
  if (code === 'disk-full' || retryable) return exits.tempFail;
  if (code === 'no-access' || code === 'data-folder-closed') return exits.noPermission;
  if (code === 'io-error') return exits.ioError;
  return exitStatus === 2 ? exits.usage : exits.tempFail;
};

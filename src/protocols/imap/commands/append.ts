import type { Arguments } from '../arguments.ts';
import type { CommandSession } from '../command-session.ts';
import { bad, no, type Reply, refusal } from '../reply.ts';
import type { AppendSink } from '../store.ts';
import { type Command, loggedIn } from './command.ts';
import { mailboxArgument } from './mailbox-argument.ts';
import { permittedFlags } from './store.ts';

/** What is left of APPEND when it has no literal: the session takes the others as their literal is announced. */
export const append: Command = {
  name: 'APPEND',
  states: loggedIn,
  tells: 'all',
  run: () => bad('The message comes as a literal'),
};

export interface AnnouncedMessage {
  readonly sizeBytes: number;
  /** a literal8 */
  readonly binary: boolean;
}

/**
 * The arguments before a message's literal, and whether the account takes it.
 *
 * @param open the command's sink; null for its first message
 * @param ready gets the sink for the literal's octets; `isUtf8`: a parenthesis closes behind it (RFC 6855 §4)
 * @returns null when it was called
 * @source RFC 9051 §6.3.12, RFC 3502 (several messages), RFC 6855 §4
 */
export const appendMessage = async (
  session: CommandSession,
  args: Arguments,
  announced: AnnouncedMessage,
  open: AppendSink | null,
  ready: (sink: AppendSink, isUtf8: boolean) => void,
): Promise<Reply | null> => {
  const { sizeBytes } = announced;
  const target = open === null ? mailboxArgument(session, args) : null;
  args.space();
  let flags: string[] = [];
  if (args.peek === '(') {
    flags = permittedFlags(args, args.flagList());
    args.space();
  }
  let internalDateMs: number | null = null;
  if (args.peek === '"') {
    internalDateMs = args.dateTime();
    args.space();
  }
  let isUtf8 = false;
  if (args.peek.toUpperCase() === 'U') {
    if (args.word() !== 'UTF8') args.fail('the message is missing');
    if (!session.features.utf8) args.fail('ENABLE UTF8=ACCEPT comes first');
    args.space();
    args.expect('(');
    isUtf8 = true;
  }
  if (announced.binary) args.expect('~');
  else if (isUtf8) args.fail('a message in UTF-8 comes as a literal8');
  args.end();
  const { account, server } = session;
  if (account === null) return no('Log in first');
  if (target?.kind === 'refused') return refusal(target);
  if (sizeBytes === 0) return no('There is no message in it', 'CANNOT');
  if (sizeBytes > server.appendBytesMax) {
    server.options.count('imap-literal-too-big');
    return no('The message is too big', 'TOOBIG');
  }
  let sink = open;
  if (sink === null) {
    const outcome = await account.append(target?.name ?? '');
    if (outcome.kind === 'refused') return refusal(outcome);
    sink = outcome.sink;
  }
  const outcome = await sink.begin({ flags, internalDateMs, sizeBytes, binary: announced.binary });
  if (outcome.kind === 'refused') {
    sink.abort();
    return refusal(outcome);
  }
  ready(sink, isUtf8);
  return null;
};

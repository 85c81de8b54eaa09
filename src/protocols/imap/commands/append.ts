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

/**
 * The arguments before the message's literal, and whether the account takes it.
 *
 * @param ready gets the sink for the literal's octets
 * @returns null when it was called
 * @source RFC 9051 §6.3.12
 */
export const appendMessage = async (
  session: CommandSession,
  args: Arguments,
  sizeBytes: number,
  binary: boolean,
  ready: (sink: AppendSink) => void,
): Promise<Reply | null> => {
  const target = mailboxArgument(session, args);
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
  if (binary) args.expect('~');
  args.end();
  const { account, server } = session;
  if (account === null) return no('Log in first');
  if (target.kind === 'refused') return refusal(target);
  if (sizeBytes === 0) return no('There is no message in it', 'CANNOT');
  if (sizeBytes > server.appendBytesMax) {
    server.options.count('imap-literal-too-big');
    return no('The message is too big', 'TOOBIG');
  }
  const outcome = await account.append(target.name, { flags, internalDateMs, sizeBytes, binary });
  if (outcome.kind === 'refused') return refusal(outcome);
  ready(outcome.sink);
  return null;
};

import type { Arguments } from '../arguments.ts';
import type { CommandSession, Tells } from '../command-session.ts';
import type { Reply } from '../reply.ts';

export type SessionState = 'before-login' | 'logged-in' | 'selected';

/** One command of the protocol. */
export interface Command {
  readonly name: string;
  readonly states: readonly SessionState[];
  readonly tells: Tells;
  /** whether there is a form with UID before it */
  readonly uid?: true;
  /**
   * For commands that may be under way together, as RFC 9051 §5.5 lets them, where they change different messages: reads the arguments
   * to the end.
   *
   * @throws ImapSyntaxError: `BAD`
   */
  begin?(session: CommandSession, args: Arguments, byUid: boolean): Begun | Reply;
  /**
   * Reads its arguments to the end, then acts.
   *
   * @returns null where the tagged reply has been given or will be
   * @throws ImapSyntaxError: `BAD`
   */
  run(
    session: CommandSession,
    args: Arguments,
    tag: string,
    byUid: boolean,
  ): Reply | null | Promise<Reply | null>;
}

/** A command that is understood and not yet begun. */
export interface Begun {
  /** the messages that it changes */
  readonly uids: readonly number[];
  /** those before it are answered first */
  readonly alone: boolean;
  /**
   * Hands the change over, at once; fulfilled with how it is answered, when it is durable. Answers are asked for in the order of the
   * commands.
   */
  submit(): Promise<() => Promise<Reply>>;
}

export const anyState: readonly SessionState[] = ['before-login', 'logged-in', 'selected'];
export const loggedIn: readonly SessionState[] = ['logged-in', 'selected'];

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

export const anyState: readonly SessionState[] = ['before-login', 'logged-in', 'selected'];
export const loggedIn: readonly SessionState[] = ['logged-in', 'selected'];

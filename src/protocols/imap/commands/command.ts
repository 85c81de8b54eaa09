import type { Arguments } from '../arguments.ts';
import type { Reply } from '../reply.ts';
import type { ImapSession } from '../session.ts';

export type SessionState = 'before-login' | 'logged-in' | 'selected';

/** One command of the protocol. */
export interface Command {
  readonly name: string;
  readonly states: readonly SessionState[];
  /** which changes of the selected mailbox may be told before the tagged reply. @source RFC 9051 §5.2, §7.5.1 */
  readonly tells: 'all' | 'no-expunge' | 'nothing';
  /** whether there is a form with UID before it */
  readonly uid?: true;
  /**
   * Reads its arguments to the end, then acts.
   *
   * @returns null where the tagged reply has been given or will be
   * @throws ImapSyntaxError: `BAD`
   */
  run(
    session: ImapSession,
    args: Arguments,
    tag: string,
    byUid: boolean,
  ): Reply | null | Promise<Reply | null>;
}

export const anyState: readonly SessionState[] = ['before-login', 'logged-in', 'selected'];
export const loggedIn: readonly SessionState[] = ['logged-in', 'selected'];

import type { Logger } from '#base/logger';
import { saslMechanisms } from '#protocols/sasl';
import type { ImapLogin } from './store.ts';

export interface ImapServerOptions {
  readonly login: ImapLogin;
  readonly log: Logger;
  /** names are constants */
  readonly count: (name: string) => void;
  /** whether `copy` with `move` is atomic */
  readonly move: boolean;
  readonly sessionsPerAccountMax?: number;
  readonly appendBytesMax?: number;
  /** nonces of SCRAM; left out: no SCRAM */
  readonly random?: (bytes: number) => Uint8Array;
}

/** What all sessions of a listener share. */
export class ImapServer {
  readonly options: ImapServerOptions;
  readonly appendBytesMax: number;
  readonly #sessions = new Map<string, number>();

  constructor(options: ImapServerOptions) {
    this.options = options;
    this.appendBytesMax = options.appendBytesMax ?? 50 * 1024 * 1024;
  }

  /** What is announced, in one place: everything here has its tests. */
  capabilities(secure: boolean, canStartTls: boolean, authenticated: boolean, isBound = false): string {
    // RFC 7888 §5: LITERAL- is never announced beside LITERAL+, which allows all that it does
    const names = ['IMAP4rev1', 'IMAP4rev2', 'LITERAL+', 'SASL-IR'];
    if (!authenticated) {
      if (secure) {
        const hasAppPasswords =
          this.options.random !== undefined && this.options.login.scram?.offered() === true;
        names.push(...saslMechanisms({ hasAppPasswords, isBound }).map((name) => `AUTH=${name}`));
      } else names.push(...(canStartTls ? ['STARTTLS'] : []), 'LOGINDISABLED');
    }
    names.push('ID', 'ENABLE', 'IDLE', 'NAMESPACE', 'UNSELECT', 'UIDPLUS', 'CHILDREN', 'SPECIAL-USE');
    names.push('CREATE-SPECIAL-USE', 'LIST-EXTENDED', 'LIST-STATUS', 'STATUS=SIZE', 'CONDSTORE', 'QRESYNC');
    names.push(
      'MULTIAPPEND',
      'ESEARCH',
      'SEARCHRES',
      'BINARY',
      'OBJECTID',
      'SAVEDATE',
      'PREVIEW',
      'UTF8=ACCEPT',
    );
    names.push(`APPENDLIMIT=${this.appendBytesMax}`);
    if (this.options.move) names.push('MOVE');
    return names.join(' ');
  }

  /** Counts a session of an account; false when it has as many as it may. */
  admit(accountId: string): boolean {
    const sessions = this.#sessions.get(accountId) ?? 0;
    if (sessions >= (this.options.sessionsPerAccountMax ?? 40)) return false;
    this.#sessions.set(accountId, sessions + 1);
    return true;
  }

  release(accountId: string): void {
    const sessions = (this.#sessions.get(accountId) ?? 1) - 1;
    if (sessions === 0) this.#sessions.delete(accountId);
    else this.#sessions.set(accountId, sessions);
  }
}

import type { Random } from '#base/clock';
import {
  type Connection,
  createSessionServer,
  type SessionDriver,
  type SessionServer,
  type SessionServerBasics,
} from '#net/connection';
import {
  type ConnectionFacts,
  type ImapLogin,
  ImapServer,
  ImapSession,
  type ImapTransport,
} from '#protocols/imap';
import type { ImapServerSettings } from './settings.ts';

export interface ImapListenerOptions extends SessionServerBasics {
  settings: ImapServerSettings;
  /** without a certificate nobody can log in */
  login: ImapLogin;
  /** nonces of log-ins */
  random?: Random;
  /** whether the store's `copy` can move (RFC 6851) */
  move: boolean;
}

export type ImapListener = SessionServer;

/** The socket side of IMAP: feeds sessions, writes what they say, keeps their time. */
export const createImapListener = (options: ImapListenerOptions): ImapListener => {
  const { counters, settings } = options;
  const server = new ImapServer({
    login: options.login,
    log: options.log,
    count: (name) => counters.count(name),
    move: options.move,
    ...(options.random === undefined ? {} : { random: options.random }),
    sessionsPerAccountMax: settings.sessionsPerAccountMax,
    appendBytesMax: settings.appendBytesMax,
  });
  return createSessionServer({
    ...options,
    name: 'imap',
    alpn: ['imap'],
    refusal: (reason) =>
      `* BYE [UNAVAILABLE] ${reason === 'draining' ? 'Shutting down' : 'Too many sessions, try again later'}\r\n`,
    driver: () => new Driver(server, options),
  });
};

const nowhere: ConnectionFacts = { peer: { address: '', port: 0 }, tls: null };

/** One connection and its session. */
class Driver implements SessionDriver, ImapTransport {
  readonly #server: ImapServer;
  readonly #options: ImapListenerOptions;
  #connection: Connection | null = null;
  #session: ImapSession | null = null;
  /** the first octet has come: it was none of a TLS hello */
  #begun = false;
  /** the client does not take what was sent */
  #stalled = false;

  constructor(server: ImapServer, options: ImapListenerOptions) {
    this.#server = server;
    this.#options = options;
  }

  attach(connection: Connection): void {
    this.#connection = connection;
  }

  shutDown(): void {
    if (this.#session === null) this.#connection?.destroy();
    else this.#session.leave('Shutting down');
  }

  // What the connection tells.

  opened(): void {
    this.#session = new ImapSession(this.#server, this);
    this.#session.greet();
    this.#connection?.expireAfter(this.#options.settings.loginMsMax);
  }

  octets(chunk: Buffer): void {
    const session = this.#session;
    if (session === null) return;
    if (!this.#begun) {
      this.#begun = true;
      if (chunk[0] === 0x16 && !this.secure) {
        // A TLS hello on a plain port: nothing that we say would be understood.
        this.#options.counters.count('imap-tls-hello-refused');
        this.destroy();
        return;
      }
    }
    session.receive(chunk);
    this.#arm();
  }

  secured(): void {
    this.#connection?.expireAfter(this.#options.settings.loginMsMax);
    this.#session?.secured();
  }

  ended(): void {
    if (this.#session === null) this.#connection?.end();
    else this.#session.peerEnded();
  }

  drained(): void {
    this.#stalled = false;
    this.#arm();
    this.#session?.drained();
  }

  expired(): void {
    const session = this.#session;
    if (session === null) return;
    if (this.#stalled) {
      this.#options.counters.count('imap-stalled');
      this.destroy();
      return;
    }
    this.#options.counters.count(session.waitsFor === 'login' ? 'imap-login-timed-out' : 'imap-timed-out');
    session.leave(session.waitsFor === 'login' ? 'No log-in in time' : 'Nothing came for too long');
    // a command that still runs has this long to end
    this.#connection?.expireAfter(this.#options.settings.commandMsMax);
    this.#stalled = true;
  }

  closed(): void {
    const session = this.#session;
    this.#session = null;
    session?.closed();
  }

  // What the session asks for.

  get facts(): ConnectionFacts {
    const connection = this.#connection;
    if (connection === null) return nowhere;
    const { tls } = connection;
    return {
      peer: connection.peer,
      tls: tls === null ? null : { version: tls.version, cipher: tls.cipher },
    };
  }

  get secure(): boolean {
    return this.#connection?.tls != null;
  }

  get canStartTls(): boolean {
    return this.#options.tls !== null;
  }

  channelBinding = (name: string): Uint8Array | null => this.#connection?.channelBinding(name) ?? null;

  write(octets: string | Uint8Array): boolean {
    const taken = this.#connection?.write(octets) ?? true;
    if (!taken && !this.#stalled) {
      this.#stalled = true;
      this.#connection?.expireAfter(this.#options.settings.stallMsMax);
    }
    return taken;
  }

  startTls(): void {
    this.#connection?.startTls();
  }

  loggedIn(): void {
    this.#arm();
  }

  pause(): void {
    this.#connection?.pause();
  }

  resume(): void {
    this.#connection?.resume();
  }

  end(): void {
    this.#connection?.end();
  }

  destroy(): void {
    this.#connection?.destroy();
  }

  #arm(): void {
    if (this.#stalled) return;
    const { settings } = this.#options;
    switch (this.#session?.waitsFor) {
      // from the connection on: what comes before the log-in does not make it longer
      case 'login':
        return;
      case 'rest':
        this.#connection?.expireAfter(settings.commandMsMax);
        return;
      case 'command':
        this.#connection?.expireAfter(settings.idleMsMax);
        return;
    }
  }
}

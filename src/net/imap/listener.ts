import type { Socket } from 'node:net';
import type { Clock } from '#base/clock';
import type { Logger } from '#base/logger';
import {
  type CloseCause,
  type Connection,
  type ConnectionEvents,
  type Counters,
  createDeadlines,
  type Deadlines,
  openConnection,
  plainAddress,
  type ServerTls,
  type SessionGate,
} from '#net/connection';
import {
  type ConnectionFacts,
  type ImapLogin,
  ImapServer,
  ImapSession,
  type ImapTransport,
} from '#protocols/imap';
import type { ImapServerSettings } from './settings.ts';

export interface ImapListenerOptions {
  settings: ImapServerSettings;
  login: ImapLogin;
  /** null where there is no certificate: then nobody can log in */
  tls: ServerTls | null;
  gate: SessionGate;
  counters: Counters;
  clock: Clock;
  log: Logger;
  /** whether the store's `copy` can move (RFC 6851) */
  move: boolean;
  /** how late a time-out may be acted on */
  sweepEveryMs?: number;
}

export interface ImapListener {
  /** Serves a connection; `implicit` begins with a TLS handshake. */
  accept(socket: Socket, security?: 'none' | 'implicit'): void;
  /** sessions that are open */
  readonly sessions: number;
  /** Ends in order: no new session, `BYE` after the command at hand; what is still open after `graceMs` is closed. */
  drain(graceMs: number): Promise<void>;
  /** Acts on the time-outs that are due; a timer does it otherwise. */
  sweep(): void;
}

/** The socket side of IMAP: feeds sessions, writes what they say, keeps their time. */
export const createImapListener = (options: ImapListenerOptions): ImapListener => {
  const { gate, counters, settings } = options;
  const deadlines = createDeadlines({
    clock: options.clock,
    ...(options.sweepEveryMs === undefined ? {} : { everyMs: options.sweepEveryMs }),
  });
  const server = new ImapServer({
    login: options.login,
    log: options.log,
    count: (name) => counters.count(name),
    move: options.move,
    sessionsPerAccountMax: settings.sessionsPerAccountMax,
    appendBytesMax: settings.appendBytesMax,
  });
  const drivers = new Set<Driver>();
  let draining = false;
  let allClosed = (): void => {};

  const refuse = (socket: Socket, security: 'none' | 'implicit', text: string): void => {
    socket.on('error', () => {});
    socket.setTimeout(5_000, () => socket.destroy());
    // With TLS from the start a refusal is not worth a handshake.
    if (security === 'implicit') socket.destroy();
    else socket.end(`* BYE [UNAVAILABLE] ${text}\r\n`).resume();
  };

  return {
    get sessions() {
      return drivers.size;
    },
    sweep: () => deadlines.sweep(),
    accept: (socket, security = 'none') => {
      const { remoteAddress } = socket;
      if (remoteAddress === undefined) {
        // The peer was gone before we came to it.
        socket.on('error', () => {});
        socket.destroy();
        return;
      }
      if (draining) {
        refuse(socket, security, 'Shutting down');
        return;
      }
      const admission = gate.admit(remoteAddress);
      if (admission.kind === 'refused') {
        const { reason } = admission;
        counters.count(`imap-session-refused-${reason}`);
        options.log.debug('imap session refused', { peer: plainAddress(remoteAddress), reason });
        refuse(socket, security, 'Too many sessions, try again later');
        return;
      }
      counters.count('imap-session');
      const driver = new Driver(server, options, () => {
        admission.release();
        drivers.delete(driver);
        if (drivers.size === 0) allClosed();
      });
      drivers.add(driver);
      driver.open(socket, security, deadlines);
    },
    drain: async (graceMs) => {
      draining = true;
      const closed = new Promise<void>((resolve) => {
        allClosed = resolve;
      });
      if (drivers.size === 0) allClosed();
      for (const driver of [...drivers]) driver.shutDown();
      const timer = setTimeout(() => {
        for (const driver of [...drivers]) driver.destroy();
      }, graceMs);
      await closed;
      clearTimeout(timer);
      deadlines.close();
    },
  };
};

const nowhere: ConnectionFacts = { peer: { address: '', port: 0 }, tls: null };

/** One connection and its session. */
class Driver implements ConnectionEvents, ImapTransport {
  readonly #server: ImapServer;
  readonly #options: ImapListenerOptions;
  readonly #released: () => void;
  #connection: Connection | null = null;
  #session: ImapSession | null = null;
  /** the first octet has come: it was none of a TLS hello */
  #begun = false;
  /** the client does not take what was sent */
  #stalled = false;

  constructor(server: ImapServer, options: ImapListenerOptions, released: () => void) {
    this.#server = server;
    this.#options = options;
    this.#released = released;
  }

  open(socket: Socket, security: 'none' | 'implicit', deadlines: Deadlines): void {
    const { tls } = this.#options;
    this.#connection = openConnection({ socket, events: this, deadlines, security, tls, alpn: ['imap'] });
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

  closed(cause: CloseCause): void {
    if (cause === 'handshake-failed') this.#options.counters.count('imap-tls-handshake-failed');
    const session = this.#session;
    this.#session = null;
    session?.closed();
    this.#released();
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

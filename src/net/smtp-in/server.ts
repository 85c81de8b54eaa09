import type { Socket } from 'node:net';
import type { Clock } from '#base/clock';
import { FengniError } from '#base/errors';
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
  type TlsFacts,
} from '#net/connection';
import {
  createSmtpSession,
  type DeliveryOutcome,
  type InboundDelivery,
  type InboundService,
  type InboundTransaction,
  type RecipientVerdict,
  refuseSession,
  type SmtpAnswer,
  type SmtpEffect,
  type SmtpSession,
} from '#protocols/smtp';
import type { SmtpServerSettings } from './settings.ts';

export interface SmtpServerOptions {
  settings: SmtpServerSettings;
  service: InboundService;
  /** null where there is no certificate; `settings.starttls` is false then */
  tls: ServerTls | null;
  gate: SessionGate;
  counters: Counters;
  clock: Clock;
  log: Logger;
  /** how late a time-out may be acted on */
  sweepEveryMs?: number;
}

export interface SmtpServer {
  /** Serves a connection; `implicit` begins with a TLS handshake. */
  accept(socket: Socket, security?: 'none' | 'implicit'): void;
  /** sessions that are open */
  readonly sessions: number;
  /**
   * Ends in order: no new session, 421 4.3.2 to all that wait for a command, and to the others after the recipient or
   * message at hand. What is still open after `graceMs` is closed.
   */
  drain(graceMs: number): Promise<void>;
  /** Acts on the time-outs that are due; a timer does it otherwise. */
  sweep(): void;
}

/** The socket side of SMTP reception: feeds sessions, does what they say, keeps their time. */
export const createSmtpServer = (options: SmtpServerOptions): SmtpServer => {
  const { settings, gate, counters } = options;
  const deadlines = createDeadlines({
    clock: options.clock,
    ...(options.sweepEveryMs === undefined ? {} : { everyMs: options.sweepEveryMs }),
  });
  const drivers = new Set<Driver>();
  let draining = false;
  let allClosed = (): void => {};

  const refuse = (socket: Socket, security: 'none' | 'implicit', enhanced: string, text: string): void => {
    socket.on('error', () => {});
    socket.setTimeout(5_000, () => socket.destroy());
    // With TLS from the start a refusal is not worth a handshake.
    if (security === 'implicit') socket.destroy();
    else socket.end(refuseSession(settings.hostname, enhanced, text)).resume();
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
        refuse(socket, security, '4.3.2', 'Shutting down');
        return;
      }
      const admission = gate.admit(remoteAddress);
      if (admission.kind === 'refused') {
        const { reason } = admission;
        counters.count(`smtp-session-refused-${reason}`);
        options.log.debug('smtp session refused', { peer: plainAddress(remoteAddress), reason });
        if (reason === 'full') refuse(socket, security, '4.3.2', 'Too many sessions, try again later');
        else if (reason === 'too-many-sessions') {
          refuse(socket, security, '4.7.0', 'Too many sessions from your address');
        } else refuse(socket, security, '4.7.0', 'Too many new sessions from your address');
        return;
      }
      counters.count('smtp-session');
      const driver = new Driver(options, () => {
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

const failed = {
  kind: 'refused',
  code: 451,
  enhanced: '4.3.0',
  text: 'Something failed here; try again later',
} as const;

/** One connection and its session. */
class Driver implements ConnectionEvents {
  readonly #options: SmtpServerOptions;
  readonly #released: () => void;
  #connection: Connection | null = null;
  #session: SmtpSession | null = null;
  #delivery: InboundDelivery | null = null;
  /** effects that wait for a `write` to settle */
  #queue: SmtpEffect[] = [];
  #writing = false;
  #paused = false;
  /** replies that go out together */
  #unsent = '';
  #inData = false;
  #dataBeganAtMs = 0;
  #windowBeganAtMs = 0;
  #windowBeganAtBytes = 0;
  /** we, not the peer, made the message wait in this window */
  #heldUp = false;

  constructor(options: SmtpServerOptions, released: () => void) {
    this.#options = options;
    this.#released = released;
  }

  open(socket: Socket, security: 'none' | 'implicit', deadlines: Deadlines): void {
    const { tls } = this.#options;
    this.#connection = openConnection({ socket, events: this, deadlines, security, tls, alpn: ['smtp'] });
  }

  shutDown(): void {
    if (this.#session === null) this.#connection?.destroy();
    else this.#do((session) => session.shutDown());
  }

  destroy(): void {
    this.#connection?.destroy();
  }

  opened(): void {
    const connection = this.#connection;
    if (connection === null) return;
    this.#session = createSmtpSession(this.#options.settings, connection.peer, connection.tls);
    this.#do((session) => session.greet());
  }

  octets(chunk: Buffer): void {
    this.#do((session) => session.feed(chunk));
  }

  secured(tls: TlsFacts): void {
    this.#paused = false;
    this.#answer({ kind: 'secured', tls });
    this.#arm();
  }

  ended(): void {
    this.#do((session) => session.peerEnded());
  }

  drained(): void {
    this.#regulate();
  }

  expired(nowMs: number): void {
    const session = this.#session;
    if (session === null) return;
    if (session.phase === 'data' && this.#keepsUp(session.dataBytes, nowMs)) this.#armData(nowMs);
    else this.#do(() => session.timeOut());
  }

  closed(cause: CloseCause): void {
    if (cause === 'handshake-failed') this.#options.counters.count('smtp-tls-handshake-failed');
    this.#session = null;
    this.#queue = [];
    this.#abort();
    this.#released();
  }

  #do(step: (session: SmtpSession) => SmtpEffect[]): void {
    const session = this.#session;
    if (session === null) return;
    try {
      const effects = step(session);
      if (effects.length > 0) {
        this.#queue = this.#queue.length === 0 ? effects : this.#queue.concat(effects);
        this.#run();
      }
      this.#regulate();
    } catch (error) {
      // A bug met by one session ends that session, not the others.
      this.#options.counters.count('smtp-bug');
      this.#options.log.error('smtp session met a bug', { error: String(error) });
      this.destroy();
    }
  }

  #run(): void {
    const queue = this.#queue;
    let next = 0;
    while (next < queue.length && !this.#writing) {
      const effect = queue[next];
      next += 1;
      if (effect !== undefined) this.#act(effect);
    }
    this.#queue = next === queue.length ? [] : queue.slice(next);
    const session = this.#session;
    if (session === null) return;
    // RFC 2920 §3.2: replies to commands that came together go out together.
    if (session.pendingBytes === 0 || (session.phase !== 'rcpt' && session.phase !== 'end')) this.#flush();
    this.#arm();
  }

  #act(effect: SmtpEffect): void {
    switch (effect.kind) {
      case 'reply':
        this.#unsent += effect.text;
        return;
      case 'count':
        this.#options.counters.count(effect.name);
        return;
      case 'rcpt':
        this.#ask(effect.transaction, effect.address);
        return;
      case 'begin':
        try {
          this.#delivery = this.#options.service.begin(effect.transaction, effect.recipients);
        } catch (error) {
          this.#failed(error);
        }
        return;
      case 'body':
        this.#write(effect.octets);
        return;
      case 'end':
        this.#finish();
        return;
      case 'abort':
        this.#abort();
        return;
      case 'starttls':
        this.#flush();
        this.#connection?.startTls();
        return;
      case 'close':
        this.#flush();
        this.#connection?.end();
        return;
    }
  }

  async #ask(transaction: InboundTransaction, address: string): Promise<void> {
    let verdict: RecipientVerdict = failed;
    try {
      verdict = await this.#options.service.recipient(transaction, address);
    } catch (error) {
      this.#failed(error);
    }
    this.#answer({ kind: 'rcpt', verdict });
  }

  #write(octets: Buffer): void {
    if (this.#delivery === null) return;
    try {
      const written = this.#delivery.write(octets);
      if (written !== undefined) this.#await(written);
    } catch (error) {
      this.#abort();
      this.#failed(error);
    }
  }

  async #await(written: Promise<void>): Promise<void> {
    this.#writing = true;
    try {
      await written;
    } catch (error) {
      this.#abort();
      this.#failed(error);
    }
    this.#writing = false;
    this.#do(() => {
      this.#run();
      return [];
    });
  }

  async #finish(): Promise<void> {
    const delivery = this.#delivery;
    // From here on the service decides, whether or not the peer can still be told.
    this.#delivery = null;
    let outcome: DeliveryOutcome = failed;
    try {
      if (delivery !== null) outcome = await delivery.finish();
      else await null;
    } catch (error) {
      this.#failed(error);
    }
    this.#answer({ kind: 'end', outcome });
  }

  #abort(): void {
    const delivery = this.#delivery;
    this.#delivery = null;
    try {
      delivery?.abort();
    } catch (error) {
      this.#failed(error);
    }
  }

  #answer(answer: SmtpAnswer): void {
    this.#do((session) => session.answer(answer));
  }

  #failed(error: unknown): void {
    this.#options.counters.count('smtp-service-failed');
    this.#options.log.error('smtp service failed', {
      peer: this.#connection?.peer.address,
      error: error instanceof FengniError ? error.code : error instanceof Error ? error.name : 'unknown',
    });
  }

  #flush(): void {
    if (this.#unsent === '') return;
    this.#connection?.write(this.#unsent);
    this.#unsent = '';
  }

  /** Reads from the peer only while what it sends can be used and what we send is taken. */
  #regulate(): void {
    const { pendingBytesMax, unsentBytesMax } = this.#options.settings;
    const connection = this.#connection;
    const session = this.#session;
    if (connection === null || session === null) return;
    const hold =
      this.#writing || session.pendingBytes > pendingBytesMax || connection.writableBytes > unsentBytesMax;
    if (this.#writing) this.#heldUp = true;
    if (hold === this.#paused) return;
    this.#paused = hold;
    if (hold) connection.pause();
    else connection.resume();
  }

  /** Sets the time by which the session must have come further. Octets that complete nothing do not move it. */
  #arm(): void {
    const connection = this.#connection;
    const phase = this.#session?.phase;
    if (connection === null || phase === undefined) return;
    if (phase === 'data') {
      if (this.#inData) return;
      const nowMs = this.#options.clock.monotonicMs();
      this.#inData = true;
      this.#dataBeganAtMs = nowMs;
      this.#armData(nowMs);
      return;
    }
    this.#inData = false;
    // The service has its own limit of time for a message (phase `end`); TLS has the connection's.
    if (phase === 'command' || phase === 'rcpt') connection.expireAfter(this.#options.settings.commandMs);
    else if (phase === 'end') connection.expireAfter(null);
  }

  #armData(nowMs: number): void {
    const { dataWindowMs, dataMs } = this.#options.settings;
    this.#windowBeganAtMs = nowMs;
    this.#windowBeganAtBytes = this.#session?.dataBytes ?? 0;
    this.#heldUp = this.#writing;
    this.#connection?.expireAfter(Math.min(dataWindowMs, dataMs));
  }

  #keepsUp(dataBytes: number, nowMs: number): boolean {
    if (this.#heldUp) return true;
    const { dataBytesPerSecondMin, dataBytesPerSecond, dataMs } = this.#options.settings;
    const windowBytes = dataBytes - this.#windowBeganAtBytes;
    if (windowBytes * 1000 < dataBytesPerSecondMin * (nowMs - this.#windowBeganAtMs)) return false;
    return nowMs - this.#dataBeganAtMs <= dataMs + (dataBytes / dataBytesPerSecond) * 1000;
  }
}

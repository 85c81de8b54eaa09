import type { Clock } from '#base/clock';
import { FengniError } from '#base/errors';
import type { Logger } from '#base/logger';
import {
  type Connection,
  createSessionServer,
  networksOf,
  type SessionDriver,
  type SessionRefusal,
  type SessionServer,
  type SessionServerBasics,
  type TlsFacts,
} from '#net/connection';
import {
  createSmtpSession,
  type DeliveryOutcome,
  type InboundDelivery,
  type InboundService,
  type InboundTransaction,
  type RecipientVerdict,
  type RefusedAttempt,
  type RefusedMessage,
  refuseSession,
  type SenderVerdict,
  type SmtpAnswer,
  type SmtpEffect,
  type SmtpSession,
} from '#protocols/smtp';
import type { Attempt } from '#services/trace';
import { createManners, type Manners } from './manners.ts';
import { attemptOf, createSessionNames, reasonOf } from './refused.ts';
import type { SmtpServerSettings } from './settings.ts';

export interface SmtpServerOptions extends SessionServerBasics {
  /** `starttls` is false where there is no certificate */
  settings: SmtpServerSettings;
  service: InboundService;
  /** is told of everything that was refused; it neither waits nor throws */
  refused?(attempt: Attempt): void;
}

export type SmtpServer = SessionServer;

/** The socket side of SMTP and LMTP reception: feeds sessions, does what they say, keeps their time. */
export const createSmtpServer = (options: SmtpServerOptions): SmtpServer => {
  const { settings, clock, gate } = options;
  const nameSession = createSessionNames(clock);
  const refused = options.refused ?? (() => {});
  const shared: Shared = {
    ...options,
    refused,
    nameSession,
    manners: createManners(clock),
    isTrusted: (address) => address === '' || gate.isTrusted(address),
    relays: networksOf(settings.xclientFrom),
  };
  return createSessionServer({
    ...options,
    name: 'smtp',
    alpn: [settings.protocol],
    refusal: (reason, address) => {
      const text = refuseSession(settings.hostname, ...refusals[reason]);
      refused(
        attemptOf({
          timeMs: clock.nowMs(),
          session: nameSession(),
          text,
          reason: `session-refused-${reason}`,
          about: null,
          peer: { address, port: 0 },
          message: null,
        }),
      );
      return text;
    },
    driver: () => new Driver(shared),
  });
};

const refusals: Readonly<Record<SessionRefusal, readonly [enhanced: string, text: string]>> = {
  draining: ['4.3.2', 'Shutting down'],
  full: ['4.3.2', 'Too many sessions, try again later'],
  'too-many-sessions': ['4.7.0', 'Too many sessions from your address'],
  'too-many-a-second': ['4.7.0', 'Too many new sessions from your address'],
};

interface Shared {
  settings: SmtpServerSettings;
  service: InboundService;
  counters: SessionServerBasics['counters'];
  clock: Clock;
  log: Logger;
  manners: Manners;
  isTrusted(address: string): boolean;
  relays: ReturnType<typeof networksOf>;
  refused(attempt: Attempt): void;
  nameSession(): string;
}

/** by the first digit, from 2 */
const replyNames = ['smtp-reply-2xx', 'smtp-reply-3xx', 'smtp-reply-4xx', 'smtp-reply-5xx'];

const failed = {
  kind: 'refused',
  code: 451,
  enhanced: '4.3.0',
  text: 'Something failed here; try again later',
  reason: 'service-failed',
} as const;

/** One connection and its session. */
class Driver implements SessionDriver {
  readonly #options: Shared;
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
  /** the greeting is held back, to see whether the peer waits for it */
  #pausing = false;
  /** we, not the peer, made the message wait in this window */
  #heldUp = false;
  /** names this connection in what is told of refusals; given with the first */
  #name = '';
  /** what was counted last, since the reply before: it says which rule refuses */
  #reason = '';
  /** what the service called it */
  #verdictReason = '';
  /** what is known of the message that is being refused */
  #refusedMessage: RefusedMessage | null = null;

  constructor(options: Shared) {
    this.#options = options;
  }

  attach(connection: Connection): void {
    this.#connection = connection;
  }

  shutDown(): void {
    if (this.#session === null) this.#connection?.destroy();
    else this.#do((session) => session.shutDown());
  }

  opened(): void {
    const connection = this.#connection;
    if (connection === null) return;
    const { settings, manners, isTrusted, relays } = this.#options;
    const { address, port, proxy } = connection.peer;
    this.#session = createSmtpSession(
      settings,
      {
        address,
        port,
        via: proxy === null ? [] : [{ by: 'PROXY', address: proxy }],
        // Who may connect to a Unix socket is decided by its mode.
        isTrustedRelay: address === '' || relays.has(address),
      },
      connection.tls,
    );
    // With TLS the peer has waited already, for us and for each other's turns.
    const pauseMs = connection.tls !== null || isTrusted(address) ? 0 : settings.greetPauseMs;
    if (pauseMs > 0 && !manners.areKnown(address)) {
      this.#pausing = true;
      connection.expireAfter(pauseMs);
    } else this.#do((session) => session.greet());
  }

  octets(chunk: Buffer): void {
    if (this.#pausing) this.#interrupted();
    else this.#do((session) => session.feed(chunk));
  }

  secured(tls: TlsFacts): void {
    this.#paused = false;
    this.#answer({ kind: 'secured', tls });
    this.#arm();
  }

  ended(): void {
    if (this.#pausing) this.#connection?.destroy();
    else this.#do((session) => session.peerEnded());
  }

  drained(): void {
    this.#regulate();
  }

  expired(nowMs: number): void {
    const session = this.#session;
    if (session === null) return;
    if (this.#pausing) {
      this.#pausing = false;
      this.#options.manners.learn(this.#connection?.peer.address ?? '');
      this.#do(() => session.greet());
      return;
    }
    if (session.phase === 'data' && this.#keepsUp(session.dataBytes, nowMs)) this.#armData(nowMs);
    else this.#do(() => session.timeOut());
  }

  closed(): void {
    this.#session = null;
    this.#queue = [];
    this.#abort();
  }

  /** RFC 5321 §4.3.1: the client waits for the greeting. One that does not will not read our replies either. */
  #interrupted(): void {
    const { counters, settings } = this.#options;
    this.#pausing = false;
    this.#session = null;
    counters.count('smtp-early-talker');
    const text = `554 5.5.1 ${settings.hostname} Wait for the greeting before you speak\r\n`;
    this.#reason = 'early-talker';
    this.#tellRefused(text, null);
    this.#connection?.write(text);
    this.#connection?.end();
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
      this.#connection?.destroy();
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
    if (session.pendingBytes === 0 || !session.waiting) this.#flush();
    this.#arm();
  }

  #act(effect: SmtpEffect): void {
    switch (effect.kind) {
      case 'reply':
        this.#unsent += effect.text;
        this.#options.counters.count(replyNames[effect.text.charCodeAt(0) - 0x32] ?? 'smtp-reply-other');
        if (effect.refused !== undefined) this.#tellRefused(effect.text, effect.refused);
        this.#reason = '';
        return;
      case 'count':
        this.#options.counters.count(effect.name);
        this.#reason = reasonOf(effect.name) ?? this.#reason;
        return;
      case 'mail':
        this.#askSender(effect.transaction);
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
        if (effect.reason === 'bare-octet' || effect.reason === 'size' || effect.reason === 'loop')
          this.#refusedMessage = this.#delivery?.seen?.() ?? null;
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

  async #askSender(transaction: InboundTransaction): Promise<void> {
    let verdict: SenderVerdict = failed;
    try {
      verdict = await this.#options.service.sender(transaction);
    } catch (error) {
      this.#failed(error);
    }
    this.#noteVerdict(verdict);
    this.#answer({ kind: 'mail', verdict });
  }

  async #ask(transaction: InboundTransaction, address: string): Promise<void> {
    let verdict: RecipientVerdict = failed;
    try {
      verdict = await this.#options.service.recipient(transaction, address);
    } catch (error) {
      this.#failed(error);
    }
    this.#noteVerdict(verdict);
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
    this.#noteVerdict(outcome);
    this.#answer({ kind: 'end', outcome });
  }

  /** Which rule of the service refused, and what it knows of the message. */
  #noteVerdict(verdict: SenderVerdict | RecipientVerdict | DeliveryOutcome): void {
    if (verdict.kind !== 'refused') return;
    this.#refusedMessage = verdict.message ?? null;
    this.#verdictReason = verdict.reason ?? '';
  }

  #tellRefused(text: string, about: RefusedAttempt | null): void {
    const { address = '', port = 0 } = this.#connection?.peer ?? {};
    const reason = this.#verdictReason === '' ? this.#reason : this.#verdictReason;
    const message = this.#refusedMessage;
    this.#verdictReason = '';
    this.#refusedMessage = null;
    // Silence that ends, and our own end, refuse nobody's mail.
    if (about?.mailFrom === null && /^421 4\.(?:4\.2|3\.2) /.test(text)) return;
    if (this.#name === '') this.#name = this.#options.nameSession();
    this.#options.refused(
      attemptOf({
        timeMs: this.#options.clock.nowMs(),
        session: this.#name,
        text,
        reason,
        about,
        peer: { address, port },
        message,
      }),
    );
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
    if (phase === 'command' || phase === 'mail' || phase === 'rcpt')
      connection.expireAfter(this.#options.settings.commandMs);
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

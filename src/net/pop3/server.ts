import type { Random } from '#base/clock';
import { FengniError } from '#base/errors';
import {
  type Connection,
  createSessionServer,
  type SessionDriver,
  type SessionServer,
  type SessionServerBasics,
} from '#net/connection';
import {
  ContentEncoder,
  createPop3Session,
  type Maildrop,
  type OpenedMessage,
  type Pop3Answer,
  type Pop3Credentials,
  type Pop3Effect,
  type Pop3Login,
  type Pop3Refusal,
  type Pop3Session,
  type QuitOutcome,
  refusePop3Session,
  TopLimit,
} from '#protocols/pop3';
import type { Pop3ServerSettings } from './settings.ts';

export interface Pop3ServerOptions extends SessionServerBasics {
  /** `stls` is false where there is no certificate, and then nobody can log in */
  settings: Pop3ServerSettings;
  login: Pop3Login;
  /** nonces of log-ins */
  random: Random;
}

export type Pop3Server = SessionServer;

/** The socket side of POP3: feeds sessions, does what they say, keeps their time. */
export const createPop3Server = (options: Pop3ServerOptions): Pop3Server =>
  createSessionServer({
    ...options,
    name: 'pop3',
    alpn: ['pop3'],
    refusal: (reason) =>
      refusePop3Session(
        'SYS/TEMP',
        reason === 'draining' ? 'Shutting down' : 'Too many sessions, try again later',
      ),
    driver: () => new Driver(options),
  });

const notNow: Pop3Refusal = { kind: 'refused', code: 'SYS/TEMP', text: 'Logging in is not possible now' };
const noScram: Pop3Refusal = { kind: 'refused', code: 'AUTH', text: 'Only passwords are known here' };

/** One connection and its session. */
class Driver implements SessionDriver {
  readonly #options: Pop3ServerOptions;
  #connection: Connection | null = null;
  #session: Pop3Session | null = null;
  #maildrop: Maildrop | null = null;
  /** the message that `opened` was answered with */
  #found: AsyncIterable<Uint8Array> | null = null;
  /** removing is under way: the maildrop stays open until it is done */
  #quitting = false;
  #paused = false;
  /** what goes out together */
  #gathered: (string | Uint8Array)[] = [];
  #gatheredBytes = 0;
  /** wakes what waits for the client to take what was sent, or for the end */
  #wake: (() => void) | null = null;

  constructor(options: Pop3ServerOptions) {
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
    const { settings, login, random } = this.#options;
    this.#session = createPop3Session(settings, connection.tls !== null, {
      binding: (name) => connection.channelBinding(name),
      random,
      hasAppPasswords: () => login.scram?.offered() ?? false,
    });
    this.#do((session) => session.greet());
  }

  octets(chunk: Buffer): void {
    this.#do((session) => session.feed(chunk));
  }

  secured(): void {
    this.#paused = false;
    this.#answer({ kind: 'secured' });
    this.#arm();
  }

  ended(): void {
    this.#do((session) => session.peerEnded());
  }

  drained(): void {
    this.#arm();
    if (this.#session !== null) this.#regulate(this.#session);
    this.#wakeUp();
  }

  expired(): void {
    // A client that does not take what was sent gets no reply either.
    const sending = this.#session?.phase === 'sending';
    this.#do((session) => session.timeOut());
    if (sending) this.#connection?.destroy();
  }

  closed(): void {
    this.#session = null;
    this.#gathered = [];
    this.#wakeUp();
    if (!this.#quitting) this.#closeMaildrop();
  }

  #do(step: (session: Pop3Session) => readonly Pop3Effect[]): void {
    const session = this.#session;
    if (session === null) return;
    try {
      const effects = step(session);
      for (const effect of effects) this.#act(effect);
      // Replies to commands that came together go out together.
      if (session.pendingBytes === 0 || session.phase === 'command') this.#flush();
      if (effects.length > 0) this.#arm();
      this.#regulate(session);
    } catch (error) {
      // A bug met by one session ends that session, not the others.
      this.#options.counters.count('pop3-bug');
      this.#options.log.error('pop3 session met a bug', { error: String(error) });
      this.#connection?.destroy();
    }
  }

  #act(effect: Pop3Effect): void {
    switch (effect.kind) {
      case 'reply':
        this.#options.counters.count(effect.text.startsWith('+') ? 'pop3-reply-ok' : 'pop3-reply-err');
        this.#gather(effect.text);
        return;
      case 'count':
        this.#options.counters.count(effect.name);
        return;
      case 'login':
        this.#login((login, from) => login.verify({ user: effect.user, password: effect.password, ...from }));
        return;
      case 'parameters':
        this.#parameters(effect.user);
        return;
      case 'proof':
        this.#login(
          async (login, from) => (await login.scram?.prove({ ...effect.proof, ...from })) ?? noScram,
        );
        return;
      case 'open':
        this.#open(effect.index);
        return;
      case 'content':
        this.#content(effect.bodyLines);
        return;
      case 'listing':
        this.#listing(effect.pieces);
        return;
      case 'quit':
        this.#quit(effect.deleted);
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

  async #parameters(user: string): Promise<void> {
    try {
      const outcome = (await this.#options.login.scram?.parameters(user)) ?? noScram;
      this.#answer({ kind: 'parameters', outcome });
    } catch (error) {
      this.#failed(error);
      this.#answer({ kind: 'parameters', outcome: notNow });
    }
  }

  async #login(
    ask: (
      login: Pop3Login,
      from: Pick<Pop3Credentials, 'peer' | 'end'>,
    ) => Promise<
      { readonly kind: 'granted'; maildrop: Maildrop; serverSignature?: Uint8Array } | Pop3Refusal
    >,
  ): Promise<void> {
    const peer = this.#connection?.peer ?? { address: '', port: 0 };
    const end = (): void => this.#do((session) => session.revoke());
    try {
      const outcome = await ask(this.#options.login, { peer, end });
      if (outcome.kind === 'refused') {
        this.#answer({ kind: 'login', outcome });
        return;
      }
      this.#maildrop = outcome.maildrop;
      // The client may be gone by now.
      if (this.#session === null) this.#closeMaildrop();
      else {
        const { maildrop, serverSignature } = outcome;
        const { messages } = maildrop;
        this.#answer({
          kind: 'login',
          outcome: {
            kind: 'granted',
            messages,
            ...(serverSignature === undefined ? {} : { serverSignature }),
          },
        });
      }
    } catch (error) {
      this.#failed(error);
      this.#answer({ kind: 'login', outcome: notNow });
    }
  }

  async #open(index: number): Promise<void> {
    // "Could not read" must not look like "is not there": the client would take the message for removed.
    let opened: OpenedMessage | { readonly kind: 'unavailable' } = { kind: 'unavailable' };
    try {
      if (this.#maildrop !== null) opened = await this.#maildrop.open(index);
    } catch (error) {
      this.#failed(error);
    }
    if (opened.kind === 'found') this.#found = opened.octets;
    this.#answer({ kind: 'opened', outcome: opened });
  }

  async #content(bodyLines: number | null): Promise<void> {
    const octets = this.#found;
    this.#found = null;
    const encoder = new ContentEncoder();
    const limit = bodyLines === null ? null : new TopLimit(bodyLines);
    const gather = (piece: Buffer): void => this.#gather(piece);
    try {
      for await (const chunk of octets ?? []) {
        const whole = Buffer.from(chunk.buffer, chunk.byteOffset, chunk.byteLength);
        encoder.encode(limit === null ? whole : limit.pass(whole), gather);
        if (this.#gatheredBytes >= this.#options.settings.gatherBytes && !(await this.#sent())) return;
        if (limit?.done === true) break;
      }
    } catch (error) {
      // No final dot: so the client knows that this is not the whole message.
      this.#options.counters.count('pop3-message-broken-off');
      this.#failed(error);
      this.#flush();
      this.#connection?.destroy();
      return;
    }
    this.#gather(encoder.finish());
    this.#answer({ kind: 'sent' });
  }

  async #listing(pieces: Iterable<string>): Promise<void> {
    // The effects that came with this one are done first.
    await null;
    for (const piece of pieces) {
      this.#gather(piece);
      if (this.#gatheredBytes >= this.#options.settings.gatherBytes && !(await this.#sent())) return;
    }
    this.#answer({ kind: 'sent' });
  }

  async #quit(deleted: readonly number[]): Promise<void> {
    let outcome: QuitOutcome = {
      kind: 'failed',
      code: 'SYS/TEMP',
      text: 'Nothing was removed, try again later',
    };
    this.#quitting = true;
    try {
      if (this.#maildrop !== null) outcome = await this.#maildrop.quit(deleted);
    } catch (error) {
      this.#failed(error);
    }
    this.#quitting = false;
    this.#closeMaildrop();
    this.#answer({ kind: 'quit', outcome });
  }

  #closeMaildrop(): void {
    const maildrop = this.#maildrop;
    this.#maildrop = null;
    try {
      maildrop?.close();
    } catch (error) {
      this.#failed(error);
    }
  }

  #answer(answer: Pop3Answer): void {
    this.#do((session) => session.answer(answer));
  }

  #failed(error: unknown): void {
    this.#options.counters.count('pop3-service-failed');
    this.#options.log.error('pop3 service failed', {
      peer: this.#connection?.peer.address,
      error: error instanceof FengniError ? error.code : error instanceof Error ? error.name : 'unknown',
    });
  }

  #gather(piece: string | Uint8Array): void {
    this.#gathered.push(piece);
    this.#gatheredBytes += piece.length;
  }

  /** @returns whether the client keeps up */
  #flush(): boolean {
    if (this.#gatheredBytes === 0) return true;
    const pieces = this.#gathered;
    this.#gathered = [];
    this.#gatheredBytes = 0;
    return this.#connection?.writeAll(pieces) ?? true;
  }

  /** Sends what is gathered and waits until the client takes more. @returns false when the session is over */
  async #sent(): Promise<boolean> {
    if (!this.#flush()) {
      await new Promise<void>((resolve) => {
        this.#wake = resolve;
      });
    }
    return this.#session !== null && this.#session.phase !== 'closed';
  }

  #wakeUp(): void {
    const wake = this.#wake;
    this.#wake = null;
    wake?.();
  }

  /** Reads from the client only while its commands can be served. */
  #regulate(session: Pop3Session): void {
    const connection = this.#connection;
    if (connection === null) return;
    const hold =
      session.pendingBytes > this.#options.settings.pendingBytesMax ||
      connection.writableBytes > 2 * this.#options.settings.gatherBytes;
    if (hold === this.#paused) return;
    this.#paused = hold;
    if (hold) connection.pause();
    else connection.resume();
  }

  #arm(): void {
    const session = this.#session;
    if (session === null || session.phase === 'closed' || session.phase === 'tls') return;
    const { loginMs, commandMs } = this.#options.settings;
    // A log-in or a removal takes as long as the service needs.
    const ms =
      session.phase === 'login' || session.phase === 'quit' ? null : session.loggedIn ? commandMs : loginMs;
    this.#connection?.expireAfter(ms);
  }
}

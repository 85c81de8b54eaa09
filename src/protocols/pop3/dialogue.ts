import {
  ContentEncoder,
  createPop3Session,
  type Pop3Channel,
  type Pop3Effect,
  type Pop3Session,
  type Pop3Settings,
  pop3Defaults,
  type QuitOutcome,
  TopLimit,
} from './index.ts';

export interface Pop3DialogueOptions {
  channel?: Partial<Pop3Channel>;
  settings?: Partial<Pop3Settings>;
  secure?: boolean;
  /** the messages, in latin1; null is a damaged one, undefined one that is gone */
  messages?: readonly (string | null | undefined)[];
  quit?: QuitOutcome;
  /** answers are given when all octets have been fed, not at once */
  late?: boolean;
}

export const testSettings: Pop3Settings = { hostname: 'pop.fengni.test', stls: true, ...pop3Defaults };

/**
 * A session with a service that answers by rule, for tests and fuzzing: the user is `user`, the password `secret word`.
 * It checks that effects come in the order that the session promises.
 */
export class Pop3Dialogue {
  readonly session: Pop3Session;
  replies = '';
  readonly logins: { user: string; password: string }[] = [];
  readonly deleted: (readonly number[])[] = [];
  readonly counts = new Map<string, number>();
  closed = false;
  handshakes = 0;
  readonly #options: Pop3DialogueOptions;
  #opened: string | null = null;
  #toAnswer: (() => Pop3Effect[]) | null = null;

  constructor(options: Pop3DialogueOptions = {}) {
    this.#options = options;
    this.session = createPop3Session({ ...testSettings, ...options.settings }, options.secure ?? true, {
      binding: () => null,
      random: (bytes) => new Uint8Array(bytes),
      hasAppPasswords: () => false,
      ...options.channel,
    });
    this.act(this.session.greet());
  }

  send(octets: string | Uint8Array, cuts: readonly number[] = []): this {
    const whole = typeof octets === 'string' ? Buffer.from(octets, 'utf8') : Buffer.from(octets);
    let from = 0;
    for (const cut of [...cuts, whole.length]) {
      if (cut <= from) continue;
      this.act(this.session.feed(whole.subarray(from, cut)));
      if (this.#options.late !== true) this.settle();
      from = cut;
    }
    this.settle();
    return this;
  }

  settle(): void {
    for (let answer = this.#toAnswer; answer !== null; answer = this.#toAnswer) {
      this.#toAnswer = null;
      this.act(answer());
    }
  }

  /** The replies since the last call, by line. */
  take(): string[] {
    const lines = this.replies.split('\r\n').slice(0, -1);
    this.replies = '';
    return lines;
  }

  act(effects: readonly Pop3Effect[]): void {
    for (const effect of effects) {
      if (this.closed) throw new Error(`an effect after close: ${effect.kind}`);
      if (this.#toAnswer !== null && effect.kind !== 'count')
        throw new Error(`${effect.kind} while it waits`);
      this.#act(effect);
    }
  }

  #act(effect: Pop3Effect): void {
    const { session } = this;
    const messages = this.#options.messages ?? [];
    switch (effect.kind) {
      case 'reply':
        if (!/^(?:[\x20-\x7e]{0,510}\r\n)+$/.test(effect.text))
          throw new Error(`not a reply: ${effect.text}`);
        this.replies += effect.text;
        return;
      case 'count':
        this.counts.set(effect.name, (this.counts.get(effect.name) ?? 0) + 1);
        return;
      case 'login': {
        const { user, password } = effect;
        this.logins.push({ user, password });
        const granted = user === 'user' && password === 'secret word';
        this.#toAnswer = () =>
          session.answer({
            kind: 'login',
            outcome: granted
              ? {
                  kind: 'granted',
                  messages: messages.map((text, index) => ({
                    sizeBytes: text?.length ?? 7,
                    uidl: `uidl-${index}`,
                  })),
                }
              : { kind: 'refused', code: 'AUTH', text: 'Wrong user or password' },
          });
        return;
      }
      case 'parameters':
        this.#toAnswer = () =>
          session.answer({
            kind: 'parameters',
            outcome: { kind: 'parameters', salt: new Uint8Array(16), iterations: 4096 },
          });
        return;
      case 'proof': {
        const isRight = effect.proof.user === 'user' && effect.proof.proof[0] === 1;
        this.#toAnswer = () =>
          session.answer({
            kind: 'login',
            outcome: isRight
              ? { kind: 'granted', messages: [], serverSignature: new Uint8Array(32) }
              : { kind: 'refused', code: 'AUTH', text: 'Wrong user or password' },
          });
        return;
      }
      case 'open': {
        const message = messages[effect.index];
        this.#opened = message ?? null;
        this.#toAnswer = () =>
          session.answer({
            kind: 'opened',
            outcome:
              typeof message === 'string'
                ? { kind: 'found', sizeBytes: message.length }
                : { kind: message === null ? 'damaged' : 'gone' },
          });
        return;
      }
      case 'content': {
        if (this.#opened === null) throw new Error('content without a message');
        const encoder = new ContentEncoder();
        const octets = Buffer.from(this.#opened, 'latin1');
        const limited = effect.bodyLines === null ? octets : new TopLimit(effect.bodyLines).pass(octets);
        encoder.encode(limited, (piece) => {
          this.replies += piece.toString('latin1');
        });
        this.replies += encoder.finish().toString('latin1');
        this.#opened = null;
        this.#toAnswer = () => session.answer({ kind: 'sent' });
        return;
      }
      case 'listing':
        this.replies += [...effect.pieces].join('');
        this.#toAnswer = () => session.answer({ kind: 'sent' });
        return;
      case 'quit':
        this.deleted.push(effect.deleted);
        this.#toAnswer = () =>
          session.answer({ kind: 'quit', outcome: this.#options.quit ?? { kind: 'done' } });
        return;
      case 'starttls':
        this.handshakes += 1;
        return;
      case 'close':
        this.closed = true;
        return;
    }
  }
}

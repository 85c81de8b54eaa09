import { createHash } from 'node:crypto';
import {
  type AcceptedRecipient,
  createSmtpSession,
  type DeliveryOutcome,
  type InboundTls,
  type InboundTransaction,
  type RecipientVerdict,
  type SenderVerdict,
  type SmtpEffect,
  type SmtpPeer,
  type SmtpSession,
  type SmtpSettings,
  smtpDefaults,
} from './index.ts';

/** A message that a dialogue's service accepted. */
export interface Delivered {
  transaction: InboundTransaction;
  recipients: readonly AcceptedRecipient[];
  body: string;
}

export interface DialogueOptions {
  settings?: Partial<SmtpSettings>;
  tls?: InboundTls | null;
  /** answers are given when all octets have been fed, not at once */
  late?: boolean;
  peer?: SmtpPeer;
  sender?(transaction: InboundTransaction): SenderVerdict;
  recipient?(address: string): RecipientVerdict;
  outcome?(body: Buffer, recipients: readonly AcceptedRecipient[]): DeliveryOutcome;
}

/** Test settings: those of production with a name. */
export const testSettings: SmtpSettings = { hostname: 'mx.fengni.test', starttls: true, ...smtpDefaults };

export const testTls: InboundTls = { version: 'TLSv1.3', cipher: 'TLS_AES_256_GCM_SHA384', group: null };

/**
 * A session with a service that answers by rule, for tests and fuzzing. It checks, at every step, what a session promises
 * about the order of its effects.
 */
export class Dialogue {
  readonly session: SmtpSession;
  /** the text of all replies */
  replies = '';
  readonly delivered: Delivered[] = [];
  readonly aborts: string[] = [];
  readonly counts = new Map<string, number>();
  closed = false;
  handshakes = 0;
  readonly #options: DialogueOptions;
  #open: {
    transaction: InboundTransaction;
    recipients: readonly AcceptedRecipient[];
    pieces: Buffer[];
  } | null = null;
  /** the message that is open came after 354: no reply stands inside it */
  #byData = false;
  #toAnswer: (() => SmtpEffect[]) | null = null;

  constructor(options: DialogueOptions = {}) {
    this.#options = options;
    this.session = createSmtpSession(
      { ...testSettings, ...options.settings },
      options.peer ?? { address: '192.0.2.7', port: 4242 },
      options.tls ?? null,
    );
    this.act(this.session.greet());
  }

  /** Sends octets in chunks that end at the given places. */
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

  /** Gives the answers that wait. */
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

  act(effects: readonly SmtpEffect[]): void {
    for (const effect of effects) {
      if (this.closed) throw new Error(`an effect after close: ${effect.kind}`);
      if (this.#toAnswer !== null && effect.kind !== 'count')
        throw new Error(`${effect.kind} while it waits`);
      this.#act(effect);
    }
  }

  #act(effect: SmtpEffect): void {
    switch (effect.kind) {
      case 'reply':
        if (!/^(?:\d{3}[ -][\x20-\x7e]{0,508}\r\n)+$/.test(effect.text))
          throw new Error(`not a reply: ${effect.text}`);
        if (this.#open !== null && this.#byData) throw new Error('a reply inside a message');
        this.#byData = effect.text.startsWith('354');
        this.replies += effect.text;
        return;
      case 'count':
        this.counts.set(effect.name, (this.counts.get(effect.name) ?? 0) + 1);
        return;
      case 'mail': {
        const verdict = this.#options.sender?.(effect.transaction) ?? { kind: 'accepted' };
        this.#toAnswer = () => this.session.answer({ kind: 'mail', verdict });
        return;
      }
      case 'rcpt': {
        const verdict = (this.#options.recipient ?? byRule)(effect.address);
        this.#toAnswer = () => this.session.answer({ kind: 'rcpt', verdict });
        return;
      }
      case 'begin':
        if (this.#open !== null) throw new Error('a message begins inside another');
        if (effect.recipients.length === 0) throw new Error('a message for nobody');
        this.#open = { transaction: effect.transaction, recipients: effect.recipients, pieces: [] };
        return;
      case 'body':
        if (this.#open === null) throw new Error('body without a message');
        if (effect.octets.length === 0) throw new Error('an empty piece');
        this.#open.pieces.push(effect.octets);
        return;
      case 'abort':
        if (this.#open === null) throw new Error('abort without a message');
        this.#open = null;
        this.aborts.push(effect.reason);
        return;
      case 'end': {
        const open = this.#open;
        if (open === null) throw new Error('end without a message');
        this.#open = null;
        const body = Buffer.concat(open.pieces);
        const outcome = this.#options.outcome?.(body, open.recipients) ?? accept(body);
        if (outcome.kind === 'accepted') {
          const { transaction, recipients } = open;
          this.delivered.push({ transaction, recipients, body: body.toString('latin1') });
        }
        this.#toAnswer = () => this.session.answer({ kind: 'end', outcome });
        return;
      }
      case 'starttls':
        this.handshakes += 1;
        return;
      case 'close':
        if (this.#open !== null) throw new Error('closed inside a message without an abort');
        this.closed = true;
        return;
    }
  }
}

/** `unknown@…` is refused for good, `later@…` for now, everybody else is accepted. */
const byRule = (address: string): RecipientVerdict => {
  if (address.startsWith('unknown')) {
    return { kind: 'refused', code: 550, enhanced: '5.1.1', text: 'No such user' };
  }
  if (address.startsWith('later')) return { kind: 'refused', code: 451, enhanced: '4.3.0', text: 'Not now' };
  return { kind: 'accepted', key: address.toLowerCase() };
};

const accept = (body: Buffer): DeliveryOutcome => ({
  kind: 'accepted',
  id: 'abcdefghijklmnopqrstuvwxyz',
  sha256Hex: createHash('sha256').update(body).digest('hex'),
});

/** Places that cut octets into chunks of one size. */
export const cutsOfSize = (lengthBytes: number, size: number): number[] => {
  const cuts: number[] = [];
  for (let at = size; at < lengthBytes; at += size) cuts.push(at);
  return cuts;
};

import { commandText, LineReader } from '#protocols/lines';
import { isAddressLiteral } from './address-literal.ts';
import type { RecipientDsn } from './dsn.ts';
import type {
  AcceptedRecipient,
  DeliveryOutcome,
  InboundTls,
  InboundTransaction,
  RecipientVerdict,
  Refusal,
  RefusedAttempt,
  SenderVerdict,
  TransactionPeer,
  Via,
  WithProtocol,
} from './inbound.ts';
import { MessageIntake, type MessageVerdict } from './message-intake.ts';
import { type Parameters, readMailParameters, readParameters, readRcptParameters } from './parameters.ts';
import { readPath } from './path.ts';
import { type ClaimVerb, isHeloName, offerOf, parseClaim, type RelayClaim } from './relay-claim.ts';
import { multilineReply, reply } from './reply.ts';
import type { SmtpCounter, SmtpSettings } from './settings.ts';

/** What the driver has to do, in this order. */
export type SmtpEffect =
  /** send a reply: whole lines of ASCII with CRLF; of 4xx and 5xx also what it is about */
  | { readonly kind: 'reply'; readonly text: string; readonly refused?: RefusedAttempt }
  /** ask the service about a sender, then answer `mail` */
  | { readonly kind: 'mail'; readonly transaction: InboundTransaction }
  /** ask the service about a recipient, then answer `rcpt` */
  | { readonly kind: 'rcpt'; readonly transaction: InboundTransaction; readonly address: string }
  /** a message begins */
  | {
      readonly kind: 'begin';
      readonly transaction: InboundTransaction;
      readonly recipients: readonly AcceptedRecipient[];
    }
  /** the next octets of the message, a part of the chunk that was fed */
  | { readonly kind: 'body'; readonly octets: Buffer }
  /** the message is complete: let the service finish it, then answer `end` */
  | { readonly kind: 'end' }
  /** the message that began will not be completed */
  | { readonly kind: 'abort'; readonly reason: AbortReason }
  /** send what is to be sent, change to TLS, then answer `secured` */
  | { readonly kind: 'starttls' }
  | { readonly kind: 'count'; readonly name: SmtpCounter }
  /** send what is to be sent, then close; nothing follows */
  | { readonly kind: 'close' };

export type AbortReason = MessageVerdict | 'reset' | 'timeout' | 'peer-gone' | 'closed';

export type SmtpAnswer =
  | { readonly kind: 'mail'; readonly verdict: SenderVerdict }
  | { readonly kind: 'rcpt'; readonly verdict: RecipientVerdict }
  | { readonly kind: 'end'; readonly outcome: DeliveryOutcome }
  | { readonly kind: 'secured'; readonly tls: InboundTls };

/**
 * `command`: reads commands · `mail`, `rcpt`, `end`: waits for the service, what is fed is kept · `data`: reads a message, or a chunk
 * of it · `tls`: waits for the handshake, what is fed came in clear and is dropped · `closed`: over
 */
export type SmtpPhase = 'command' | 'mail' | 'rcpt' | 'end' | 'data' | 'tls' | 'closed';

export interface SmtpPeer {
  /** an IP address; empty on a Unix socket */
  readonly address: string;
  readonly port: number;
  /** proxies between us whose word the address is */
  readonly via?: readonly Via[];
  /** may say by XCLIENT and XFORWARD who is behind it */
  readonly isTrustedRelay?: boolean;
}

/**
 * The receiving side of SMTP as a pure machine: octets and answers in, effects out; no socket, clock or promise.
 *
 * Always: the effects do not depend on how the octets were cut into chunks (but for where `body` is cut, and how much of
 * it stands before an `abort`, with which reason); replies come in the order of the commands; each `begin` is followed by one of
 * `end` and `abort` before the next; after `close` there is nothing.
 *
 * @source RFC 5321, RFC 2033, RFC 2920, RFC 1870, RFC 6152, RFC 6531, RFC 3030, RFC 3461, RFC 8689, RFC 9422, RFC 2034, RFC 3207
 */
export interface SmtpSession {
  readonly phase: SmtpPhase;
  /** octets fed while the session waits; the driver stops reading when they are many */
  readonly pendingBytes: number;
  /** whether it waits for an answer of the service */
  readonly waiting: boolean;
  /** octets read in phase `data` so far, of the message or chunk at hand, dots as sent */
  readonly dataBytes: number;
  /** the greeting: call it once, first */
  greet(): SmtpEffect[];
  feed(chunk: Uint8Array): SmtpEffect[];
  answer(answer: SmtpAnswer): SmtpEffect[];
  /** The peer was silent or slow for too long: 421 4.4.2. */
  timeOut(): SmtpEffect[];
  /** The server stops: 421 4.3.2 now, or after the message or recipient at hand. */
  shutDown(): SmtpEffect[];
  /** The peer's octets have ended: what waits is still answered, then the session closes. */
  peerEnded(): SmtpEffect[];
}

export const createSmtpSession = (
  settings: SmtpSettings,
  peer: SmtpPeer,
  tls: InboundTls | null,
): SmtpSession => new Session(settings, peer, tls);

/** The greeting of a connection that is not served: number, rate, shutdown. */
export const refuseSession = (hostname: string, enhanced: string, text: string): string =>
  reply(421, enhanced, `${hostname} ${text}`);

const httpVerbs = new Set([
  'GET',
  'POST',
  'PUT',
  'HEAD',
  'DELETE',
  'OPTIONS',
  'CONNECT',
  'PATCH',
  'TRACE',
  'PRI',
]);
const tlsHandshakeRecord = 0x16;
/** a chunk of fewer octets, without LAST, is counted with the commands that move nothing */
const tinyChunkBytes = 1024;
const mailOk = reply(250, '2.1.0', 'Ok');
const rcptOk = reply(250, '2.1.5', 'Ok');
const done = reply(250, '2.0.0', 'Ok');

class Session implements SmtpSession {
  readonly #settings: SmtpSettings;
  readonly #connected: SmtpPeer;
  #peer: TransactionPeer;
  /** what XFORWARD said of the next transaction */
  #forwarded: RelayClaim | null = null;
  readonly #lines: LineReader;
  #tls: InboundTls | null;
  #phase: SmtpPhase = 'command';
  #helo: { readonly name: string; readonly extended: boolean } | null = null;
  #transaction: InboundTransaction | null = null;
  #recipients: AcceptedRecipient[] = [];
  /** the recipient that the service is asked about */
  #asked = '';
  #askedDsn: RecipientDsn | null = null;
  #message: MessageIntake | null = null;
  /** the chunk of BDAT at hand */
  #chunk: Chunk | null = null;
  /** a chunk of this transaction failed: those that were already on their way are dropped (RFC 3030 §2) */
  #chunksFailed = false;
  /** octets of chunks that belonged to no message */
  #discardedBytes = 0;
  #mails = 0;
  #pending: Buffer[] = [];
  #pendingBytes = 0;
  #errors = 0;
  #idleCommands = 0;
  #stopping = false;
  #ended = false;
  #injected = false;
  #effects: SmtpEffect[] = [];
  // What a refusal is about, for the record; it outlives the transaction by the replies that end it.
  #stage: RefusedAttempt['stage'] = 'command';
  #reversePath: string | null = null;
  /** the forward-path of RCPT, or of the one recipient of LMTP whose reply it is */
  #forwardPath: string | null = null;
  #addressees: readonly AcceptedRecipient[] = [];
  #about: { readonly peer: TransactionPeer; readonly helo: string | null } | null = null;

  constructor(settings: SmtpSettings, peer: SmtpPeer, tls: InboundTls | null) {
    this.#settings = settings;
    this.#connected = peer;
    this.#peer = { address: peer.address, port: peer.port, name: null, via: peer.via ?? [] };
    this.#tls = tls;
    this.#lines = new LineReader({
      lineBytesMax: settings.lineBytesMax,
      endlessBytesMax: settings.endlessLineBytesMax,
    });
  }

  get phase(): SmtpPhase {
    return this.#phase;
  }

  get pendingBytes(): number {
    return this.#pendingBytes;
  }

  get waiting(): boolean {
    return this.#phase === 'mail' || this.#phase === 'rcpt' || this.#phase === 'end';
  }

  get dataBytes(): number {
    return this.#chunk?.readBytes ?? this.#message?.readBytes ?? 0;
  }

  greet(): SmtpEffect[] {
    this.#send(this.#greeting);
    return this.#take();
  }

  get #isLmtp(): boolean {
    return this.#settings.protocol === 'lmtp';
  }

  get #greeting(): string {
    return `220 ${this.#settings.hostname} ${this.#isLmtp ? 'LMTP' : 'ESMTP'} Fengni\r\n`;
  }

  feed(chunk: Uint8Array): SmtpEffect[] {
    if (this.#phase === 'closed' || chunk.length === 0) return [];
    const octets = Buffer.isBuffer(chunk)
      ? chunk
      : Buffer.from(chunk.buffer, chunk.byteOffset, chunk.byteLength);
    if (this.waiting) this.#keep(octets);
    else this.#consume(octets);
    return this.#take();
  }

  answer(answer: SmtpAnswer): SmtpEffect[] {
    if (this.#phase === 'closed') return [];
    switch (answer.kind) {
      case 'mail':
        if (this.#phase !== 'mail') throw new RangeError('an answer to MAIL that nobody waits for');
        this.#phase = 'command';
        this.#senderAnswered(answer.verdict);
        break;
      case 'rcpt':
        if (this.#phase !== 'rcpt') throw new RangeError('an answer to RCPT that nobody waits for');
        this.#phase = 'command';
        this.#recipientAnswered(answer.verdict);
        break;
      case 'end':
        if (this.#phase !== 'end') throw new RangeError('an outcome of a message that nobody waits for');
        this.#phase = 'command';
        this.#messageAnswered(answer.outcome);
        break;
      case 'secured':
        if (this.#phase !== 'tls') throw new RangeError('a handshake that nobody waits for');
        // RFC 3207 §4.2: all that was learned in clear is forgotten.
        this.#phase = 'command';
        this.#tls = answer.tls;
        this.#helo = null;
        this.#resetTransaction();
        break;
    }
    this.#goOn();
    return this.#take();
  }

  timeOut(): SmtpEffect[] {
    if (this.#phase === 'closed') return [];
    this.#abort('timeout');
    this.#count('smtp-timeout');
    this.#send(reply(421, '4.4.2', `${this.#settings.hostname} Timed out, closing`));
    this.#close();
    return this.#take();
  }

  shutDown(): SmtpEffect[] {
    if (this.#phase === 'closed') return [];
    this.#stopping = true;
    if (this.#phase === 'command') this.#stop();
    else if (this.#phase === 'tls') this.#close();
    return this.#take();
  }

  peerEnded(): SmtpEffect[] {
    if (this.#phase === 'closed') return [];
    this.#ended = true;
    if (this.waiting) return [];
    this.#abort('peer-gone');
    this.#close();
    return this.#take();
  }

  #take(): SmtpEffect[] {
    const effects = this.#effects;
    this.#effects = [];
    return effects;
  }

  #keep(octets: Buffer): void {
    this.#pending.push(octets);
    this.#pendingBytes += octets.length;
  }

  /** After an answer: what was kept, then what was put off. */
  #goOn(): void {
    while (this.#pending.length > 0 && (this.#phase === 'command' || this.#phase === 'data')) {
      const octets = this.#pending.shift() ?? Buffer.alloc(0);
      this.#pendingBytes -= octets.length;
      this.#consume(octets, true);
    }
    if (this.#phase === 'command' && this.#stopping) this.#stop();
    else if (this.#ended && (this.#phase === 'command' || this.#phase === 'data')) {
      this.#abort('peer-gone');
      this.#close();
    }
  }

  #consume(octets: Buffer, first = false): void {
    let at = 0;
    while (at < octets.length) {
      switch (this.#phase) {
        case 'command':
          if (this.#stopping) {
            this.#stop();
            return;
          }
          at = this.#consumeLine(octets, at);
          break;
        case 'data':
          at =
            this.#chunk === null
              ? this.#consumeData(octets, at)
              : this.#consumeChunk(this.#chunk, octets, at);
          break;
        case 'mail':
        case 'rcpt':
        case 'end': {
          const rest = octets.subarray(at);
          if (first) this.#pending.unshift(rest);
          else this.#pending.push(rest);
          this.#pendingBytes += rest.length;
          return;
        }
        case 'tls':
          // CVE-2011-0411: what was sent in clear behind STARTTLS must not be read as if it came by TLS.
          if (!this.#injected) this.#count('smtp-starttls-injection');
          this.#injected = true;
          return;
        case 'closed':
          return;
      }
    }
    if (this.#phase === 'command' && this.#stopping) this.#stop();
  }

  #consumeLine(octets: Buffer, at: number): number {
    if (this.#tls === null && octets[at] === tlsHandshakeRecord && !this.#lines.midLine) {
      this.#count('smtp-tls-on-plain');
      this.#close();
      return octets.length;
    }
    const read = this.#lines.read(octets, at);
    if (read.kind !== 'more') this.#begun('command');
    switch (read.kind) {
      case 'more':
        return octets.length;
      case 'line':
        this.#command(read.line);
        return read.next;
      case 'too-long':
        this.#count('smtp-line-too-long');
        this.#fail(500, '5.5.2', `Line over ${this.#settings.lineBytesMax} octets`);
        return read.next;
      case 'endless':
        this.#count('smtp-line-endless');
        this.#fail(500, '5.5.2', 'Line without end, closing');
        this.#close();
        return octets.length;
      case 'bare':
        this.#count('smtp-bare-cr-or-lf-command');
        this.#fail(500, '5.5.2', `A line ends in CRLF: bare ${read.octet} received, closing`);
        this.#close();
        return octets.length;
    }
  }

  /** Another command: what was refused before is no longer spoken of, but the transaction is while it lasts. */
  #begun(stage: RefusedAttempt['stage']): void {
    this.#stage = stage;
    this.#forwardPath = null;
    if (this.#transaction !== null) return;
    this.#reversePath = null;
    this.#addressees = [];
    this.#about = null;
  }

  /** What a reply that refuses is about. */
  #attempt(): RefusedAttempt {
    const { peer, helo } = this.#about ?? this.#origin(this.#helo?.name ?? null);
    return {
      stage: this.#stage,
      peer,
      helo,
      protocol: this.#protocol(this.#transaction?.smtpUtf8 ?? false),
      tls: this.#tls,
      mailFrom: this.#reversePath,
      recipients:
        this.#forwardPath !== null
          ? [this.#forwardPath]
          : this.#stage === 'data'
            ? this.#addressees.map(({ address }) => address)
            : [],
    };
  }

  #command(line: Buffer): void {
    const text = commandText(line)?.trimEnd() ?? null;
    if (text === null) {
      this.#fail(500, '5.5.2', 'Commands are UTF-8 without control characters');
      return;
    }
    const space = text.indexOf(' ');
    const verb = (space < 0 ? text : text.slice(0, space)).toUpperCase();
    const rest = space < 0 ? '' : text.slice(space + 1);
    switch (verb) {
      case 'EHLO':
      case 'HELO':
        // RFC 2033 §4.1: who greets otherwise than by LHLO does not expect a reply for each recipient.
        if (this.#isLmtp) this.#fail(500, '5.5.1', 'This is LMTP: LHLO');
        else this.#hello(verb, rest);
        return;
      case 'LHLO':
        if (this.#isLmtp) this.#hello(verb, rest);
        else this.#fail(500, '5.5.1', 'This is SMTP: EHLO');
        return;
      case 'MAIL':
        this.#mail(rest);
        return;
      case 'RCPT':
        this.#rcpt(rest);
        return;
      case 'DATA':
        if (this.#withoutArgument(verb, rest)) this.#data();
        return;
      case 'RSET':
        if (this.#withoutArgument(verb, rest)) {
          this.#resetTransaction();
          this.#idle(done);
        }
        return;
      case 'NOOP':
        this.#idle(done);
        return;
      case 'QUIT':
        if (this.#withoutArgument(verb, rest)) {
          this.#send(reply(221, '2.0.0', `${this.#settings.hostname} Bye`));
          this.#close();
        }
        return;
      case 'VRFY':
        // RFC 5321 §3.5.3: neither confirmed nor denied, so that addresses can't be harvested.
        if (rest === '') this.#fail(501, '5.5.4', 'VRFY needs an address');
        else this.#idle(reply(252, '2.0.0', 'Send mail to find out'));
        return;
      case 'HELP':
        this.#idle(
          reply(
            214,
            '2.0.0',
            `${this.#isLmtp ? 'LHLO' : 'EHLO HELO'} STARTTLS MAIL RCPT DATA BDAT RSET NOOP QUIT VRFY HELP (RFC ${this.#isLmtp ? '2033' : '5321'})`,
          ),
        );
        return;
      case 'STARTTLS':
        this.#startTls(rest);
        return;
      case 'AUTH':
        this.#count('smtp-auth');
        this.#fail(502, '5.5.1', 'No authentication on this port; submit mail on port 465 or 587');
        return;
      case 'BDAT':
        this.#bdat(rest);
        return;
      case 'XCLIENT':
      case 'XFORWARD':
        this.#claim(verb, rest);
        return;
      case 'EXPN':
      case 'TURN':
      case 'ETRN':
        this.#fail(502, '5.5.1', `${verb} is not implemented`);
        return;
      default:
        if (httpVerbs.has(verb)) {
          this.#count('smtp-http');
          this.#close();
        } else {
          this.#fail(500, '5.5.1', 'Unknown command');
        }
    }
  }

  #hello(verb: 'EHLO' | 'HELO' | 'LHLO', name: string): void {
    if (!isHeloName(name)) {
      this.#fail(501, '5.5.4', `${verb} needs a host name or an address literal`);
      return;
    }
    if (name.startsWith('[') && !isAddressLiteral(name)) {
      this.#fail(501, '5.5.4', 'Not an address literal');
      return;
    }
    this.#resetTransaction();
    this.#helo = { name, extended: verb !== 'HELO' };
    const { hostname, sizeBytesMax, starttls, binarymime, recipientsMax, mailsMax } = this.#settings;
    if (verb === 'HELO') {
      this.#idle(`250 ${hostname}\r\n`);
      return;
    }
    const isRelay = this.#connected.isTrustedRelay === true;
    this.#idle(
      multilineReply(250, [
        hostname,
        'PIPELINING',
        `SIZE ${sizeBytesMax}`,
        '8BITMIME',
        'SMTPUTF8',
        'CHUNKING',
        ...(binarymime ? ['BINARYMIME'] : []),
        'DSN',
        ...(starttls && this.#tls === null ? ['STARTTLS'] : []),
        ...(this.#tls === null ? [] : ['REQUIRETLS']),
        `LIMITS MAILMAX=${mailsMax} RCPTMAX=${recipientsMax}`,
        ...(isRelay ? [offerOf('XCLIENT'), offerOf('XFORWARD')] : []),
        'ENHANCEDSTATUSCODES',
      ]),
    );
  }

  /** A trusted relay says who is behind it (Postfix, XCLIENT_README and XFORWARD_README). */
  #claim(verb: ClaimVerb, rest: string): void {
    if (this.#connected.isTrustedRelay !== true) {
      this.#count('smtp-claim-refused');
      this.#fail(550, '5.7.0', `${verb} is for relays that are trusted for it`);
      return;
    }
    if (this.#transaction !== null) {
      this.#fail(503, '5.5.1', 'A transaction is open; RSET ends it');
      return;
    }
    const claim = parseClaim(verb, rest);
    if (claim === null) {
      this.#fail(501, '5.5.4', `Write ${verb} NAME=value …, of what is offered`);
      return;
    }
    if (verb === 'XFORWARD') {
      this.#count('smtp-xforward');
      // It may come in several lines: what one does not say, the one before said.
      this.#forwarded = { ...this.#forwarded, ...claim };
      this.#idle(done);
      return;
    }
    this.#count('smtp-xclient');
    this.#resetTransaction();
    this.#peer = this.#claimedPeer(this.#peer, claim, verb);
    // All begins anew, as for a client that has just connected.
    const { helo, protocol } = claim;
    this.#helo = helo == null ? null : { name: helo, extended: protocol !== 'SMTP' };
    this.#idle(this.#greeting);
  }

  #claimedPeer(before: TransactionPeer, claim: RelayClaim, by: ClaimVerb): TransactionPeer {
    const via = before.via.some((each) => each.by === by)
      ? before.via
      : [...before.via, { by, address: this.#connected.address }];
    return {
      address: claim.address === undefined ? before.address : (claim.address ?? ''),
      // A port belongs to an address.
      port: claim.port ?? (claim.address === undefined ? before.port : 0),
      name: claim.name === undefined ? before.name : claim.name,
      via,
    };
  }

  #startTls(rest: string): void {
    if (!this.#withoutArgument('STARTTLS', rest)) return;
    if (this.#tls !== null) {
      this.#fail(503, '5.5.1', 'TLS is on');
      return;
    }
    if (!this.#settings.starttls) {
      this.#fail(502, '5.5.1', 'STARTTLS is not offered');
      return;
    }
    this.#count('smtp-starttls');
    this.#send(reply(220, '2.0.0', 'Ready to start TLS'));
    this.#effects.push({ kind: 'starttls' });
    this.#phase = 'tls';
  }

  #mail(rest: string): void {
    if (this.#helo === null) {
      this.#fail(503, '5.5.1', this.#isLmtp ? 'LHLO first' : 'EHLO first');
      return;
    }
    if (this.#transaction !== null) {
      this.#fail(503, '5.5.1', 'A transaction is open; RSET ends it');
      return;
    }
    const at = /^FROM:[ ]?/i.exec(rest)?.[0].length;
    const path = at === undefined ? null : readPath(rest, at);
    if (path === null || (path.address !== '' && !path.address.includes('@'))) {
      this.#fail(501, '5.1.7', 'Write MAIL FROM:<address>');
      return;
    }
    this.#stage = 'mail';
    this.#reversePath = path.address;
    const parameters = this.#parameters(rest.slice(path.next));
    if (parameters === null) return;
    const { binarymime, sizeBytesMax, mailsMax } = this.#settings;
    const mail = readMailParameters(parameters, { binarymime, underTls: this.#tls !== null });
    if ('code' in mail) {
      this.#fail(mail.code, mail.enhanced, mail.text);
      return;
    }
    if (mail.sizeDeclared !== null && mail.sizeDeclared > sizeBytesMax) {
      this.#count('smtp-size-declared');
      this.#fail(552, '5.3.4', `Message over ${sizeBytesMax} octets`);
      return;
    }
    if (path.international && !mail.smtpUtf8) {
      this.#fail(553, '5.6.7', 'This address needs SMTPUTF8');
      return;
    }
    this.#mails += 1;
    if (this.#mails > mailsMax) {
      // RFC 9422 §4.1: MAILMAX was announced.
      this.#count('smtp-too-many-mails');
      this.#send(reply(421, '4.7.0', `${this.#settings.hostname} Over ${mailsMax} messages, connect again`));
      this.#close();
      return;
    }
    const { peer, helo } = this.#origin(this.#helo.name);
    this.#about = { peer, helo };
    this.#transaction = {
      peer,
      helo,
      protocol: this.#protocol(mail.smtpUtf8),
      tls: this.#tls,
      mailFrom: path.address,
      ...mail,
    };
    this.#chunksFailed = false;
    this.#effects.push({ kind: 'mail', transaction: this.#transaction });
    this.#phase = 'mail';
  }

  /** Who the next message is from: the peer, or who a relay said is behind it. */
  #origin<Name extends string | null>(helo: Name): { peer: TransactionPeer; helo: Name | string } {
    const claim = this.#forwarded;
    if (claim === null) return { peer: this.#peer, helo };
    return { peer: this.#claimedPeer(this.#peer, claim, 'XFORWARD'), helo: claim.helo ?? helo };
  }

  #protocol(smtpUtf8: boolean): WithProtocol {
    const secure = this.#tls === null ? '' : 'S';
    if (this.#isLmtp) return smtpUtf8 ? `UTF8LMTP${secure}` : `LMTP${secure}`;
    if (this.#helo?.extended !== true) return 'SMTP';
    return smtpUtf8 ? `UTF8SMTP${secure}` : `ESMTP${secure}`;
  }

  #senderAnswered(verdict: SenderVerdict): void {
    if (verdict.kind === 'accepted') {
      this.#send(mailOk);
      return;
    }
    this.#count('smtp-sender-refused');
    this.#resetTransaction();
    this.#refuse(verdict);
  }

  /** The parameters behind a path, or null after a reply. */
  #parameters(text: string): Parameters | null {
    const parameters = readParameters(text);
    if (parameters === null) {
      this.#fail(501, '5.5.4', 'Parameters are NAME or NAME=value, each once');
      return null;
    }
    if (parameters.size > 0 && this.#helo?.extended !== true) {
      this.#fail(555, '5.5.4', 'Parameters need EHLO');
      return null;
    }
    return parameters;
  }

  #rcpt(rest: string): void {
    const transaction = this.#transaction;
    if (transaction === null) {
      this.#fail(503, '5.5.1', 'MAIL first');
      return;
    }
    if (this.#message !== null) {
      this.#fail(503, '5.5.1', 'The message has begun; RSET ends it');
      return;
    }
    const at = /^TO:[ ]?/i.exec(rest)?.[0].length;
    const path = at === undefined ? null : readPath(rest, at);
    if (path === null || path.address === '') {
      this.#fail(501, '5.1.3', 'Write RCPT TO:<address>');
      return;
    }
    this.#stage = 'rcpt';
    this.#forwardPath = path.address;
    const parameters = this.#parameters(rest.slice(path.next));
    if (parameters === null) return;
    const asked = readRcptParameters(parameters, transaction.smtpUtf8);
    if ('code' in asked) {
      this.#fail(asked.code, asked.enhanced, asked.text);
      return;
    }
    if (path.international && !transaction.smtpUtf8) {
      this.#fail(553, '5.6.7', 'This address needs SMTPUTF8');
      return;
    }
    if (this.#recipients.length >= this.#settings.recipientsMax) {
      // RFC 5321 §4.5.3.1.10: the sender brings the rest in another transaction.
      this.#count('smtp-too-many-recipients');
      this.#send(reply(452, '4.5.3', `Over ${this.#settings.recipientsMax} recipients`));
      return;
    }
    this.#asked = path.address;
    this.#askedDsn = asked.dsn;
    this.#effects.push({ kind: 'rcpt', transaction, address: path.address });
    this.#phase = 'rcpt';
  }

  #recipientAnswered(verdict: RecipientVerdict): void {
    if (verdict.kind === 'accepted') {
      this.#recipients.push({ address: this.#asked, key: verdict.key, dsn: this.#askedDsn });
      this.#send(rcptOk);
      return;
    }
    this.#count('smtp-recipient-refused');
    this.#refuse(verdict);
  }

  #data(): void {
    const transaction = this.#transaction;
    if (transaction === null) {
      this.#fail(503, '5.5.1', 'MAIL first');
      return;
    }
    if (this.#recipients.length === 0) {
      this.#noRecipients();
      return;
    }
    if (this.#message !== null) {
      // RFC 3030 §2: DATA and BDAT do not mix.
      this.#fail(503, '5.5.1', 'The message has begun by BDAT; RSET ends it');
      return;
    }
    if (transaction.body === 'BINARYMIME') {
      this.#fail(503, '5.5.1', 'BINARYMIME comes by BDAT');
      return;
    }
    this.#send('354 End data with <CR><LF>.<CR><LF>\r\n');
    this.#message = this.#begin(transaction, 'data');
    this.#phase = 'data';
  }

  /** @source RFC 5321 §3.3, RFC 2033 §4.2 */
  #noRecipients(): void {
    this.#fail(this.#isLmtp ? 503 : 554, '5.5.1', 'No valid recipients');
  }

  #begin(transaction: InboundTransaction, by: 'data' | 'chunks' | 'binary'): MessageIntake {
    this.#stage = 'data';
    this.#addressees = this.#recipients;
    this.#effects.push({ kind: 'begin', transaction, recipients: this.#recipients });
    return new MessageIntake(by, this.#settings);
  }

  #bdat(rest: string): void {
    const [, digits, last] = /^(\d{1,20})(?: +(LAST))?$/i.exec(rest) ?? [];
    if (digits === undefined) {
      // Nobody can tell where its octets end: they would be read as commands.
      this.#count('smtp-bdat-malformed');
      this.#fail(501, '5.5.4', 'Write BDAT octets [LAST]; closing');
      this.#close();
      return;
    }
    const sizeBytes = Number(digits);
    const transaction = this.#transaction;
    const isWanted = transaction !== null && this.#recipients.length > 0;
    const before = isWanted ? (this.#message?.sizeBytes ?? 0) : this.#discardedBytes;
    if (before + sizeBytes > this.#endlessBytes) {
      this.#count('smtp-endless-data');
      this.#abort('size');
      this.#fail(552, '5.3.4', `Message over ${this.#settings.sizeBytesMax} octets, closing`);
      this.#close();
      return;
    }
    if (isWanted && this.#message === null)
      this.#message = this.#begin(transaction, transaction.body === 'BINARYMIME' ? 'binary' : 'chunks');
    if (this.#message !== null) this.#stage = 'data';
    this.#chunk = new Chunk(sizeBytes, last !== undefined, isWanted);
    this.#phase = 'data';
    if (sizeBytes === 0) this.#chunkEnded(this.#chunk);
  }

  /** Reading on would be for a peer that does not mean to end. */
  get #endlessBytes(): number {
    return 2 * this.#settings.sizeBytesMax + 65_536;
  }

  #consumeChunk(chunk: Chunk, octets: Buffer, at: number): number {
    const end = Math.min(octets.length, at + chunk.leftBytes);
    chunk.readBytes += end - at;
    const message = this.#message;
    if (chunk.isWanted && message !== null) {
      this.#pass(message, () =>
        message.readChunk(octets.subarray(at, end), (piece) =>
          this.#effects.push({ kind: 'body', octets: piece }),
        ),
      );
    } else this.#discardedBytes += end - at;
    if (chunk.leftBytes === 0) this.#chunkEnded(chunk);
    return end;
  }

  #chunkEnded(chunk: Chunk): void {
    const message = this.#message;
    this.#chunk = null;
    if (!chunk.isWanted || message === null) {
      this.#phase = 'command';
      this.#count('smtp-bdat-discarded');
      if (this.#chunksFailed)
        this.#idle(reply(503, '5.5.1', 'The transaction has failed, RSET or MAIL first'));
      else if (this.#transaction === null) this.#fail(503, '5.5.1', 'MAIL first');
      else this.#noRecipients();
      return;
    }
    if (chunk.isLast) message.endChunks();
    const verdict = message.verdict;
    if (verdict !== null) {
      this.#abort(verdict);
      this.#phase = 'command';
      const recipients = this.#recipients.length;
      this.#resetTransaction();
      this.#chunksFailed = !chunk.isLast;
      // Only the last chunk is answered once a recipient.
      this.#answerVerdict(message, verdict, chunk.isLast ? recipients : 1);
      return;
    }
    if (chunk.isLast) {
      this.#message = null;
      this.#phase = 'end';
      this.#effects.push({ kind: 'end' });
      return;
    }
    this.#phase = 'command';
    const text = reply(250, '2.0.0', `${chunk.sizeBytes} octets received`);
    if (chunk.sizeBytes < tinyChunkBytes) this.#idle(text);
    else this.#send(text);
  }

  /** Lets a message take octets, and tells what they changed. */
  #pass<T>(message: MessageIntake, take: () => T): T {
    const hadNul = message.nul;
    const taken = take();
    if (message.nul && !hadNul) this.#count('smtp-nul');
    const verdict = message.verdict;
    if (verdict !== null) this.#abort(verdict);
    return taken;
  }

  #consumeData(octets: Buffer, at: number): number {
    const message = this.#message;
    if (message === null) throw new RangeError('in data without a message');
    const next = this.#pass(message, () =>
      message.readData(octets, at, (piece) => this.#effects.push({ kind: 'body', octets: piece })),
    );
    const verdict = message.verdict;
    const recipients = this.#recipients.length;
    if (verdict !== null && message.readBytes > this.#endlessBytes) {
      this.#count('smtp-endless-data');
      this.#answerVerdict(message, verdict, recipients);
      this.#close();
      return octets.length;
    }
    if (next < 0) return octets.length;
    this.#message = null;
    if (verdict === null) {
      this.#phase = 'end';
      this.#effects.push({ kind: 'end' });
    } else {
      this.#phase = 'command';
      this.#resetTransaction();
      this.#answerVerdict(message, verdict, recipients);
    }
    return next;
  }

  #answerVerdict(message: MessageIntake, verdict: MessageVerdict, recipients: number): void {
    const times = this.#isLmtp ? recipients : 1;
    switch (verdict) {
      case 'bare-octet': {
        const { octet, offset } = message.bare ?? { octet: 'CR', offset: 0 };
        this.#count('smtp-bare-cr-or-lf-data');
        this.#fail(
          554,
          '5.6.0',
          `Bare ${octet} at octet ${offset} of the data (counted from 0), closing`,
          times,
        );
        this.#close();
        return;
      }
      case 'size':
        this.#count('smtp-size');
        this.#fail(552, '5.3.4', `Message over ${this.#settings.sizeBytesMax} octets`, times);
        return;
      case 'loop':
        this.#count('smtp-loop');
        this.#fail(554, '5.4.6', `Loop: over ${this.#settings.receivedMax} Received fields`, times);
    }
  }

  #messageAnswered(outcome: DeliveryOutcome): void {
    const recipients = this.#recipients.length;
    this.#resetTransaction();
    if (outcome.kind === 'refused') {
      this.#count('smtp-message-refused');
      this.#refuse(outcome, this.#isLmtp ? recipients : 1);
      return;
    }
    this.#count('smtp-message-accepted');
    this.#errors = 0;
    this.#idleCommands = 0;
    const ok = reply(250, '2.0.0', `Ok id=${outcome.id} sha256=${outcome.sha256Hex}`);
    if (!this.#isLmtp) {
      this.#send(ok);
      return;
    }
    // RFC 2033 §4.2: one for each recipient, in the order of RCPT.
    for (let index = 0; index < recipients; index++) {
      const refusal = outcome.except?.get(index);
      if (refusal === undefined) this.#send(ok);
      else {
        this.#forwardPath = this.#addressees[index]?.address ?? null;
        this.#count('smtp-recipient-refused');
        this.#refuse(refusal);
      }
    }
  }

  #refuse(refusal: Refusal, times = 1): void {
    const valid =
      refusal.code >= 400 && refusal.code <= 599 && /^[45]\.\d{1,3}\.\d{1,3}$/.test(refusal.enhanced);
    const code = valid ? refusal.code : 451;
    const enhanced = valid ? refusal.enhanced : '4.3.0';
    if (code >= 500) {
      this.#fail(code, enhanced, refusal.text, times);
      return;
    }
    this.#send(reply(code, enhanced, refusal.text).repeat(times));
    if (code === 421) this.#close();
  }

  #withoutArgument(verb: string, rest: string): boolean {
    if (rest === '') return true;
    this.#fail(501, '5.5.4', `${verb} takes no argument`);
    return false;
  }

  #resetTransaction(): void {
    this.#abort('reset');
    this.#transaction = null;
    this.#recipients = [];
    this.#message = null;
    this.#forwarded = null;
    this.#chunksFailed = false;
  }

  /** A reply to a command that moves nothing: a session lives on few of them. */
  #idle(text: string): void {
    this.#send(text);
    this.#idleCommands += 1;
    if (this.#idleCommands < this.#settings.idleCommandsMax) return;
    this.#count('smtp-too-many-idle-commands');
    this.#send(reply(421, '4.7.0', `${this.#settings.hostname} Too many commands without mail`));
    this.#close();
  }

  #fail(code: number, enhanced: string, text: string, times = 1): void {
    this.#send(reply(code, enhanced, text).repeat(times));
    if (this.#phase === 'closed') return;
    this.#count('smtp-error');
    this.#errors += 1;
    if (this.#errors < this.#settings.errorsMax) return;
    this.#count('smtp-too-many-errors');
    this.#send(reply(421, '4.7.0', `${this.#settings.hostname} Too many errors`));
    this.#close();
  }

  #stop(): void {
    this.#count('smtp-shutdown');
    this.#send(reply(421, '4.3.2', `${this.#settings.hostname} Shutting down`));
    this.#close();
  }

  #send(text: string): void {
    if (this.#phase === 'closed') return;
    const isRefusal = text.startsWith('4') || text.startsWith('5');
    this.#effects.push(
      isRefusal ? { kind: 'reply', text, refused: this.#attempt() } : { kind: 'reply', text },
    );
  }

  #count(name: SmtpCounter): void {
    this.#effects.push({ kind: 'count', name });
  }

  /** Tells the service once that the message at hand will not be completed. */
  #abort(reason: AbortReason): void {
    const message = this.#message;
    if (message === null || message.aborted) return;
    message.aborted = true;
    this.#effects.push({ kind: 'abort', reason });
  }

  #close(): void {
    if (this.#phase === 'closed') return;
    this.#abort('closed');
    this.#phase = 'closed';
    this.#resetTransaction();
    this.#chunk = null;
    this.#pending = [];
    this.#pendingBytes = 0;
    this.#lines.forget();
    this.#effects.push({ kind: 'close' });
  }
}

/** A chunk of BDAT on its way. */
class Chunk {
  readonly sizeBytes: number;
  readonly isLast: boolean;
  /** it belongs to a message; otherwise its octets are read and dropped, and then it is refused (RFC 3030 §2) */
  readonly isWanted: boolean;
  readBytes = 0;

  constructor(sizeBytes: number, isLast: boolean, isWanted: boolean) {
    this.sizeBytes = sizeBytes;
    this.isLast = isLast;
    this.isWanted = isWanted;
  }

  get leftBytes(): number {
    return this.sizeBytes - this.readBytes;
  }
}

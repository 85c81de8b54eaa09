import { commandText, LineReader } from '#protocols/lines';
import { isAddressLiteral } from './address-literal.ts';
import { DataReader } from './data-reader.ts';
import type {
  AcceptedRecipient,
  DeliveryOutcome,
  InboundTls,
  InboundTransaction,
  RecipientVerdict,
  Refusal,
} from './inbound.ts';
import { readPath } from './path.ts';
import { ReceivedCount } from './received-count.ts';
import { multilineReply, reply } from './reply.ts';
import type { SmtpCounter, SmtpSettings } from './settings.ts';

/** What the driver has to do, in this order. */
export type SmtpEffect =
  /** send a reply: whole lines of ASCII with CRLF */
  | { readonly kind: 'reply'; readonly text: string }
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

export type AbortReason = 'bare-octet' | 'size' | 'loop' | 'endless' | 'timeout' | 'peer-gone';

export type SmtpAnswer =
  | { readonly kind: 'rcpt'; readonly verdict: RecipientVerdict }
  | { readonly kind: 'end'; readonly outcome: DeliveryOutcome }
  | { readonly kind: 'secured'; readonly tls: InboundTls };

/**
 * `command`: reads commands · `rcpt`, `end`: waits for the service, what is fed is kept · `data`: reads a message ·
 * `tls`: waits for the handshake, what is fed came in clear and is dropped · `closed`: over
 */
export type SmtpPhase = 'command' | 'rcpt' | 'end' | 'data' | 'tls' | 'closed';

export interface SmtpPeer {
  readonly address: string;
  readonly port: number;
}

/**
 * The receiving side of SMTP as a pure machine: octets and answers in, effects out; no socket, clock or promise.
 *
 * Always: the effects do not depend on how the octets were cut into chunks (but for where `body` is cut, and how much of
 * it stands before an `abort`, with which reason); replies come in the order of the commands; between `begin` and one of `end` and `abort` there is
 * nothing but `body` and `count`; after `close` there is nothing.
 *
 * @source RFC 5321, RFC 2920, RFC 1870, RFC 6152, RFC 6531, RFC 2034, RFC 3207
 */
export interface SmtpSession {
  readonly phase: SmtpPhase;
  /** octets fed while the session waits; the driver stops reading when they are many */
  readonly pendingBytes: number;
  /** octets of the message at hand so far, dots as sent */
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
const mailOk = reply(250, '2.1.0', 'Ok');
const rcptOk = reply(250, '2.1.5', 'Ok');
const done = reply(250, '2.0.0', 'Ok');

class Session implements SmtpSession {
  readonly #settings: SmtpSettings;
  readonly #peer: SmtpPeer;
  readonly #lines: LineReader;
  #tls: InboundTls | null;
  #phase: SmtpPhase = 'command';
  #helo: { readonly name: string; readonly extended: boolean } | null = null;
  #transaction: InboundTransaction | null = null;
  #recipients: AcceptedRecipient[] = [];
  /** the recipient that the service is asked about */
  #asked = '';
  #message: Message | null = null;
  #pending: Buffer[] = [];
  #pendingBytes = 0;
  #errors = 0;
  #idleCommands = 0;
  #stopping = false;
  #ended = false;
  #injected = false;
  #effects: SmtpEffect[] = [];

  constructor(settings: SmtpSettings, peer: SmtpPeer, tls: InboundTls | null) {
    this.#settings = settings;
    this.#peer = peer;
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

  get dataBytes(): number {
    return this.#message?.reader.readBytes ?? 0;
  }

  greet(): SmtpEffect[] {
    this.#send(`220 ${this.#settings.hostname} ESMTP Fengni\r\n`);
    return this.#take();
  }

  feed(chunk: Uint8Array): SmtpEffect[] {
    if (this.#phase === 'closed' || chunk.length === 0) return [];
    const octets = Buffer.isBuffer(chunk)
      ? chunk
      : Buffer.from(chunk.buffer, chunk.byteOffset, chunk.byteLength);
    if (this.#phase === 'rcpt' || this.#phase === 'end') this.#keep(octets);
    else this.#consume(octets);
    return this.#take();
  }

  answer(answer: SmtpAnswer): SmtpEffect[] {
    if (this.#phase === 'closed') return [];
    switch (answer.kind) {
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
    if (this.#phase === 'rcpt' || this.#phase === 'end') return [];
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
          at = this.#consumeData(octets, at);
          break;
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
        this.#hello(verb, rest);
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
          reply(214, '2.0.0', 'EHLO HELO STARTTLS MAIL RCPT DATA RSET NOOP QUIT VRFY HELP (RFC 5321)'),
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
        // Its octets would be read as commands.
        this.#count('smtp-bdat');
        this.#fail(502, '5.5.1', 'CHUNKING is not offered, closing');
        this.#close();
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

  #hello(verb: 'EHLO' | 'HELO', name: string): void {
    // RFC 5321 §4.1.4: the name is not compared with the address. What it may be is what is safe to write into Received.
    if (!/^[\x21\x23-\x27\x2a-\x2b\x2d-\x3a\x3d\x3f-\x5b\x5d-\x7e]{1,255}$/.test(name)) {
      this.#fail(501, '5.5.4', `${verb} needs a host name or an address literal`);
      return;
    }
    if (name.startsWith('[') && !isAddressLiteral(name)) {
      this.#fail(501, '5.5.4', 'Not an address literal');
      return;
    }
    this.#resetTransaction();
    this.#helo = { name, extended: verb === 'EHLO' };
    const { hostname, sizeBytesMax, starttls } = this.#settings;
    if (verb === 'HELO') {
      this.#idle(`250 ${hostname}\r\n`);
      return;
    }
    this.#idle(
      multilineReply(250, [
        hostname,
        'PIPELINING',
        `SIZE ${sizeBytesMax}`,
        '8BITMIME',
        'SMTPUTF8',
        ...(starttls && this.#tls === null ? ['STARTTLS'] : []),
        'ENHANCEDSTATUSCODES',
      ]),
    );
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
      this.#fail(503, '5.5.1', 'EHLO first');
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
    const parameters = this.#parameters(rest.slice(path.next));
    if (parameters === null) return;
    const mail = this.#mailParameters(parameters);
    if (mail === null) return;
    if (path.international && !mail.smtpUtf8) {
      this.#fail(553, '5.6.7', 'This address needs SMTPUTF8');
      return;
    }
    const extended = this.#helo.extended;
    const secure = this.#tls !== null ? 'S' : '';
    this.#transaction = {
      peer: this.#peer,
      helo: this.#helo.name,
      protocol: !extended ? 'SMTP' : mail.smtpUtf8 ? `UTF8SMTP${secure}` : `ESMTP${secure}`,
      tls: this.#tls,
      mailFrom: path.address,
      ...mail,
    };
    this.#send(mailOk);
  }

  /** The parameters behind a path by name, or null after a reply. */
  #parameters(text: string): Map<string, string | null> | null {
    const parameters = new Map<string, string | null>();
    if (text === '') return parameters;
    for (const word of text.slice(1).split(/ +/)) {
      const [, name = '', value = null] = /^([A-Za-z0-9][A-Za-z0-9-]*)(?:=([^=\s]+))?$/.exec(word) ?? [];
      if (text[0] !== ' ' || name === '' || parameters.has(name.toUpperCase())) {
        this.#fail(501, '5.5.4', 'Parameters are NAME or NAME=value, each once');
        return null;
      }
      parameters.set(name.toUpperCase(), value);
    }
    if (this.#helo?.extended !== true) {
      this.#fail(555, '5.5.4', 'Parameters need EHLO');
      return null;
    }
    return parameters;
  }

  #mailParameters(
    parameters: ReadonlyMap<string, string | null>,
  ): Pick<InboundTransaction, 'smtpUtf8' | 'body' | 'sizeDeclared'> | null {
    let smtpUtf8 = false;
    let body: InboundTransaction['body'] = '7BIT';
    let sizeDeclared: number | null = null;
    for (const [name, value] of parameters) {
      const upper = value?.toUpperCase() ?? null;
      if (name === 'SMTPUTF8' && value === null) {
        smtpUtf8 = true;
      } else if (name === 'BODY' && (upper === '7BIT' || upper === '8BITMIME')) {
        body = upper;
      } else if (name === 'SIZE' && value !== null && /^\d{1,20}$/.test(value)) {
        sizeDeclared = Number(value);
      } else if (name === 'SMTPUTF8' || name === 'BODY' || name === 'SIZE') {
        this.#fail(501, '5.5.4', `Value of ${name} not understood`);
        return null;
      } else {
        this.#fail(555, '5.5.4', 'Parameter not offered');
        return null;
      }
    }
    if (sizeDeclared !== null && sizeDeclared > this.#settings.sizeBytesMax) {
      this.#count('smtp-size-declared');
      this.#fail(552, '5.3.4', `Message over ${this.#settings.sizeBytesMax} octets`);
      return null;
    }
    return { smtpUtf8, body, sizeDeclared };
  }

  #rcpt(rest: string): void {
    const transaction = this.#transaction;
    if (transaction === null) {
      this.#fail(503, '5.5.1', 'MAIL first');
      return;
    }
    const at = /^TO:[ ]?/i.exec(rest)?.[0].length;
    const path = at === undefined ? null : readPath(rest, at);
    if (path === null || path.address === '') {
      this.#fail(501, '5.1.3', 'Write RCPT TO:<address>');
      return;
    }
    const parameters = this.#parameters(rest.slice(path.next));
    if (parameters === null) return;
    if (parameters.size > 0) {
      this.#fail(555, '5.5.4', 'Parameter not offered');
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
    this.#effects.push({ kind: 'rcpt', transaction, address: path.address });
    this.#phase = 'rcpt';
  }

  #recipientAnswered(verdict: RecipientVerdict): void {
    if (verdict.kind === 'accepted') {
      this.#recipients.push({ address: this.#asked, key: verdict.key });
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
      this.#fail(554, '5.5.1', 'No valid recipients');
      return;
    }
    this.#send('354 End data with <CR><LF>.<CR><LF>\r\n');
    this.#effects.push({ kind: 'begin', transaction, recipients: this.#recipients });
    this.#message = new Message();
    this.#phase = 'data';
  }

  #consumeData(octets: Buffer, at: number): number {
    const message = this.#message;
    if (message === null) throw new RangeError('in data without a message');
    const { sizeBytesMax, receivedMax } = this.#settings;
    const hadNul = message.nul;
    const next = message.reader.read(octets, at, (piece) => {
      message.pass(piece, sizeBytesMax, receivedMax);
      if (message.verdict === null) this.#effects.push({ kind: 'body', octets: piece });
    });
    if (message.nul && !hadNul) this.#count('smtp-nul');
    const verdict = message.verdict;
    if (verdict !== null) this.#abort(verdict);
    if (verdict !== null && message.reader.readBytes > 2 * sizeBytesMax + 65_536) {
      // Reading on would be for a peer that does not mean to end.
      this.#count('smtp-endless-data');
      this.#answerVerdict(message, verdict);
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
      this.#answerVerdict(message, verdict);
    }
    return next;
  }

  #answerVerdict(message: Message, verdict: MessageVerdict): void {
    switch (verdict) {
      case 'bare-octet': {
        const { octet, offset } = message.reader.bare ?? { octet: 'CR', offset: 0 };
        this.#count('smtp-bare-cr-or-lf-data');
        this.#fail(554, '5.6.0', `Bare ${octet} at octet ${offset} of the data (counted from 0), closing`);
        this.#close();
        return;
      }
      case 'size':
        this.#count('smtp-size');
        this.#fail(552, '5.3.4', `Message over ${this.#settings.sizeBytesMax} octets`);
        return;
      case 'loop':
        this.#count('smtp-loop');
        this.#fail(554, '5.4.6', `Loop: over ${this.#settings.receivedMax} Received fields`);
    }
  }

  #messageAnswered(outcome: DeliveryOutcome): void {
    this.#resetTransaction();
    if (outcome.kind === 'accepted') {
      this.#count('smtp-message-accepted');
      this.#errors = 0;
      this.#idleCommands = 0;
      this.#send(reply(250, '2.0.0', `Ok id=${outcome.id} sha256=${outcome.sha256Hex}`));
      return;
    }
    this.#count('smtp-message-refused');
    this.#refuse(outcome);
  }

  #refuse(refusal: Refusal): void {
    const valid =
      refusal.code >= 400 && refusal.code <= 599 && /^[45]\.\d{1,3}\.\d{1,3}$/.test(refusal.enhanced);
    const code = valid ? refusal.code : 451;
    const enhanced = valid ? refusal.enhanced : '4.3.0';
    if (code >= 500) {
      this.#fail(code, enhanced, refusal.text);
      return;
    }
    this.#send(reply(code, enhanced, refusal.text));
    if (code === 421) this.#close();
  }

  #withoutArgument(verb: string, rest: string): boolean {
    if (rest === '') return true;
    this.#fail(501, '5.5.4', `${verb} takes no argument`);
    return false;
  }

  #resetTransaction(): void {
    this.#transaction = null;
    this.#recipients = [];
    this.#message = null;
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

  #fail(code: number, enhanced: string, text: string): void {
    this.#send(reply(code, enhanced, text));
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
    if (this.#phase !== 'closed') this.#effects.push({ kind: 'reply', text });
  }

  #count(name: SmtpCounter): void {
    this.#effects.push({ kind: 'count', name });
  }

  /** Tells the service once that the message at hand will not be completed. */
  #abort(reason: AbortReason): void {
    const message = this.#message;
    if (message === null || message.aborted || this.#phase !== 'data') return;
    message.aborted = true;
    this.#effects.push({ kind: 'abort', reason });
  }

  #close(): void {
    if (this.#phase === 'closed') return;
    this.#phase = 'closed';
    this.#resetTransaction();
    this.#pending = [];
    this.#pendingBytes = 0;
    this.#lines.forget();
    this.#effects.push({ kind: 'close' });
  }
}

type MessageVerdict = 'bare-octet' | 'size' | 'loop';

/** What is known of the message at hand. */
class Message {
  readonly reader = new DataReader();
  readonly #received = new ReceivedCount();
  sizeBytes = 0;
  nul = false;
  aborted = false;
  #tooLarge = false;
  #loop = false;

  /** why it is refused, the gravest first, whatever came first: so it does not depend on the chunks */
  get verdict(): MessageVerdict | null {
    if (this.reader.bare !== null) return 'bare-octet';
    if (this.#tooLarge) return 'size';
    return this.#loop ? 'loop' : null;
  }

  pass(piece: Buffer, sizeBytesMax: number, receivedMax: number): void {
    this.sizeBytes += piece.length;
    if (this.sizeBytes > sizeBytesMax) this.#tooLarge = true;
    if (!this.nul && piece.includes(0)) this.nul = true;
    if (!this.#received.done) {
      this.#received.pass(piece);
      if (this.#received.count > receivedMax) this.#loop = true;
    }
  }
}

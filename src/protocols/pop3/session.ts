import { commandText, LineReader } from '#protocols/lines';
import {
  channelBindings,
  createSaslExchange,
  parseSaslBase64,
  type SaslChannel,
  type SaslExchange,
  type SaslProof,
  type SaslStep,
  type ScramParameters,
  saslMechanisms,
} from '#protocols/sasl';
import type { MaildropMessage, Pop3Refusal, Pop3ResponseCode, QuitOutcome } from './maildrop.ts';
import type { Pop3Counter, Pop3Settings } from './settings.ts';

/** What the driver has to do, in this order. */
export type Pop3Effect =
  /** send whole lines of ASCII with CRLF */
  | { readonly kind: 'reply'; readonly text: string }
  /** ask whether this opens a maildrop, then answer `login` */
  | { readonly kind: 'login'; readonly user: string; readonly password: string }
  /** ask for the salt of this user's keys, then answer `parameters` */
  | { readonly kind: 'parameters'; readonly user: string }
  /** ask whether this proof opens a maildrop, then answer `login` with the server's signature */
  | { readonly kind: 'proof'; readonly proof: SaslProof }
  /** open a message, then answer `opened` */
  | { readonly kind: 'open'; readonly index: number }
  /** send the message that was opened through `ContentEncoder` (and `TopLimit`, with lines), then answer `sent` */
  | { readonly kind: 'content'; readonly bodyLines: number | null }
  /** send these lines as the client takes them, then answer `sent` */
  | { readonly kind: 'listing'; readonly pieces: Iterable<string> }
  /** remove these messages, then answer `quit` */
  | { readonly kind: 'quit'; readonly deleted: readonly number[] }
  /** send what is to be sent, change to TLS, then answer `secured` */
  | { readonly kind: 'starttls' }
  | { readonly kind: 'count'; readonly name: Pop3Counter }
  /** send what is to be sent, then close; nothing follows */
  | { readonly kind: 'close' };

export type Pop3Answer =
  | {
      readonly kind: 'login';
      readonly outcome:
        | {
            readonly kind: 'granted';
            readonly messages: readonly MaildropMessage[];
            /** of a proof */
            readonly serverSignature?: Uint8Array;
          }
        | Pop3Refusal;
    }
  | {
      readonly kind: 'parameters';
      readonly outcome: ({ readonly kind: 'parameters' } & ScramParameters) | Pop3Refusal;
    }
  | {
      readonly kind: 'opened';
      readonly outcome:
        | { readonly kind: 'found'; readonly sizeBytes: number }
        | { readonly kind: 'damaged' | 'gone' | 'unavailable' };
    }
  | { readonly kind: 'sent' }
  | { readonly kind: 'quit'; readonly outcome: QuitOutcome }
  | { readonly kind: 'secured' };

/**
 * `command`: reads commands · `sasl`: reads a response of a log-in · `login`, `open`, `sending`, `quit`: waits for the
 * service or the client, what is fed is kept · `tls`: what is fed came in clear and is dropped · `closed`: over
 */
export type Pop3Phase = 'command' | 'sasl' | 'login' | 'open' | 'sending' | 'quit' | 'tls' | 'closed';

/**
 * The server's side of POP3 as a pure machine: octets and answers in, effects out; no socket, clock or promise.
 *
 * Always: the effects do not depend on how the octets were cut into chunks; replies come in the order of the commands;
 * no password is looked at without TLS; nothing is removed but by QUIT; after `close` there is nothing.
 *
 * @source RFC 1939 (without APOP), RFC 2449, RFC 2595 §4, RFC 3206, RFC 5034, RFC 6856 (without LANG)
 */
export interface Pop3Session {
  readonly phase: Pop3Phase;
  readonly loggedIn: boolean;
  /** octets fed while the session waits; the driver stops reading when they are many */
  readonly pendingBytes: number;
  /** the greeting: call it once, first */
  greet(): Pop3Effect[];
  feed(chunk: Uint8Array): Pop3Effect[];
  answer(answer: Pop3Answer): Pop3Effect[];
  /** The client was silent for too long: closes without a reply and removes nothing (RFC 1939 §3). */
  timeOut(): Pop3Effect[];
  /** What the session logged in with holds no longer: `-ERR [AUTH]` now, or after the reply at hand; nothing is removed. */
  revoke(): Pop3Effect[];
  /** The server stops: `-ERR [SYS/TEMP]` now, or after the reply at hand. */
  shutDown(): Pop3Effect[];
  /** The client's octets have ended: what waits is still answered, then the session closes. */
  peerEnded(): Pop3Effect[];
}

/** What log-ins need of the connection. */
export type Pop3Channel = Pick<SaslChannel, 'binding' | 'random'> & {
  /** whether anybody has an app password: SCRAM is announced then */
  hasAppPasswords(): boolean;
};

/** @param secure whether the connection has TLS from the start */
export const createPop3Session = (
  settings: Pop3Settings,
  secure: boolean,
  channel: Pop3Channel,
): Pop3Session => new Session(settings, secure, channel);

/** The greeting of a connection that is not served. */
export const refusePop3Session = (code: Pop3ResponseCode, text: string): string =>
  `-ERR [${code}] ${text}\r\n`;

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
const noPasswordInClear = 'TLS first: STLS here, or POP3S';
const linesAPiece = 1000;

class Session implements Pop3Session {
  readonly #settings: Pop3Settings;
  readonly #channel: Pop3Channel;
  readonly #lines: LineReader;
  #secure: boolean;
  #phase: Pop3Phase = 'command';
  #messages: readonly MaildropMessage[] | null = null;
  readonly #deleted = new Set<number>();
  #user: string | null = null;
  #exchange: SaslExchange | null = null;
  /** the maildrop of a client that has proved its password and has not yet seen that we know it too */
  #proved: readonly MaildropMessage[] | null = null;
  /** the message being opened and how much of it is wanted */
  #asked: { readonly index: number; readonly bodyLines: number | null } = { index: 0, bodyLines: null };
  #pending: Buffer[] = [];
  #pendingBytes = 0;
  #errors = 0;
  #loginCommands = 0;
  #stopping: readonly [Pop3Counter, Pop3ResponseCode, string] | null = null;
  #ended = false;
  #injected = false;
  #effects: Pop3Effect[] = [];

  constructor(settings: Pop3Settings, secure: boolean, channel: Pop3Channel) {
    this.#settings = settings;
    this.#channel = channel;
    this.#secure = secure;
    this.#lines = new LineReader({
      lineBytesMax: settings.lineBytesMax,
      endlessBytesMax: settings.endlessLineBytesMax,
    });
  }

  get phase(): Pop3Phase {
    return this.#phase;
  }

  get loggedIn(): boolean {
    return this.#messages !== null;
  }

  get pendingBytes(): number {
    return this.#pendingBytes;
  }

  greet(): Pop3Effect[] {
    this.#ok(`${this.#settings.hostname} Fengni POP3`);
    return this.#take();
  }

  feed(chunk: Uint8Array): Pop3Effect[] {
    if (this.#phase === 'closed' || chunk.length === 0) return [];
    const octets = Buffer.isBuffer(chunk)
      ? chunk
      : Buffer.from(chunk.buffer, chunk.byteOffset, chunk.byteLength);
    if (this.#waits()) {
      this.#pending.push(octets);
      this.#pendingBytes += octets.length;
    } else {
      this.#consume(octets);
    }
    return this.#take();
  }

  answer(answer: Pop3Answer): Pop3Effect[] {
    if (this.#phase === 'closed') return [];
    const expected = {
      login: 'login',
      parameters: 'login',
      opened: 'open',
      sent: 'sending',
      quit: 'quit',
      secured: 'tls',
    } as const;
    if (this.#phase !== expected[answer.kind])
      throw new RangeError(`an answer that nobody waits for: ${answer.kind}`);
    this.#phase = 'command';
    switch (answer.kind) {
      case 'login':
        this.#loginAnswered(answer.outcome);
        break;
      case 'parameters':
        this.#parametersAnswered(answer.outcome);
        break;
      case 'opened':
        this.#openAnswered(answer.outcome);
        break;
      case 'quit':
        this.#quitAnswered(answer.outcome);
        break;
      case 'secured':
        // RFC 2595 §4: all that was learned in clear is forgotten.
        this.#secure = true;
        this.#user = null;
        this.#lines.forget();
        break;
      case 'sent':
        break;
    }
    while (this.#pending.length > 0 && (this.#phase === 'command' || this.#phase === 'sasl')) {
      const octets = this.#pending.shift() ?? Buffer.alloc(0);
      this.#pendingBytes -= octets.length;
      this.#consume(octets, true);
    }
    if ((this.#phase === 'command' || this.#phase === 'sasl') && this.#stopping !== null) this.#stop();
    else if (this.#ended && (this.#phase === 'command' || this.#phase === 'sasl')) this.#close();
    return this.#take();
  }

  timeOut(): Pop3Effect[] {
    if (this.#phase === 'closed') return [];
    this.#count('pop3-timeout');
    this.#close();
    return this.#take();
  }

  shutDown(): Pop3Effect[] {
    return this.#stopWith(['pop3-shutdown', 'SYS/TEMP', 'Shutting down; nothing was removed']);
  }

  revoke(): Pop3Effect[] {
    return this.#stopWith(['pop3-revoked', 'AUTH', 'This log-in is valid no longer; nothing was removed']);
  }

  #stopWith(stopping: readonly [Pop3Counter, Pop3ResponseCode, string]): Pop3Effect[] {
    if (this.#phase === 'closed') return [];
    this.#stopping ??= stopping;
    if (this.#phase === 'command' || this.#phase === 'sasl') this.#stop();
    else if (this.#phase === 'tls') this.#close();
    return this.#take();
  }

  peerEnded(): Pop3Effect[] {
    if (this.#phase === 'closed') return [];
    this.#ended = true;
    if (!this.#waits()) this.#close();
    return this.#take();
  }

  #waits(): boolean {
    return (
      this.#phase === 'login' || this.#phase === 'open' || this.#phase === 'sending' || this.#phase === 'quit'
    );
  }

  #take(): Pop3Effect[] {
    const effects = this.#effects;
    this.#effects = [];
    return effects;
  }

  #consume(octets: Buffer, first = false): void {
    let at = 0;
    while (at < octets.length) {
      if (this.#phase === 'closed') return;
      if (this.#phase === 'tls') {
        // What was sent in clear behind STLS must not be read as if it came by TLS.
        if (!this.#injected) this.#count('pop3-stls-injection');
        this.#injected = true;
        return;
      }
      if (this.#waits()) {
        const rest = octets.subarray(at);
        if (first) this.#pending.unshift(rest);
        else this.#pending.push(rest);
        this.#pendingBytes += rest.length;
        return;
      }
      if (this.#stopping !== null) {
        this.#stop();
        return;
      }
      at = this.#consumeLine(octets, at);
    }
  }

  #consumeLine(octets: Buffer, at: number): number {
    if (!this.#secure && octets[at] === tlsHandshakeRecord && !this.#lines.midLine) {
      this.#count('pop3-tls-on-plain');
      this.#close();
      return octets.length;
    }
    const read = this.#lines.read(octets, at);
    switch (read.kind) {
      case 'more':
        return octets.length;
      case 'line':
        if (this.#phase === 'sasl') this.#saslLine(read.line);
        else this.#command(read.line);
        return read.next;
      case 'too-long':
        this.#phase = 'command';
        this.#exchange = null;
        this.#count('pop3-line-too-long');
        this.#fail(null, `Line over ${this.#settings.lineBytesMax} octets`);
        return read.next;
      case 'endless':
        this.#count('pop3-line-endless');
        this.#fail(null, 'Line without end, closing');
        this.#close();
        return octets.length;
      case 'bare':
        this.#count('pop3-bare-cr-or-lf');
        this.#fail(null, `A line ends in CRLF: bare ${read.octet} received, closing`);
        this.#close();
        return octets.length;
    }
  }

  #command(line: Buffer): void {
    const text = commandText(line);
    if (text === null) {
      this.#fail(null, 'Commands are UTF-8 without control characters');
      return;
    }
    const space = text.indexOf(' ');
    const keyword = (space < 0 ? text : text.slice(0, space)).toUpperCase();
    // The blank in `AUTH ` and the blanks of a password mean something: the argument is not trimmed here.
    const argument = space < 0 ? '' : text.slice(space + 1);
    if (httpVerbs.has(keyword)) {
      this.#count('pop3-http');
      this.#close();
      return;
    }
    const messages = this.#messages;
    if (messages === null) {
      this.#loginCommands += 1;
      if (this.#loginCommands > this.#settings.loginCommandsMax) {
        this.#count('pop3-too-many-commands');
        this.#err(null, 'Too many commands without a log-in');
        this.#close();
        return;
      }
      this.#authorizationCommand(keyword, argument);
    } else {
      this.#transactionCommand(keyword, argument.trim(), messages);
    }
  }

  #authorizationCommand(keyword: string, argument: string): void {
    switch (keyword) {
      case 'CAPA':
        this.#capabilities();
        return;
      case 'USER':
        this.#userCommand(argument.trim());
        return;
      case 'PASS':
        this.#pass(argument);
        return;
      case 'AUTH':
        this.#auth(argument.trim());
        return;
      case 'STLS':
        this.#stls();
        return;
      case 'UTF8':
        // RFC 6856 §2: octets are given out as they are with and without it.
        this.#ok('UTF8 enabled');
        return;
      case 'NOOP':
        this.#ok('');
        return;
      case 'QUIT':
        this.#ok('Bye');
        this.#close();
        return;
      case 'APOP':
        this.#fail('AUTH', 'APOP is not offered; log in with TLS');
        return;
      default:
        this.#fail(null, 'Unknown command, or not before the log-in');
    }
  }

  #capabilities(): void {
    const offered = [
      'TOP',
      'UIDL',
      'RESP-CODES',
      'AUTH-RESP-CODE',
      'PIPELINING',
      'EXPIRE NEVER',
      'UTF8 USER',
      ...(this.#secure ? ['USER', `SASL ${this.#mechanisms().join(' ')}`] : []),
      ...(this.#settings.stls && !this.#secure && !this.loggedIn ? ['STLS'] : []),
      'IMPLEMENTATION Fengni',
    ];
    this.#send(`+OK\r\n${offered.join('\r\n')}\r\n.\r\n`);
  }

  #mechanisms(): readonly string[] {
    const { hasAppPasswords, binding } = this.#channel;
    const isBound = channelBindings.some((name) => binding(name) !== null);
    return saslMechanisms({ hasAppPasswords: hasAppPasswords(), isBound });
  }

  #userCommand(name: string): void {
    if (!this.#secure) {
      this.#passwordInClear();
    } else if (name === '') {
      this.#fail(null, 'USER needs a name');
    } else {
      // RFC 1939 §7: whether there is such a name is not told.
      this.#user = name;
      this.#ok('');
    }
  }

  #pass(password: string): void {
    const user = this.#user;
    this.#user = null;
    if (!this.#secure) this.#passwordInClear();
    else if (user === null) this.#fail(null, 'USER first');
    else if (password === '') this.#fail('AUTH', 'The password is empty');
    else this.#login(user, password);
  }

  #auth(argument: string): void {
    if (argument === '') {
      // Clients ask for the mechanisms by `AUTH` alone, also with a blank behind it, before there was CAPA.
      const offered = this.#secure ? this.#mechanisms() : [];
      this.#send(`+OK\r\n${offered.map((name) => `${name}\r\n`).join('')}.\r\n`);
      return;
    }
    if (!this.#secure) {
      this.#passwordInClear();
      return;
    }
    const [mechanism = '', initial, ...more] = argument.split(' ');
    const mechanisms = this.#mechanisms();
    const exchange = createSaslExchange(mechanism, {
      binding: this.#channel.binding,
      random: this.#channel.random,
      offersPlus: mechanisms.some((name) => name.endsWith('-PLUS')),
    });
    if (exchange === null || more.length > 0) {
      this.#fail(null, `Write AUTH with one of: ${mechanisms.join(' ')}`);
      return;
    }
    this.#exchange = exchange;
    if (initial === undefined) {
      this.#saslStep(exchange.begin(null));
      return;
    }
    // RFC 5034 §4: a single = is an initial response of no octets.
    const octets = initial === '=' ? new Uint8Array(0) : parseSaslBase64(initial);
    if (octets === null) this.#saslFailed('Not base64');
    else this.#saslStep(exchange.begin(octets));
  }

  #saslLine(line: Buffer): void {
    const exchange = this.#exchange;
    this.#phase = 'command';
    const text = line.toString('latin1');
    const octets = parseSaslBase64(text);
    const proved = this.#proved;
    if (proved !== null && octets !== null && exchange?.respond(octets).kind === 'done') this.#enter(proved);
    else if (text === '*') this.#saslFailed('Cancelled');
    else if (octets === null || exchange === null) this.#saslFailed('Not base64');
    else this.#saslStep(exchange.respond(octets));
  }

  #saslStep(step: SaslStep): void {
    switch (step.kind) {
      case 'challenge':
        this.#phase = 'sasl';
        this.#send(`+ ${Buffer.from(step.octets).toString('base64')}\r\n`);
        return;
      case 'malformed':
        this.#saslFailed(step.reason);
        return;
      case 'parameters':
        this.#phase = 'login';
        this.#effects.push({ kind: 'parameters', user: step.user });
        return;
      case 'password':
        this.#exchange = null;
        if (this.#isForItself(step)) this.#login(step.user, step.password);
        return;
      case 'proof':
        if (!this.#isForItself(step.proof)) return;
        this.#phase = 'login';
        this.#effects.push({ kind: 'proof', proof: step.proof });
        return;
      case 'done':
        throw new RangeError('a log-in without its maildrop');
    }
  }

  #isForItself({ authorizationId, user }: { authorizationId: string; user: string }): boolean {
    if (authorizationId === '' || authorizationId === user) return true;
    this.#exchange = null;
    this.#count('pop3-login-refused');
    this.#fail('AUTH', 'Nobody acts for somebody else here');
    return false;
  }

  #saslFailed(reason: string): void {
    this.#exchange = null;
    this.#fail(null, reason);
    // its maildrop is open: the driver closes it with the connection
    if (this.#proved !== null) this.#close();
  }

  #parametersAnswered(outcome: Extract<Pop3Answer, { kind: 'parameters' }>['outcome']): void {
    const exchange = this.#exchange;
    if (outcome.kind === 'refused' || exchange === null) this.#refused(outcome);
    else this.#saslStep(exchange.parameters(outcome));
  }

  #refused(outcome: { readonly kind: string } | Pop3Refusal): void {
    this.#exchange = null;
    this.#count('pop3-login-refused');
    if ('code' in outcome) this.#fail(outcome.code, outcome.text);
    else this.#fail('SYS/TEMP', 'Try again');
  }

  #passwordInClear(): void {
    this.#count('pop3-password-in-clear');
    this.#fail('AUTH', noPasswordInClear);
  }

  #login(user: string, password: string): void {
    this.#phase = 'login';
    this.#effects.push({ kind: 'login', user, password });
  }

  #loginAnswered(outcome: Extract<Pop3Answer, { kind: 'login' }>['outcome']): void {
    if (outcome.kind === 'refused') {
      this.#refused(outcome);
      return;
    }
    if (outcome.serverSignature === undefined) {
      this.#enter(outcome.messages);
      return;
    }
    this.#proved = outcome.messages;
    const step = this.#exchange?.proved(outcome.serverSignature);
    if (step !== undefined) this.#saslStep(step);
  }

  #enter(messages: readonly MaildropMessage[]): void {
    this.#exchange = null;
    this.#proved = null;
    this.#count('pop3-login');
    this.#messages = messages;
    this.#ok(`${messages.length} messages`);
  }

  #stls(): void {
    if (this.#secure) {
      this.#fail(null, 'TLS is on');
    } else if (!this.#settings.stls) {
      this.#fail(null, 'STLS is not offered');
    } else {
      this.#count('pop3-stls');
      this.#ok('Begin TLS');
      this.#effects.push({ kind: 'starttls' });
      this.#phase = 'tls';
    }
  }

  #transactionCommand(keyword: string, argument: string, messages: readonly MaildropMessage[]): void {
    switch (keyword) {
      case 'CAPA':
        this.#capabilities();
        return;
      case 'STAT': {
        let count = 0;
        let sizeBytes = 0;
        messages.forEach((message, index) => {
          if (this.#deleted.has(index)) return;
          count += 1;
          sizeBytes += message.sizeBytes;
        });
        this.#ok(`${count} ${sizeBytes}`);
        return;
      }
      case 'LIST':
        this.#listing(argument, messages, (message) => String(message.sizeBytes));
        return;
      case 'UIDL':
        this.#listing(argument, messages, (message) => message.uidl);
        return;
      case 'RETR':
        this.#open(this.#number(argument, messages), null);
        return;
      case 'TOP': {
        const [number = '', lines = '', ...more] = argument.split(/ +/);
        if (!/^\d{1,9}$/.test(lines) || more.length > 0) this.#fail(null, 'Write TOP message lines');
        else this.#open(this.#number(number, messages), Number(lines));
        return;
      }
      case 'DELE': {
        const index = this.#number(argument, messages);
        if (index === null) return;
        this.#deleted.add(index);
        this.#ok(`Message ${index + 1} goes at QUIT`);
        return;
      }
      case 'RSET':
        this.#deleted.clear();
        this.#ok('');
        return;
      case 'NOOP':
        this.#ok('');
        return;
      case 'QUIT':
        this.#phase = 'quit';
        this.#effects.push({ kind: 'quit', deleted: [...this.#deleted].sort((left, right) => left - right) });
        return;
      default:
        this.#fail(null, 'Unknown command, or not after the log-in');
    }
  }

  /** The index of a message by its number, or null after a reply. */
  #number(text: string, messages: readonly MaildropMessage[]): number | null {
    if (!/^0*[1-9]\d{0,9}$/.test(text)) {
      this.#fail(null, 'A message number is 1 or more');
      return null;
    }
    const index = Number(text) - 1;
    if (index >= messages.length) {
      this.#err(null, `No message ${index + 1}: there are ${messages.length}`);
      return null;
    }
    if (this.#deleted.has(index)) {
      this.#err(null, `Message ${index + 1} is deleted`);
      return null;
    }
    return index;
  }

  #listing(
    argument: string,
    messages: readonly MaildropMessage[],
    fact: (message: MaildropMessage) => string,
  ): void {
    if (argument === '') {
      this.#phase = 'sending';
      this.#effects.push({ kind: 'listing', pieces: listing(messages, new Set(this.#deleted), fact) });
      return;
    }
    const index = this.#number(argument, messages);
    const message = index === null ? undefined : messages[index];
    if (index !== null && message !== undefined) this.#ok(`${index + 1} ${fact(message)}`);
  }

  #open(index: number | null, bodyLines: number | null): void {
    if (index === null) return;
    this.#asked = { index, bodyLines };
    this.#phase = 'open';
    this.#effects.push({ kind: 'open', index });
  }

  #openAnswered(outcome: Extract<Pop3Answer, { kind: 'opened' }>['outcome']): void {
    const { index, bodyLines } = this.#asked;
    switch (outcome.kind) {
      case 'found':
        this.#count('pop3-message-sent');
        this.#ok(bodyLines === null ? `${outcome.sizeBytes} octets` : 'Top of message follows');
        this.#phase = 'sending';
        this.#effects.push({ kind: 'content', bodyLines });
        return;
      case 'damaged':
        this.#count('pop3-message-damaged');
        this.#err('SYS/PERM', `Message ${index + 1} is damaged and is not given out`);
        return;
      case 'gone':
        this.#err(null, `Message ${index + 1} was removed by another session`);
        return;
      case 'unavailable':
        this.#err('SYS/TEMP', `Message ${index + 1} can't be read now`);
    }
  }

  #quitAnswered(outcome: QuitOutcome): void {
    if (outcome.kind === 'done') {
      this.#ok('Bye');
    } else {
      // RFC 1939 §6: the client learns that not all was removed.
      this.#count('pop3-quit-failed');
      this.#err(outcome.code, outcome.text);
    }
    this.#close();
  }

  #stop(): void {
    if (this.#stopping === null) return;
    const [counter, code, text] = this.#stopping;
    this.#count(counter);
    this.#err(code, text);
    this.#close();
  }

  #ok(text: string): void {
    this.#send(text === '' ? '+OK\r\n' : `+OK ${printable(text)}\r\n`);
  }

  #err(code: Pop3ResponseCode | null, text: string): void {
    this.#send(`-ERR ${code === null ? '' : `[${code}] `}${printable(text)}\r\n`);
  }

  /** An error of the client's: a session has a bounded number of them. */
  #fail(code: Pop3ResponseCode | null, text: string): void {
    this.#err(code, text);
    this.#count('pop3-error');
    this.#errors += 1;
    if (this.#errors < this.#settings.errorsMax) return;
    this.#count('pop3-too-many-errors');
    this.#err(null, 'Too many errors');
    this.#close();
  }

  #send(text: string): void {
    if (this.#phase !== 'closed') this.#effects.push({ kind: 'reply', text });
  }

  #count(name: Pop3Counter): void {
    this.#effects.push({ kind: 'count', name });
  }

  #close(): void {
    if (this.#phase === 'closed') return;
    this.#phase = 'closed';
    this.#pending = [];
    this.#pendingBytes = 0;
    this.#exchange = null;
    this.#user = null;
    this.#lines.forget();
    this.#effects.push({ kind: 'close' });
  }
}

/** A scan listing in pieces of many lines: a maildrop may have a million messages, and a client may not read. */
function* listing(
  messages: readonly MaildropMessage[],
  deleted: ReadonlySet<number>,
  fact: (message: MaildropMessage) => string,
): Generator<string> {
  let piece = '+OK\r\n';
  let lines = 0;
  for (const [index, message] of messages.entries()) {
    if (deleted.has(index)) continue;
    piece += `${index + 1} ${fact(message)}\r\n`;
    lines += 1;
    if (lines % linesAPiece === 0) {
      yield piece;
      piece = '';
    }
  }
  yield `${piece}.\r\n`;
}

/** RFC 2449 §4: a reply line has at most 512 octets. */
const printable = (text: string): string => text.replace(/[^\x20-\x7e]+/g, '?').slice(0, 480);

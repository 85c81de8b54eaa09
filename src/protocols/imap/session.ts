import { FengniError, isDamage } from '#base/errors';
import type { SaslProof } from '#protocols/sasl';
import { Arguments, ImapSyntaxError } from './arguments.ts';
import { CommandReader, literalMark, type ReaderEvent, type ReaderLimits } from './command-reader.ts';
import type { CommandSession, Continuation, Tells } from './command-session.ts';
import { appendMessage } from './commands/append.ts';
import { isBound } from './commands/authenticate.ts';
import type { Begun, Command } from './commands/command.ts';
import { findCommand } from './commands/table.ts';
import { noFeatures } from './features.ts';
import type { MailboxListener } from './mailbox-state.ts';
import { MailboxView } from './mailbox-view.ts';
import { bad, no, ok, type Reply, refusal } from './reply.ts';
import type { ImapServer } from './server.ts';
import type { AccountSession, AppendSink, Credentials, Refused, SelectedMailbox } from './store.ts';
import type { ImapTransport } from './transport.ts';
import { wireSet } from './wire.ts';

const limitsBeforeLogin: ReaderLimits = { lineBytesMax: 8 * 1024, literalBytesMax: 8 * 1024 };
const limitsAfterLogin: ReaderLimits = { lineBytesMax: 64 * 1024, literalBytesMax: 64 * 1024 };
/** octets of replies that are gathered before they are written */
const batchBytes = 64 * 1024;
/** octets that a client may send ahead while a command runs */
const aheadBytesMax = 128 * 1024;
/** commands of one session that are under way together, and messages that they change */
const togetherMax = 64;
const togetherUidsMax = 1_000;
/** commands in a row that were none */
const badCommandsMax = 20;

const noScram: Refused = { kind: 'refused', code: 'CANNOT', text: 'Only passwords are known here' };

interface Together {
  readonly uids: Set<number>;
  readonly commands: {
    readonly tag: string;
    readonly byUid: boolean;
    readonly tells: Tells;
    readonly done: Promise<() => Promise<Reply>>;
  }[];
}

interface RunningAppend {
  readonly tag: string;
  readonly sink: AppendSink;
  /** of the message that comes now */
  readonly binary: boolean;
  readonly isUtf8: boolean;
  /** how much of the command's text has been read */
  readonly readLength: number;
  refused: Reply | null;
}

/**
 * One connection's IMAP: octets in, octets out, commands strictly one after the other.
 *
 * @source RFC 3501, RFC 9051
 */
export class ImapSession implements CommandSession, MailboxListener {
  readonly server: ImapServer;
  readonly transport: ImapTransport;
  account: AccountSession | null = null;
  view: MailboxView | null = null;
  readonly features = noFeatures();
  /** IDLE without DONE: changes are told at once */
  idling = false;
  readonly #reader = new CommandReader(limitsBeforeLogin);
  #running = false;
  #again = false;
  #closed = false;
  #paused = false;
  #peerEnded = false;
  #leaving: string | null = null;
  #wakeQueued = false;
  #badCommands = 0;
  #append: RunningAppend | null = null;
  /** the account of a client that has proved its password and has not yet seen that we know it too */
  #proved: AccountSession | null = null;
  #afterDiscard: { tag: string; reply: Reply } | null = null;
  #continuation: Continuation | null = null;
  /** commands that were begun and are answered in their order; null for most of a session's life */
  #together: Together | null = null;
  #text = '';
  #pieces: (string | Uint8Array)[] | null = null;
  #pendingBytes = 0;
  #drain: (() => void) | null = null;
  #secured: (() => void) | null = null;

  constructor(server: ImapServer, transport: ImapTransport) {
    this.server = server;
    this.transport = transport;
  }

  get capabilities(): string {
    const { secure, canStartTls } = this.transport;
    return this.server.capabilities(secure, canStartTls, this.account !== null, isBound(this));
  }

  /** What the client's next octets are: a log-in, the rest of a command, a command. */
  get waitsFor(): 'login' | 'rest' | 'command' {
    if (this.account === null) return 'login';
    return this.#append !== null || this.#reader.midCommand ? 'rest' : 'command';
  }

  /** Whether the connection is gone or about to go. */
  get closedOrLeaving(): boolean {
    return this.#closed;
  }

  greet(): void {
    this.transport.write(`* OK [CAPABILITY ${this.capabilities}] Fengni ready\r\n`);
  }

  receive(octets: Uint8Array): void {
    if (this.#closed) return;
    this.#reader.push(octets);
    this.#wake();
    if (!this.#paused && this.#reader.bufferedBytes > aheadBytesMax) {
      this.#paused = true;
      this.transport.pause();
    }
  }

  drained(): void {
    const resolve = this.#drain;
    this.#drain = null;
    resolve?.();
  }

  secured(): void {
    const resolve = this.#secured;
    this.#secured = null;
    resolve?.();
  }

  /** The connection is gone. */
  closed(): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#append?.sink.abort();
    this.#append = null;
    this.#continuation = null;
    this.#reader.clear();
    this.#pieces = null;
    this.#text = '';
    this.drained();
    this.secured();
    // a command that runs still has its hands on them
    if (!this.#running) this.#release();
  }

  /** The client will send nothing more: what it has sent is answered, then it is over. */
  peerEnded(): void {
    if (this.#closed) return;
    this.#peerEnded = true;
    this.#wake();
  }

  /** Says good-bye after the command that runs. */
  leave(text: string): void {
    if (this.#closed || this.#leaving !== null) return;
    this.#leaving = text;
    this.#wake();
  }

  /** Called by the mailbox's state. */
  mailboxChanged(): void {
    if (!this.idling || this.#wakeQueued) return;
    this.#wakeQueued = true;
    queueMicrotask(() => {
      this.#wakeQueued = false;
      if (this.idling && !this.#closed) this.#wake();
    });
  }

  cutOff(): void {
    this.transport.destroy();
    this.closed();
  }

  // For commands.

  send(text: string): void {
    this.#text += text;
    this.#pendingBytes += text.length;
  }

  /** Octets that stay as they are until they are written. */
  sendOctets(octets: Uint8Array): void {
    this.#pieces ??= [];
    if (this.#text !== '') this.#pieces.push(this.#text);
    this.#text = '';
    this.#pieces.push(octets);
    this.#pendingBytes += octets.length;
  }

  /** For long replies: writes when there is a batch, and waits while the client does not take it. */
  async breathe(): Promise<void> {
    if (this.#pendingBytes < batchBytes) return;
    if (this.#flush() || this.#closed) return;
    await new Promise<void>((resolve) => {
      this.#drain = resolve;
    });
  }

  /** The command is not over before a line has come. */
  awaitLine(continuation: Continuation): null {
    this.#continuation = continuation;
    this.#reader.plainLines = true;
    return null;
  }

  async authenticate(authorizationId: string, authenticationId: string, password: string): Promise<Reply> {
    const { options } = this.server;
    const outcome = await options.login.verify({
      authorizationId,
      authenticationId,
      password,
      ...this.#from(),
    });
    if (outcome.kind === 'refused') {
      options.count('imap-login-refused');
      return refusal(outcome);
    }
    return this.#enter(outcome.account);
  }

  async prove(
    proof: SaslProof,
  ): Promise<{ kind: 'proved'; serverSignature: Uint8Array } | { kind: 'reply'; reply: Reply }> {
    const { options } = this.server;
    const outcome = (await options.login.scram?.prove({ ...proof, ...this.#from() })) ?? noScram;
    if (outcome.kind === 'refused') {
      options.count('imap-login-refused');
      return { kind: 'reply', reply: refusal(outcome) };
    }
    this.#proved = outcome.account;
    return { kind: 'proved', serverSignature: outcome.serverSignature };
  }

  enterProved(isSeen: boolean): Reply {
    const account = this.#proved;
    this.#proved = null;
    if (account === null) return no('There was no proof');
    if (isSeen) return this.#enter(account);
    account.close();
    return no('The log-in was given up');
  }

  #from(): Pick<Credentials, 'connection' | 'end'> {
    const end = (): void => {
      this.server.options.count('imap-revoked');
      this.leave('This log-in is valid no longer');
    };
    return { connection: this.transport.facts, end };
  }

  #enter(account: AccountSession): Reply {
    const { options } = this.server;
    if (this.#closed) {
      account.close();
      return no('The connection is gone');
    }
    if (!this.server.admit(account.accountId)) {
      account.close();
      options.count('imap-account-sessions-refused');
      return no('The account has as many sessions as it may have', 'LIMIT');
    }
    this.account = account;
    this.#reader.limits = limitsAfterLogin;
    this.transport.loggedIn();
    options.count('imap-login');
    return ok('Logged in', `CAPABILITY ${this.capabilities}`);
  }

  /** The TLS handshake, after the reply to STARTTLS has gone out in clear. */
  async startTls(tag: string): Promise<Reply | null> {
    if (this.#reader.bufferedBytes > 0) {
      // RFC 9051 §6.2.1: what came in clear behind the command must not be taken for something that came by TLS
      this.#leaving = 'Nothing may follow STARTTLS before the handshake';
      return bad('Nothing may follow STARTTLS before the handshake');
    }
    this.send(`${tag} OK Begin TLS\r\n`);
    this.#flush();
    this.#reader.clear();
    const secured = new Promise<void>((resolve) => {
      this.#secured = resolve;
    });
    this.transport.startTls();
    await secured;
    return null;
  }

  /** Gives the mailbox back, if there is one. */
  unselect(): void {
    const { view } = this;
    this.view = null;
    if (view === null) return;
    view.state.removeListener(this);
    view.mailbox.close();
  }

  select(mailbox: SelectedMailbox, readOnly: boolean): MailboxView {
    const view = new MailboxView(mailbox, readOnly, this.features);
    this.view = view;
    view.state.addListener(this);
    return view;
  }

  #wake(): void {
    if (this.#running) this.#again = true;
    else void this.#run();
  }

  async #run(): Promise<void> {
    this.#running = true;
    try {
      do {
        this.#again = false;
        await this.#work();
        // what came while this waited for the last step to end must not wait for the next octets
      } while (this.#again && !this.#closed);
    } catch (error) {
      // nothing of what a client sends may get here: it is a bug of ours, and this session's end
      this.server.options.log.error('imap session failed', { cause: String(error) });
      this.server.options.count('imap-session-failed');
      if (!this.#closed) this.transport.destroy();
    }
    this.#running = false;
    if (this.#closed) this.#release();
    else if (this.idling && this.view !== null && (this.view.behind || this.view.state.deleted))
      this.mailboxChanged();
  }

  async #work(): Promise<void> {
    if (this.idling) await this.#tell('all', false);
    while (!this.#closed) {
      const event = this.#reader.next();
      // nothing else happens before what is under way is answered
      const goesOn = event.kind === 'command' || (await this.#answerTogether());
      if (event.kind === 'need') break;
      const done = goesOn ? this.#handle(event) : null;
      if (done !== null) await done;
      if (this.#closed) return;
      if (this.#leaving !== null && this.#append === null) {
        this.#bye();
        return;
      }
      if (this.#pendingBytes >= batchBytes) await this.breathe();
    }
    if (this.#leaving !== null) {
      this.#bye();
      return;
    }
    this.#flush();
    if (this.#peerEnded) {
      this.#leave();
      return;
    }
    if (this.#paused) {
      this.#paused = false;
      this.transport.resume();
    }
  }

  #handle(event: ReaderEvent): Promise<void> | null {
    switch (event.kind) {
      case 'command':
        return this.#append === null
          ? this.#command(event.text, event.literals)
          : this.#appendEnd(event.text);
      case 'literal':
        return this.#literal(event);
      case 'octets':
        return this.#appendOctets(event.octets);
      case 'discarded': {
        const waiting = this.#afterDiscard;
        this.#afterDiscard = null;
        if (waiting !== null) this.#reply(waiting.tag, waiting.reply);
        return null;
      }
      case 'broken':
        return this.#broken(event.reason, event.text);
      case 'flood':
        this.#leaving = 'Too much was sent';
        return null;
      default:
        return null;
    }
  }

  #broken(reason: 'line-too-long' | 'bare-line-feed' | 'stray-control', text: string): null {
    const why = {
      'line-too-long': 'The line is too long',
      'bare-line-feed': 'A line ends in CRLF',
      'stray-control': 'A line has no CR or NUL in it',
    }[reason];
    const append = this.#append;
    append?.sink.abort();
    this.#append = null;
    const continuation = this.#continuation;
    if (continuation !== null) this.#endContinuation();
    this.server.options.count(`imap-${reason}`);
    this.#reply(append?.tag ?? continuation?.tag ?? tagOf(text), bad(why));
    return null;
  }

  async #command(text: string, literals: readonly Uint8Array[]): Promise<void> {
    const continuation = this.#continuation;
    if (continuation !== null) {
      if (!(await this.#answerTogether())) return;
      this.#endContinuation();
      const reply = await this.#guard(() => continuation.line(this, text));
      if (reply !== null) await this.#finish(continuation.tag, reply, continuation.tells, false);
      return;
    }
    if (this.account === null && /^[A-Z]+ \S+ HTTP\//.test(text)) {
      this.server.options.count('imap-http-refused');
      this.transport.destroy();
      this.closed();
      return;
    }
    const args = new Arguments(text, literals);
    let tag = '*';
    let found: { command: Command; byUid: boolean } | Reply;
    try {
      tag = args.tag();
      args.space();
      found = this.#find(args);
    } catch (error) {
      if (!(error instanceof ImapSyntaxError)) throw error;
      if (!(await this.#answerTogether())) return;
      this.#reply(tag, bad(`That is no command: ${error.message}`));
      return;
    }
    if ('condition' in found) {
      if (!(await this.#answerTogether())) return;
      this.#reply(tag, found);
      return;
    }
    const { command, byUid } = found;
    if (command.begin !== undefined) {
      await this.#begin(tag, args, command, command.begin, byUid);
      return;
    }
    if (!(await this.#answerTogether())) return;
    const reply = await this.#guard(() => command.run(this, args, tag, byUid));
    if (reply !== null) await this.#finish(tag, reply, command.tells, byUid);
  }

  /** What a client sends without waiting for the answers, and about different messages, shares a group of the log. */
  async #begin(
    tag: string,
    args: Arguments,
    { tells }: Command,
    begin: NonNullable<Command['begin']>,
    byUid: boolean,
  ): Promise<void> {
    let begun: Begun | Reply;
    try {
      begun = begin(this, args, byUid);
    } catch (error) {
      begun = error instanceof ImapSyntaxError ? bad(error.message) : this.#fault(error);
    }
    const known = this.#together;
    if (known !== null) {
      const isOther =
        'condition' in begun ||
        begun.alone ||
        known.commands.length >= togetherMax ||
        known.uids.size + begun.uids.length > togetherUidsMax ||
        begun.uids.some((uid) => known.uids.has(uid));
      if (isOther && !(await this.#answerTogether())) return;
    }
    if ('condition' in begun) {
      await this.#finish(tag, begun, tells, byUid);
      return;
    }
    this.#together ??= { uids: new Set(), commands: [] };
    const { uids, commands } = this.#together;
    for (const uid of begun.uids) uids.add(uid);
    const done = begun.submit();
    // it is looked at when its turn comes
    done.catch(() => {});
    commands.push({ tag, byUid, tells, done });
  }

  /** @returns whether the session goes on */
  #answerTogether(): true | Promise<boolean> {
    const together = this.#together;
    if (together === null) return true;
    this.#together = null;
    return this.#answerAll(together);
  }

  async #answerAll({ commands }: Together): Promise<boolean> {
    for (const { tag, byUid, tells, done } of commands) {
      const reply = await this.#guard(async () => (await done)());
      // the mailbox is gone, and so is the session
      if (this.#closed || this.#leaving === '') return false;
      if (reply !== null) await this.#finish(tag, reply, tells, byUid);
    }
    return !this.#closed && this.#leaving === null;
  }

  /** The command that is named next, if it can be given now. */
  #find(args: Arguments): { command: Command; byUid: boolean } | Reply {
    let name = args.word();
    const byUid = name === 'UID';
    if (byUid) {
      args.space();
      name = args.word();
    }
    const command = findCommand(name);
    if (command === 'later') return no(`${name} is not supported`, 'CANNOT');
    if (command === null || (byUid && command.uid !== true)) return bad('There is no such command');
    const state = this.account === null ? 'before-login' : this.view === null ? 'logged-in' : 'selected';
    if (!command.states.includes(state)) {
      if (state === 'before-login') return no('Log in first');
      if (state === 'logged-in' && command.states.includes('selected')) return bad('No mailbox is selected');
      return bad('Already logged in');
    }
    return { command, byUid };
  }

  /** What a command makes of it, whatever it throws. */
  async #guard(run: () => Reply | null | Promise<Reply | null>): Promise<Reply | null> {
    try {
      return await run();
    } catch (error) {
      if (error instanceof ImapSyntaxError) return bad(error.message);
      return this.#fault(error);
    }
  }

  #fault(error: unknown): Reply {
    const { log, count } = this.server.options;
    count('imap-command-failed');
    log.error('imap command failed', {
      code: error instanceof FengniError ? error.code : 'bug',
      cause: String(error),
    });
    if (error instanceof FengniError && error.retryable) return no('Not now, try again later', 'UNAVAILABLE');
    return isDamage(error)
      ? no('What is stored is damaged and not shown; the log of the server names it', 'CORRUPTION')
      : no('The server could not do it; its log says why', 'SERVERBUG');
  }

  #endContinuation(): void {
    this.#continuation = null;
    this.#reader.plainLines = false;
    this.idling = false;
  }

  async #finish(tag: string, reply: Reply, tells: Tells, byUid: boolean): Promise<void> {
    if (tells !== 'nothing') await this.#tell(tells, byUid);
    this.#reply(tag, reply);
  }

  async #tell(tells: 'all' | 'no-expunge', withUid: boolean): Promise<void> {
    const { view } = this;
    if (view === null) return;
    const early = this.idling
      ? (text: string): void => {
          this.send(text);
          this.#flush();
        }
      : undefined;
    this.send(await view.sync(tells === 'all', withUid, early));
    if (!view.state.deleted || this.#leaving !== null) return;
    // RFC 2180 §3.3: there is nothing left that this session could do
    this.#leaving = '';
    this.send('* BYE The selected mailbox has been deleted\r\n');
  }

  #reply(tag: string, reply: Reply): void {
    const code = reply.code === null ? '' : `[${reply.code}] `;
    this.send(`${tag} ${reply.condition} ${code}${reply.text}\r\n`);
    this.server.options.count(`imap-reply-${reply.condition.toLowerCase()}`);
    if (reply.condition !== 'BAD') {
      this.#badCommands = 0;
      return;
    }
    this.server.options.count('imap-bad');
    if (++this.#badCommands >= badCommandsMax) this.#leaving ??= 'Too many lines that are no commands';
  }

  #literal(event: ReaderEvent & { kind: 'literal' }): Promise<void> | null {
    const { text, literals } = event;
    const append = this.#append;
    if (append !== null) {
      if (append.refused === null) return this.#appendNext(event, append);
      this.#append = null;
      this.#afterDiscard = { tag: append.tag, reply: append.refused };
      this.#reader.refuseLiteral();
      return null;
    }
    if (this.account !== null && /^[^ ]+ +append +[^ ]/i.test(text)) {
      return this.#appendBegin(event, new Arguments(text, literals));
    }
    if (!this.#reader.fitsLimit(event.sizeBytes)) {
      this.server.options.count('imap-literal-too-big');
      this.#afterDiscard = { tag: tagOf(text), reply: no('The literal is too big', 'TOOBIG') };
      this.#reader.refuseLiteral();
      return null;
    }
    if (event.waits) this.send('+ Go on\r\n');
    this.#reader.keepLiteral();
    return null;
  }

  /** `tag SP APPEND SP mailbox [SP flags] [SP date-time] SP` stands before the literal. @source RFC 9051 §6.3.12 */
  async #appendBegin(event: ReaderEvent & { kind: 'literal' }, args: Arguments): Promise<void> {
    const tag = tagOf(event.text);
    const reply = await this.#guard(async () => {
      args.tag();
      args.space();
      args.word();
      return appendMessage(this, args, event, null, (sink, isUtf8) =>
        this.#appendReady(event, tag, sink, isUtf8),
      );
    });
    this.#appendAnswer(event, tag, reply);
  }

  /** The next message of the same command. @source RFC 3502 */
  async #appendNext(event: ReaderEvent & { kind: 'literal' }, append: RunningAppend): Promise<void> {
    const { tag, sink } = append;
    this.#append = null;
    const reply = await this.#guard(async () => {
      const args = new Arguments(event.text.slice(append.readLength), []);
      args.expect(literalMark);
      if (append.isUtf8) args.expect(')');
      return appendMessage(this, args, event, sink, (_sink, isUtf8) =>
        this.#appendReady(event, tag, sink, isUtf8),
      );
    });
    if (reply !== null) sink.abort();
    this.#appendAnswer(event, tag, reply);
  }

  #appendReady(
    event: ReaderEvent & { kind: 'literal' },
    tag: string,
    sink: AppendSink,
    isUtf8: boolean,
  ): void {
    this.#append = { tag, sink, binary: event.binary, isUtf8, readLength: event.text.length, refused: null };
  }

  #appendAnswer(event: ReaderEvent & { kind: 'literal' }, tag: string, reply: Reply | null): void {
    if (this.#closed) {
      this.#append?.sink.abort();
      this.#append = null;
      return;
    }
    if (reply !== null) {
      this.#afterDiscard = { tag, reply };
      this.#reader.refuseLiteral();
      return;
    }
    if (event.waits) this.send('+ Go on\r\n');
    this.#reader.streamLiteral();
  }

  #appendOctets(octets: Uint8Array): Promise<void> | null {
    const append = this.#append;
    if (append === null || append.refused !== null) return null;
    if (!append.binary && octets.includes(0)) {
      // RFC 9051 §4.3.1: NUL comes in a literal8 only
      append.sink.abort();
      append.refused = no('The message has a NUL: send it as a literal8', 'CANNOT');
      return null;
    }
    const written = append.sink.write(octets);
    return written instanceof Promise
      ? written.catch((error: unknown) => {
          append.sink.abort();
          append.refused = this.#fault(error);
        })
      : null;
  }

  async #appendEnd(text: string): Promise<void> {
    const append = this.#append;
    if (append === null) return;
    this.#append = null;
    const rest = text.slice(append.readLength);
    if (rest !== (append.isUtf8 ? `${literalMark})` : literalMark)) {
      if (append.refused === null) append.sink.abort();
      this.#reply(append.tag, append.refused ?? bad('Something follows the message'));
      return;
    }
    const reply =
      append.refused ??
      (await this.#guard(async () => {
        const outcome = await append.sink.commit();
        return outcome.kind === 'done'
          ? ok('Appended', `APPENDUID ${outcome.uidValidity} ${wireSet(outcome.uids)}`)
          : refusal(outcome);
      }));
    if (reply !== null) await this.#finish(append.tag, reply, 'all', false);
  }

  #flush(): boolean {
    const pieces = this.#pieces;
    const text = this.#text;
    const bytes = this.#pendingBytes;
    this.#pieces = null;
    this.#text = '';
    this.#pendingBytes = 0;
    if (bytes === 0 || this.#closed) return true;
    if (pieces === null) return this.transport.write(text);
    if (text !== '') pieces.push(text);
    // one write: on TLS each would be a record of its own
    const batch = Buffer.allocUnsafe(bytes);
    let at = 0;
    for (const piece of pieces) {
      if (typeof piece === 'string') at += batch.write(piece, at, 'latin1');
      else {
        batch.set(piece, at);
        at += piece.length;
      }
    }
    return this.transport.write(batch);
  }

  #bye(): void {
    // empty: it has been said
    if (this.#leaving !== '') this.send(`* BYE ${this.#leaving}\r\n`);
    this.#flush();
    this.#leave();
  }

  /** After BYE: nothing more is read. */
  #leave(): void {
    this.transport.end();
    this.closed();
  }

  #release(): void {
    this.unselect();
    this.#proved?.close();
    this.#proved = null;
    const { account } = this;
    this.account = null;
    if (account === null) return;
    this.server.release(account.accountId);
    account.close();
  }

  /** LOGOUT: the reply, then the end. */
  logOut(tag: string): null {
    this.send(`* BYE Logging out\r\n${tag} OK Logged out\r\n`);
    this.#flush();
    this.#leave();
    return null;
  }
}

/** The tag at the start of a line that may be no command, or `*`. */
const tagOf = (text: string): string => /^[!#$&',\-./0-9:;<=>?@A-Z[\]^_`a-z|}~]+(?= )/.exec(text)?.[0] ?? '*';

import net from 'node:net';
import tls from 'node:tls';
import { type LoadMessages, loadMessages } from './load-message.ts';

// The load of bench/smtp.ts, in a process of its own: sessions that each send a message when the one before is answered. Told what to do,
// and answering, over the channel to its parent.

export interface LoadTask {
  port: number;
  to: string;
  tag: string;
  /** without signatures */
  sizeBytes: number;
  /** fields, made beforehand */
  signatures: string;
  /** what XCLIENT says of who sends, or null: the load speaks for itself */
  xclient: string | null;
  sessions: number;
  /** 1: a new connection for each message */
  messagesPerConnection: number;
  tls: 'none' | 'starttls' | 'implicit';
  /** MAIL, RCPT and DATA in one write (RFC 2920) */
  pipelining: boolean;
  /** no message is begun after this many, or this time */
  messagesMax: number;
  secondsMax: number;
}

export interface LoadResult {
  /** numbers of the messages that were answered with 250 */
  acknowledged: Uint32Array;
  /** from the first octet of a message's content to its 250, in the order of `acknowledged` */
  delaysMs: Float64Array;
  /** replies that refused something, and faults of connections; the first of each kind with how many came */
  faults: Record<string, number>;
  connections: number;
  /** time since the epoch, with fractions */
  beganMs: number;
  lastMs: number;
  cpuMs: number;
}

const nowMs = (): number => performance.timeOrigin + performance.now();
/** a session that meets faults over and over ends */
const faultsMax = 20;

class Load {
  readonly task: LoadTask;
  readonly messages: LoadMessages;
  readonly acknowledged: Uint32Array;
  readonly delaysMs: Float64Array;
  count = 0;
  connections = 0;
  lastMs = 0;
  readonly faults: Record<string, number> = {};
  readonly beganMs = nowMs();
  readonly #cpu = process.cpuUsage();
  #next = 0;
  #running = 0;
  readonly #done: (result: LoadResult) => void;

  constructor(task: LoadTask, done: (result: LoadResult) => void) {
    this.task = task;
    this.#done = done;
    this.messages = loadMessages(task.tag, task.to, task.sizeBytes, task.signatures);
    this.acknowledged = new Uint32Array(task.messagesMax);
    this.delaysMs = new Float64Array(task.messagesMax);
    this.#running = task.sessions;
    for (let at = 0; at < task.sessions; at++) new Session(this).connect();
  }

  /** the next message's number, or null: it is enough */
  take(): number | null {
    if (this.#next >= this.task.messagesMax) return null;
    // Each session sends one at least.
    if (this.#next >= this.task.sessions && nowMs() - this.beganMs > this.task.secondsMax * 1_000)
      return null;
    return this.#next++;
  }

  taken(number: number, delayMs: number): void {
    this.acknowledged[this.count] = number;
    this.delaysMs[this.count] = delayMs;
    this.count += 1;
  }

  fault(what: string): void {
    this.faults[what] = (this.faults[what] ?? 0) + 1;
  }

  ended(): void {
    this.#running -= 1;
    if (this.#running > 0) return;
    const { user, system } = process.cpuUsage(this.#cpu);
    this.#done({
      acknowledged: this.acknowledged.slice(0, this.count),
      delaysMs: this.delaysMs.slice(0, this.count),
      faults: this.faults,
      connections: this.connections,
      beganMs: this.beganMs,
      lastMs: this.lastMs,
      cpuMs: (user + system) / 1_000,
    });
  }
}

type Step = 'greeting' | 'ehlo' | 'starttls' | 'xclient' | 'mail' | 'rcpt' | 'data' | 'content' | 'quit';

/** One session after the other until there is nothing more to send. */
class Session {
  readonly #load: Load;
  readonly #head: Buffer;
  readonly #mail: string;
  readonly #rcpt: string;
  #socket: net.Socket = new net.Socket();
  #step: Step = 'greeting';
  #rest = '';
  #secure = false;
  /** who sends has been said, or nobody need say it */
  #introduced = false;
  #number: number | null = null;
  #begunMs = 0;
  #sent = 0;
  #faults = 0;

  constructor(load: Load) {
    this.#load = load;
    this.#head = load.messages.head();
    this.#mail = 'MAIL FROM:<load@load.example>\r\n';
    this.#rcpt = `RCPT TO:<${load.task.to}>\r\n`;
  }

  connect(): void {
    this.#number ??= this.#load.take();
    if (this.#number === null || this.#faults > faultsMax) {
      this.#load.ended();
      return;
    }
    const { port, tls: mode } = this.#load.task;
    this.#load.connections += 1;
    this.#step = 'greeting';
    this.#rest = '';
    this.#sent = 0;
    this.#secure = mode === 'implicit';
    this.#introduced = this.#load.task.xclient === null;
    this.#listen(
      mode === 'implicit'
        ? tls.connect({ port, host: '127.0.0.1', rejectUnauthorized: false, servername: 'localhost' })
        : net.connect({ port, host: '127.0.0.1' }),
    );
  }

  #listen(socket: net.Socket): void {
    this.#socket = socket;
    socket.setNoDelay(true);
    socket.on('data', (chunk: Buffer) => this.#octets(chunk));
    socket.on('error', (error: NodeJS.ErrnoException) => {
      if (this.#step !== 'quit') this.#fault(`${this.#step}: ${error.code ?? error.message}`);
    });
    socket.on('close', () => {
      // A connection that STARTTLS took over closes with the one above it.
      if (socket !== this.#socket) return;
      if (this.#step !== 'quit') this.#fault(`${this.#step}: closed`);
      this.connect();
    });
  }

  #fault(what: string): void {
    this.#faults += 1;
    this.#load.fault(what);
    // Whether it was stored is not known: it is never sent again under the same number.
    if (this.#step === 'content') this.#number = null;
  }

  #octets(chunk: Buffer): void {
    const text = this.#rest === '' ? chunk.toString('latin1') : this.#rest + chunk.toString('latin1');
    let at = 0;
    for (;;) {
      const end = text.indexOf('\n', at);
      if (end === -1) break;
      // `250-…` goes on, `250 …` ends a reply.
      if (text.charCodeAt(at + 3) !== 0x2d) this.#reply(text, at, end);
      at = end + 1;
    }
    this.#rest = at === text.length ? '' : text.slice(at);
  }

  #reply(text: string, from: number, end: number): void {
    const kind = text.charCodeAt(from) - 0x30;
    const isGood = kind === 2 || (kind === 3 && this.#step === 'data');
    if (!isGood) {
      this.#fault(`${this.#step}: ${text.slice(from, end - 1)}`);
      this.#step = 'quit';
      this.#socket.end();
      return;
    }
    switch (this.#step) {
      case 'greeting':
        this.#ask('ehlo', 'EHLO load.example\r\n');
        return;
      case 'ehlo':
        if (this.#load.task.tls === 'starttls' && !this.#secure) this.#ask('starttls', 'STARTTLS\r\n');
        else if (this.#introduced) this.#begin();
        else this.#ask('xclient', `XCLIENT ${this.#load.task.xclient}\r\n`);
        return;
      case 'xclient':
        this.#introduced = true;
        this.#ask('ehlo', 'EHLO load.example\r\n');
        return;
      case 'starttls':
        this.#startTls();
        return;
      case 'mail':
        this.#step = 'rcpt';
        if (!this.#load.task.pipelining) this.#socket.write(this.#rcpt, 'latin1');
        return;
      case 'rcpt':
        this.#step = 'data';
        if (!this.#load.task.pipelining) this.#socket.write('DATA\r\n', 'latin1');
        return;
      case 'data':
        this.#content();
        return;
      case 'content': {
        const now = nowMs();
        this.#load.lastMs = now;
        this.#load.taken(this.#number ?? 0, now - this.#begunMs);
        this.#sent += 1;
        const isEnough = this.#sent >= this.#load.task.messagesPerConnection;
        this.#number = isEnough ? null : this.#load.take();
        if (this.#number === null) this.#ask('quit', 'QUIT\r\n');
        else this.#begin();
        return;
      }
      case 'quit':
        this.#socket.end();
    }
  }

  #ask(step: Step, line: string): void {
    this.#step = step;
    this.#socket.write(line, 'latin1');
  }

  #startTls(): void {
    const plain = this.#socket;
    plain.removeAllListeners('data');
    plain.removeAllListeners('close');
    const secure = tls.connect({ socket: plain, rejectUnauthorized: false, servername: 'localhost' });
    this.#secure = true;
    this.#rest = '';
    this.#listen(secure);
    secure.once('secureConnect', () => this.#ask('ehlo', 'EHLO load.example\r\n'));
  }

  #begin(): void {
    const { pipelining } = this.#load.task;
    this.#ask('mail', pipelining ? `${this.#mail}${this.#rcpt}DATA\r\n` : this.#mail);
  }

  #content(): void {
    const { messages } = this.#load;
    messages.number(this.#head, this.#number ?? 0);
    this.#step = 'content';
    this.#begunMs = nowMs();
    const socket = this.#socket;
    socket.cork();
    socket.write(this.#head);
    socket.write(messages.rest);
    socket.write('.\r\n', 'latin1');
    socket.uncork();
  }
}

process.on('message', (task: LoadTask) => {
  new Load(task, (result) => process.send?.(result));
});
process.on('disconnect', () => process.exit(0));

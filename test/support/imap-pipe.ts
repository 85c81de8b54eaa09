import { fromLatin1, latin1 } from '#base/bytes';
import { silentLogger } from '#base/logger';
import { type ImapLogin, ImapServer, ImapSession } from '#protocols/imap';

/** A session without a socket: what it writes is gathered as text, one octet a character. */
export class ImapPipe {
  readonly session: ImapSession;
  output = '';
  secure: boolean;
  ended = false;
  destroyed = false;
  pauses = 0;
  resumes = 0;
  writes = 0;
  /** writes answer false until `release` */
  blocked = false;
  #waiting: (() => void)[] = [];

  constructor(server: ImapServer, secure = true) {
    this.secure = secure;
    const pipe = this;
    this.session = new ImapSession(server, {
      get secure() {
        return pipe.secure;
      },
      canStartTls: true,
      facts: { peer: { address: '192.0.2.1', port: 1 }, tls: null },
      write: (octets) => {
        if (pipe.ended || pipe.destroyed) throw new Error('written after the end');
        pipe.output += typeof octets === 'string' ? octets : latin1(octets);
        pipe.writes++;
        for (const wake of pipe.#waiting.splice(0)) wake();
        return !pipe.blocked;
      },
      startTls: () => {
        pipe.secure = true;
        queueMicrotask(() => pipe.session.secured());
      },
      loggedIn: () => {},
      pause: () => {
        pipe.pauses++;
      },
      resume: () => {
        pipe.resumes++;
      },
      end: () => {
        pipe.ended = true;
        for (const wake of pipe.#waiting.splice(0)) wake();
      },
      destroy: () => {
        pipe.destroyed = true;
        for (const wake of pipe.#waiting.splice(0)) wake();
      },
    });
    this.session.greet();
  }

  send(text: string | Uint8Array): void {
    this.session.receive(typeof text === 'string' ? fromLatin1(text) : text);
  }

  /** Takes everything written so far. */
  take(): string {
    const taken = this.output;
    this.output = '';
    return taken;
  }

  /** Waits until what is written matches. */
  async until(pattern: RegExp): Promise<string> {
    while (!pattern.test(this.output) && !this.ended && !this.destroyed) {
      await new Promise<void>((resolve) => {
        this.#waiting.push(resolve);
      });
    }
    return this.take();
  }

  #tags = 0;

  /** Sends one command and returns its untagged replies and its tagged one, without their line ends and without the tag. */
  async command(text: string): Promise<{ untagged: string; tagged: string }> {
    const tag = `t${++this.#tags}`;
    this.send(`${tag} ${text}\r\n`);
    const reply = await this.until(new RegExp(`^${tag} .*\r\n$`, 'm'));
    const at = reply.lastIndexOf(`${tag} `);
    return { untagged: reply.slice(0, at), tagged: reply.slice(at + tag.length + 1).trimEnd() };
  }
}

export const createImapServer = (
  login: ImapLogin,
  more: { sessionsPerAccountMax?: number; appendBytesMax?: number; counted?: string[] } = {},
): ImapServer =>
  new ImapServer({
    login,
    log: silentLogger,
    count: (name) => more.counted?.push(name),
    move: true,
    ...(more.sessionsPerAccountMax === undefined
      ? {}
      : { sessionsPerAccountMax: more.sessionsPerAccountMax }),
    ...(more.appendBytesMax === undefined ? {} : { appendBytesMax: more.appendBytesMax }),
  });

import net from 'node:net';
import tls from 'node:tls';
import { fromLatin1 } from '#base/bytes';

/** One reply of an IMAP server: its line with the literals in it, one octet a character, without the last CRLF. */
export type ImapReplyText = string;

/** A connection to an IMAP server that knows nothing but lines and literals: for tests that say themselves what to expect. */
export class ImapTestClient {
  #socket: net.Socket;
  #buffer = '';
  readonly #more: Buffer[] = [];
  #moreBytes = 0;
  /** octets before which no reply can be whole: those of a literal */
  #wanted = 0;
  #ended = false;
  #wake: () => void = () => {};

  constructor(socket: net.Socket) {
    this.#socket = socket;
    this.#listen();
  }

  static async connect(options: { port: number; secure: boolean; ca?: string }): Promise<ImapTestClient> {
    const socket = options.secure
      ? tls.connect({ host: '127.0.0.1', port: options.port, servername: 'localhost', ca: options.ca })
      : net.connect({ host: '127.0.0.1', port: options.port, allowHalfOpen: true });
    await new Promise<void>((resolve, reject) => {
      socket.once(options.secure ? 'secureConnect' : 'connect', resolve);
      socket.once('error', reject);
    });
    return new ImapTestClient(socket);
  }

  /** Changes to TLS on this connection. */
  async secure(ca: string): Promise<void> {
    this.#socket.removeAllListeners();
    const socket = tls.connect({ socket: this.#socket, servername: 'localhost', ca });
    await new Promise<void>((resolve, reject) => {
      socket.once('secureConnect', resolve);
      socket.once('error', reject);
    });
    this.#socket = socket;
    this.#listen();
  }

  #listen(): void {
    this.#socket.setNoDelay(true);
    this.#socket.on('data', (octets: Buffer) => {
      this.#more.push(octets);
      this.#moreBytes += octets.length;
      this.#wake();
    });
    this.#socket.on('end', () => {
      this.#socket.end();
    });
    this.#socket.on('close', () => {
      this.#ended = true;
      this.#wake();
    });
    this.#socket.on('error', () => {});
  }

  get ended(): boolean {
    return this.#ended;
  }

  send(text: string): void {
    this.#socket.write(fromLatin1(text));
  }

  /** The next reply, or null when the server has closed. */
  async reply(): Promise<ImapReplyText | null> {
    for (;;) {
      if (this.#buffer.length + this.#moreBytes >= this.#wanted) {
        this.#buffer += Buffer.concat(this.#more.splice(0)).toString('latin1');
        this.#moreBytes = 0;
        const { whole, end } = replyEnd(this.#buffer);
        this.#wanted = whole ? 0 : end;
        if (whole) {
          const text = this.#buffer.slice(0, end - 2);
          this.#buffer = this.#buffer.slice(end);
          return text;
        }
      }
      if (this.#ended) return null;
      await new Promise<void>((resolve) => {
        this.#wake = resolve;
      });
    }
  }

  /** The replies up to the tagged one, or to the end of the connection. */
  async until(tag: string): Promise<ImapReplyText[]> {
    const replies: string[] = [];
    for (;;) {
      const reply = await this.reply();
      if (reply === null) return replies;
      replies.push(reply);
      if (reply.startsWith(`${tag} `)) return replies;
    }
  }

  /** Sends a command, waiting for `+` before each literal that waits, and returns the replies up to the tagged one. */
  async command(tag: string, text: string): Promise<ImapReplyText[]> {
    this.send(`${tag} ${text}\r\n`);
    return this.until(tag);
  }

  /** Stops reading from the socket. */
  pause(): void {
    this.#socket.pause();
  }

  /** Ends this side; replies may still come. */
  endInput(): void {
    this.#socket.end();
  }

  close(): void {
    this.#socket.destroy();
  }
}

/** Where the first reply ends, or how many octets there must be at least before it does. */
const replyEnd = (text: string): { whole: boolean; end: number } => {
  let at = 0;
  for (;;) {
    const end = text.indexOf('\r\n', at);
    if (end === -1) return { whole: false, end: at };
    const literal = /\{(\d+)\}$/.exec(text.slice(Math.max(at, end - 20), end));
    if (literal === null) return { whole: true, end: end + 2 };
    at = end + 2 + Number(literal[1]);
    if (at > text.length) return { whole: false, end: at };
  }
};

import net, { type Socket } from 'node:net';
import tls from 'node:tls';

/** A line of a reply and the literal behind it, if there is one. The literal is a view: use it before the next one. */
export type OnPart = (line: string, literal: Buffer | null) => void;

/** An IMAP or POP3 client that reads replies without keeping them. */
export class WireClient {
  readonly #socket: Socket;
  #held: Buffer = Buffer.alloc(0);
  #waits: { ends: (line: string) => boolean; part: OnPart; resolve(line: string): void } | null = null;
  #failed: ((error: Error) => void) | null = null;
  #error: Error | null = null;
  #pieces: Buffer[] = [];
  #piecesBytes = 0;
  #wanted = 0;
  /** whether `{n}` at the end of a line announces a literal */
  readonly #literals: boolean;

  private constructor(socket: Socket, literals: boolean) {
    this.#socket = socket;
    this.#literals = literals;
    socket.on('data', (piece: Buffer) => this.#take(piece));
    const failed = (error: Error): void => {
      this.#error = error;
      this.#failed?.(error);
    };
    socket.on('error', failed);
    socket.on('close', () => failed(new Error('the connection was closed')));
  }

  static async connect(port: number, ca: string | null, literals = true): Promise<WireClient> {
    const socket =
      ca === null
        ? net.connect({ port, host: '127.0.0.1', noDelay: true })
        : tls.connect({ port, host: '127.0.0.1', ca, servername: 'localhost' });
    if (ca !== null) socket.setNoDelay(true);
    const client = new WireClient(socket, literals);
    await client.until(() => true);
    return client;
  }

  send(octets: string | Buffer): void {
    this.#socket.write(octets);
  }

  /** Reads until a line ends it. @throws where the connection ends first */
  until(ends: (line: string) => boolean, part: OnPart = () => {}): Promise<string> {
    return new Promise((resolve, reject) => {
      if (this.#error !== null) {
        reject(this.#error);
        return;
      }
      this.#failed = reject;
      this.#waits = { ends, part, resolve };
      this.#read();
    });
  }

  /** Sends a tagged command and reads its reply. @throws where it is not OK */
  async ask(tag: string, command: string, part?: OnPart): Promise<void> {
    this.send(`${tag} ${command}\r\n`);
    const line = await this.until((each) => each.startsWith(`${tag} `), part);
    if (!line.startsWith(`${tag} OK`)) throw new Error(`${command.slice(0, 60)}: ${line}`);
  }

  close(): void {
    this.#socket.removeAllListeners('close');
    this.#socket.destroy();
  }

  #take(piece: Buffer): void {
    this.#pieces.push(piece);
    this.#piecesBytes += piece.length;
    if (this.#held.length + this.#piecesBytes >= this.#wanted) this.#read();
  }

  #read(): void {
    if (this.#waits === null) return;
    const all =
      this.#pieces.length === 0
        ? this.#held
        : this.#held.length === 0 && this.#pieces.length === 1
          ? (this.#pieces[0] as Buffer)
          : Buffer.concat([this.#held, ...this.#pieces]);
    this.#pieces = [];
    this.#piecesBytes = 0;
    this.#wanted = 0;
    let at = 0;
    while (this.#waits !== null) {
      const end = all.indexOf('\r\n', at);
      if (end < 0) break;
      const line = all.toString('latin1', at, end);
      const size = this.#literals && line.endsWith('}') ? /\{(\d+)\}$/.exec(line)?.[1] : undefined;
      if (size === undefined) {
        at = end + 2;
        const { ends, part, resolve } = this.#waits;
        if (ends(line)) {
          this.#waits = null;
          resolve(line);
        } else part(line, null);
        continue;
      }
      const after = end + 2 + Number(size);
      if (after > all.length) {
        this.#wanted = after - at;
        break;
      }
      this.#waits.part(line, all.subarray(end + 2, after));
      at = after;
    }
    this.#held = all.subarray(at);
  }
}

import net, { type Socket } from 'node:net';
import tls, { type TLSSocket } from 'node:tls';

/** of one answer, and how long it may take */
const receivedBytesMax = 4 * 2 ** 20;
const answerMsMax = 20_000;

/** How the line is protected, as the client sees it. */
export interface TlsSession {
  protocol: string;
  cipher: string;
  /** of the key exchange, where Node tells it */
  group: string | null;
}

export interface ClientOptions {
  /** for the words of a fault */
  protocol: string;
  port: number;
  /** certificate of the authority that alone is believed, PEM */
  ca: string;
  signal: AbortSignal;
}

/** What mail programs do: send a line, wait for lines and counted octets. */
export class ClientConnection {
  #socket: Socket;
  readonly #ca: string;
  readonly #protocol: string;
  readonly #signal: AbortSignal;
  #received: Buffer = Buffer.alloc(0);
  #fault: Error | null = null;
  #wake: () => void = () => {};

  private constructor(socket: Socket, options: ClientOptions) {
    this.#socket = socket;
    this.#ca = options.ca;
    this.#protocol = options.protocol;
    this.#signal = options.signal;
    options.signal.addEventListener('abort', () => this.close(), { once: true });
    this.#listen();
  }

  /** Without TLS, until `startTls`. */
  static async plain(options: ClientOptions): Promise<ClientConnection> {
    const socket = net.connect({ host: '127.0.0.1', port: options.port });
    const connection = new ClientConnection(socket, options);
    await connection.#event('connect');
    return connection;
  }

  /** With TLS from the first octet. @throws when the server's certificate is not by the authority, or not for `localhost` */
  static async secure(options: ClientOptions): Promise<ClientConnection> {
    const socket = tls.connect({
      host: '127.0.0.1',
      port: options.port,
      ca: options.ca,
      servername: 'localhost',
    });
    const connection = new ClientConnection(socket, options);
    await connection.#event('secureConnect');
    return connection;
  }

  /** RFC 3207 §4: everything before belongs to nobody. */
  async startTls(): Promise<void> {
    if (this.#received.length > 0) throw this.fault('the server said more before TLS began');
    const plain = this.#socket;
    plain.removeAllListeners();
    plain.on('error', () => {});
    this.#socket = tls.connect({ socket: plain, ca: this.#ca, servername: 'localhost' });
    this.#listen();
    await this.#event('secureConnect');
  }

  get tls(): TlsSession {
    const socket = this.#socket as TLSSocket;
    const { name = null } = socket.getEphemeralKeyInfo() as { name?: string };
    return { protocol: socket.getProtocol() ?? '', cipher: socket.getCipher().name, group: name };
  }

  send(octets: string | Uint8Array): void {
    if (typeof octets === 'string') this.#socket.write(octets, 'latin1');
    else this.#socket.write(octets);
  }

  /** A line without its CRLF, one character an octet. */
  async line(): Promise<string> {
    for (;;) {
      const end = this.#received.indexOf('\r\n');
      if (end >= 0) return this.#take(end + 2).toString('latin1', 0, end);
      await this.#more();
    }
  }

  async octets(count: number): Promise<Buffer> {
    if (count > receivedBytesMax) throw this.fault(`the server announces ${count} octets`);
    while (this.#received.length < count) await this.#more();
    return this.#take(count);
  }

  close(): void {
    this.#socket.destroy();
  }

  fault(words: string): Error {
    return new Error(`${this.#protocol}: ${words}`);
  }

  #take(count: number): Buffer {
    const taken = Buffer.from(this.#received.subarray(0, count));
    this.#received = this.#received.subarray(count);
    return taken;
  }

  async #more(): Promise<void> {
    if (this.#fault !== null) throw this.#fault;
    const wake = Promise.withResolvers<void>();
    this.#wake = wake.resolve;
    const timer = setTimeout(() => this.#fail(this.fault('the server does not answer')), answerMsMax);
    await wake.promise;
    clearTimeout(timer);
  }

  #fail(error: Error): void {
    this.#fault ??= error;
    this.#wake();
  }

  #listen(): void {
    this.#socket.on('data', (piece: Buffer) => {
      this.#received = Buffer.concat([this.#received, piece]);
      if (this.#received.length > receivedBytesMax) this.#fail(this.fault('the server says too much'));
      this.#wake();
    });
    this.#socket.on('error', (error) => this.#fail(this.fault(error.message)));
    this.#socket.on('close', () => {
      this.#fail(this.#signal.aborted ? (this.#signal.reason as Error) : this.fault('the server hung up'));
    });
  }

  async #event(name: 'connect' | 'secureConnect'): Promise<void> {
    let isThere = false;
    this.#socket.once(name, () => {
      isThere = true;
      this.#wake();
    });
    while (!isThere) await this.#more();
  }
}

import net, { type AddressInfo, type Socket } from 'node:net';
import tls from 'node:tls';
import type { Clock } from '#base/clock';
import { systemRandom } from '#base/clock';
import type { ServerTls } from '#net/connection';
import { createLocalAuthority, issueServerCertificate } from '#net/tls';

/** A clock that stands still until it is told. */
export const stillClock = (): Clock & { advance(ms: number): void } => {
  let nowMs = 1_000_000;
  return {
    nowMs: () => nowMs,
    monotonicMs: () => nowMs,
    advance: (ms) => {
      nowMs += ms;
    },
  };
};

/** TLS for a server on loopback, and the authority that its clients trust. */
export const loopbackTls = (): ServerTls & { readonly ca: string } => {
  const nowMs = Date.now();
  const random = systemRandom;
  const authority = createLocalAuthority({ domains: ['localhost'], nowMs, random });
  const certificate = issueServerCertificate({ authority, names: ['localhost', '127.0.0.1'], nowMs, random });
  const secureContext = tls.createSecureContext(certificate);
  return { options: () => ({ secureContext }), ca: authority.cert };
};

/** Listens on a free loopback port until `close`. */
export const listenOnLoopback = async (
  accept: (socket: Socket) => void,
): Promise<{ port: number; close(): void }> => {
  const server = net.createServer(accept);
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return { port: (server.address() as AddressInfo).port, close: () => server.close() };
};

/** A client that sends text and waits for text, one octet a character; over TLS from the start or after `startTls`. */
export class LineClient {
  /** what came and was not taken */
  received = '';
  /** the other side has ended its octets */
  ended = false;
  closed = false;
  #socket: Socket;
  readonly #plain: Socket;
  #wake: (() => void)[] = [];

  private constructor(socket: Socket, plain: Socket) {
    this.#plain = plain;
    this.#socket = socket;
    if (plain !== socket) plain.on('error', () => {});
    this.#listen(socket);
  }

  static async connect(
    port: number,
    options: { ca?: string; alpn?: string[]; allowHalfOpen?: boolean } = {},
  ): Promise<LineClient> {
    const { ca, alpn, allowHalfOpen = false } = options;
    const plain = net.connect({ port, host: '127.0.0.1', allowHalfOpen });
    const socket =
      ca === undefined
        ? plain
        : tls.connect({
            socket: plain,
            ca,
            servername: 'localhost',
            ...(alpn === undefined ? {} : { ALPNProtocols: alpn }),
          });
    const client = new LineClient(socket, plain);
    await new Promise<void>((resolve, reject) => {
      socket.once(ca === undefined ? 'connect' : 'secureConnect', () => resolve());
      socket.once('error', reject);
    });
    return client;
  }

  get socket(): Socket {
    return this.#socket;
  }

  send(octets: string | Uint8Array): void {
    if (typeof octets === 'string') this.#socket.write(octets, 'latin1');
    else this.#socket.write(octets);
  }

  /** Waits until a pattern is found in what came, and takes all up to its end. */
  async until(pattern: RegExp): Promise<string> {
    for (;;) {
      const match = pattern.exec(this.received);
      if (match !== null) {
        const end = match.index + match[0].length;
        const taken = this.received.slice(0, end);
        this.received = this.received.slice(end);
        return taken;
      }
      if (this.closed)
        throw new Error(`closed before ${pattern}; came: ${JSON.stringify(this.received.slice(-400))}`);
      await this.#change();
    }
  }

  /** Sends and waits for an answer. */
  async ask(octets: string | Uint8Array, pattern: RegExp): Promise<string> {
    this.send(octets);
    return this.until(pattern);
  }

  /** Waits for the end of the connection and takes what came. */
  async toEnd(): Promise<string> {
    while (!this.closed) await this.#change();
    const taken = this.received;
    this.received = '';
    return taken;
  }

  async startTls(ca: string): Promise<void> {
    const plain = this.#socket;
    plain.removeAllListeners('data');
    const secure = tls.connect({ socket: plain, ca, servername: 'localhost' });
    this.#socket = secure;
    this.#listen(secure);
    await new Promise<void>((resolve, reject) => {
      secure.once('secureConnect', () => resolve());
      secure.once('error', reject);
    });
  }

  /** Says that nothing more will come. */
  end(): void {
    this.#socket.end();
  }

  /** Closes both sides: to the server it looks as `end` does until it writes. */
  destroy(): void {
    this.#socket.destroy();
  }

  /** Vanishes with a reset, as a process that was killed may. */
  reset(): void {
    this.#plain.resetAndDestroy();
  }

  #listen(socket: Socket): void {
    socket.on('data', (chunk: Buffer) => {
      this.received += chunk.toString('latin1');
      this.#changed();
    });
    socket.on('error', () => {});
    socket.on('end', () => {
      this.ended = true;
      this.#changed();
    });
    socket.on('close', () => {
      this.closed = true;
      this.#changed();
    });
  }

  #change(): Promise<void> {
    return new Promise((resolve) => this.#wake.push(resolve));
  }

  #changed(): void {
    const wake = this.#wake;
    this.#wake = [];
    for (const resolve of wake) resolve();
  }
}

/** Waits until something holds that no event tells. */
export const eventually = async (holds: () => boolean, what: string): Promise<void> => {
  for (let tries = 0; tries < 2_000; tries++) {
    if (holds()) return;
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
  throw new Error(`it never came to be: ${what}`);
};

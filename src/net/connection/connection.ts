import type { Socket } from 'node:net';
import { type SecureContext, TLSSocket, type TLSSocketOptions } from 'node:tls';
import { channelBinding } from './channel-binding.ts';
import { type ClientCertificate, clientCertificate } from './client-certificate.ts';
import type { Deadlines, Expiring } from './deadlines.ts';
import { negotiatedGroup } from './negotiated-group.ts';
import { plainAddress } from './networks.ts';
import { pauseReading, resumeReading } from './pause-reading.ts';

/** What the session ran over, for `Received`, the `ses` commitment and the log. */
export interface TlsFacts {
  /** `TLSv1.3` or `TLSv1.2` */
  readonly version: string;
  /** the IANA name of the cipher suite */
  readonly cipher: string;
  /** the IANA name of the key exchange group; null where it can't be told */
  readonly group: string | null;
  /** the name that the client asked for (SNI), or null */
  readonly serverName: string | null;
  /** what the client showed of itself; null where it showed nothing, or was not asked */
  readonly client: ClientCertificate | null;
}

/**
 * Certificates and parameters for the next handshake.
 *
 * Asked for each handshake, so that a reload is seen by the next connection. ALPN is the connection's own.
 */
export interface ServerTls {
  options(): Pick<TLSSocketOptions, 'SNICallback' | 'requestCert' | 'rejectUnauthorized'> & {
    secureContext: SecureContext;
  };
}

export interface ConnectionEvents {
  /** the peer can be talked to: at once on a plain connection, after the handshake with implicit TLS */
  opened(): void;
  /** what the peer sent; the octets stay as they are, a handler may keep subarrays of them */
  octets(chunk: Buffer): void;
  /** the handshake that `startTls` began is done */
  secured(tls: TlsFacts): void;
  /** the peer will send nothing more; writing may go on. The handler closes when it is done. */
  ended(): void;
  /** what was written is on its way: go on after a `write` that returned false */
  drained(): void;
  /** the deadline passed */
  expired(nowMs: number): void;
  /** last of all, once: nothing comes or goes any more */
  closed(cause: CloseCause): void;
}

export type CloseCause =
  /** both sides said they were done, or we closed after the last reply */
  | 'done'
  /** the peer vanished or reset the connection */
  | 'lost'
  /** the TLS handshake failed or took too long */
  | 'handshake-failed'
  /** `destroy` was called */
  | 'destroyed';

export interface ConnectionPeer {
  /** an IP address; empty on a Unix socket */
  readonly address: string;
  readonly port: number;
  /** the address of the proxy whose word this is; null: we see the peer ourselves */
  readonly proxy: string | null;
}

export interface ConnectionOptions {
  socket: Socket;
  events: ConnectionEvents;
  deadlines: Deadlines;
  /** `implicit`: a handshake comes first; `none`: plain, `startTls` may follow */
  security: 'implicit' | 'none';
  /** null where there is no certificate: `startTls` must not be called then */
  tls: ServerTls | null;
  /** who it is served as; left out: as the socket says */
  peer?: ConnectionPeer;
  /** protocol names that are served (RFC 7301); a client that offers only others is refused, one that offers none is served */
  alpn: readonly string[];
  /** time for a handshake */
  handshakeMs?: number;
  /** time for the peer to take the last reply and close */
  lingerMs?: number;
}

/**
 * An accepted connection: octets in and out, one deadline, TLS at the start or later, an end that loses no reply.
 *
 * It has no protocol. Reading begins at once; events come after `openConnection` returned.
 */
export interface Connection {
  readonly peer: ConnectionPeer;
  readonly local: { readonly address: string; readonly port: number };
  readonly tls: TlsFacts | null;
  /** The data of a channel binding by its name (RFC 5056); null where there is none. */
  channelBinding(name: string): Uint8Array | null;
  /** octets that wait in this process for the peer to take */
  readonly writableBytes: number;
  /**
   * Sends a text of ASCII characters or octets.
   * @returns false when the caller should wait for `drained` before it writes more
   */
  write(octets: string | Uint8Array): boolean;
  /** Sends several pieces with one system call. */
  writeAll(pieces: readonly (string | Uint8Array)[]): boolean;
  /** Calls `expired` when this much time has passed without another call; null: never. */
  expireAfter(ms: number | null): void;
  pause(): void;
  resume(): void;
  /**
   * Changes to TLS after all that was written has been sent in clear (RFC 3207 §4, RFC 2595, RFC 9051 §6.2.1).
   *
   * Octets that the peer sent in clear after this call are taken for a part of the handshake, which they break.
   */
  startTls(): void;
  /** Sends what is written, then closes; what the peer still sends is read and dropped, so that it gets the last reply. */
  end(): void;
  /** Closes at once. */
  destroy(): void;
}

export const openConnection = (options: ConnectionOptions): Connection => new AcceptedConnection(options);

const handshakeMsDefault = 30_000;
const lingerMsDefault = 5_000;

type Phase = 'handshake' | 'open' | 'ending' | 'closed';

class AcceptedConnection implements Connection, Expiring {
  readonly peer: ConnectionPeer;
  readonly local: { readonly address: string; readonly port: number };
  tls: TlsFacts | null = null;
  deadlineAtMs = Number.POSITIVE_INFINITY;
  readonly #options: ConnectionOptions;
  #socket: Socket;
  #phase: Phase = 'open';
  #cause: CloseCause = 'lost';
  #peerEnded = false;
  #unlisten: () => void = () => {};

  constructor(options: ConnectionOptions) {
    const { socket } = options;
    this.#options = options;
    this.#socket = socket;
    this.peer = options.peer ?? {
      address: plainAddress(socket.remoteAddress ?? ''),
      port: socket.remotePort ?? 0,
      proxy: null,
    };
    this.local = { address: plainAddress(socket.localAddress ?? ''), port: socket.localPort ?? 0 };
    // Replies go out in one write each batch: waiting for more (Nagle) would only add the peer's delayed ACK.
    socket.setNoDelay(true);
    // A peer may close its side and still wait for the reply to its last message.
    socket.allowHalfOpen = true;
    options.deadlines.watch(this);
    if (options.security === 'implicit') {
      this.#handshake(options.tls);
    } else {
      this.#listen(socket);
      // One that came by a proxy stopped at the end of the header: what follows must not come before `opened`.
      const isHeld = socket.isPaused();
      queueMicrotask(() => {
        if (this.#phase === 'open') options.events.opened();
        if (isHeld) socket.resume();
      });
    }
  }

  get writableBytes(): number {
    return this.#socket.writableLength;
  }

  channelBinding(name: string): Uint8Array | null {
    return this.#phase === 'open' && this.#socket instanceof TLSSocket
      ? channelBinding(this.#socket, name)
      : null;
  }

  write(octets: string | Uint8Array): boolean {
    if (this.#phase !== 'open') return true;
    return typeof octets === 'string' ? this.#socket.write(octets, 'latin1') : this.#socket.write(octets);
  }

  writeAll(pieces: readonly (string | Uint8Array)[]): boolean {
    if (this.#phase !== 'open') return true;
    this.#socket.cork();
    let ready = true;
    for (const piece of pieces) ready = this.write(piece);
    this.#socket.uncork();
    return ready;
  }

  expireAfter(ms: number | null): void {
    if (this.#phase !== 'open') return;
    this.deadlineAtMs =
      ms === null ? Number.POSITIVE_INFINITY : this.#options.deadlines.clock.monotonicMs() + ms;
  }

  expire(nowMs: number): void {
    if (this.#phase === 'open') this.#options.events.expired(nowMs);
    else this.#destroy(this.#phase === 'handshake' ? 'handshake-failed' : this.#cause);
  }

  pause(): void {
    if (this.#phase === 'open') pauseReading(this.#socket);
  }

  resume(): void {
    if (this.#phase === 'open') resumeReading(this.#socket);
  }

  startTls(): void {
    if (this.#phase !== 'open') return;
    const plain = this.#socket;
    plain.pause();
    this.#phase = 'handshake';
    this.#armHandshake();
    const begin = (): void => {
      if (this.#phase === 'handshake') this.#handshake(this.#options.tls);
    };
    // An empty write is done when all before it are: until then the socket is not TLS's.
    if (plain.writableLength === 0) begin();
    else plain.write('', 'latin1', begin);
  }

  end(): void {
    if (this.#phase === 'closed' || this.#phase === 'ending') return;
    this.#phase = 'ending';
    this.#cause = 'done';
    this.deadlineAtMs =
      this.#options.deadlines.clock.monotonicMs() + (this.#options.lingerMs ?? lingerMsDefault);
    this.#socket.end();
    resumeReading(this.#socket);
  }

  destroy(): void {
    this.#destroy('destroyed');
  }

  #destroy(cause: CloseCause): void {
    if (this.#phase === 'closed') return;
    this.#cause = cause;
    this.#socket.destroy();
  }

  #handshake(tls: ServerTls | null): void {
    const plain = this.#socket;
    if (tls === null) {
      this.#destroy('handshake-failed');
      return;
    }
    this.#phase = 'handshake';
    this.#armHandshake();
    this.#unlisten();
    const starting = this.#options.security === 'none';
    const secure = new TLSSocket(plain, {
      ...tls.options(),
      isServer: true,
      ALPNProtocols: [...this.#options.alpn],
    });
    this.#socket = secure;
    this.#listen(secure);
    secure.once('secure', () => {
      if (this.#phase !== 'handshake') return;
      this.#phase = 'open';
      this.deadlineAtMs = Number.POSITIVE_INFINITY;
      this.tls = tlsFacts(secure);
      if (starting) this.#options.events.secured(this.tls);
      else this.#options.events.opened();
    });
  }

  #armHandshake(): void {
    this.deadlineAtMs =
      this.#options.deadlines.clock.monotonicMs() + (this.#options.handshakeMs ?? handshakeMsDefault);
  }

  #listen(socket: Socket): void {
    const { events } = this.#options;
    const onData = (chunk: Buffer): void => {
      if (this.#phase === 'open') events.octets(chunk);
    };
    const onEnd = (): void => {
      this.#peerEnded = true;
      if (this.#phase === 'open') events.ended();
      else if (this.#phase === 'handshake') this.#destroy('handshake-failed');
    };
    const onDrain = (): void => {
      if (this.#phase === 'open') events.drained();
    };
    const onClose = (): void => this.#closed();
    socket.on('data', onData).on('end', onEnd).on('drain', onDrain).on('close', onClose);
    // 'close' follows: there the cause is told.
    socket.on('error', () => {});
    this.#unlisten = () => {
      socket.off('data', onData).off('end', onEnd).off('drain', onDrain).off('close', onClose);
    };
  }

  #closed(): void {
    if (this.#phase === 'closed') return;
    const cause: CloseCause =
      this.#phase === 'handshake'
        ? 'handshake-failed'
        : this.#phase === 'open' && this.#cause === 'lost' && this.#peerEnded
          ? 'done'
          : this.#cause;
    this.#phase = 'closed';
    this.deadlineAtMs = Number.POSITIVE_INFINITY;
    this.#options.deadlines.forget(this);
    this.#options.events.closed(cause);
  }
}

const tlsFacts = (socket: TLSSocket): TlsFacts => {
  const cipher = socket.getCipher();
  const serverName: unknown = (socket as { servername?: unknown }).servername;
  return {
    version: socket.getProtocol() ?? cipher.version,
    cipher: cipher.standardName,
    group: negotiatedGroup(socket.getSession()),
    serverName: typeof serverName === 'string' ? serverName : null,
    client: clientCertificate(socket),
  };
};

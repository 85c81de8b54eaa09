import type { Server, Socket } from 'node:net';
import { FengniError } from '#base/errors';
import { Connection, type ConnectionLimits } from './connection.ts';
import { faultJson } from './fault.ts';
import { type Attachment, type Frame, frameInvalid, frameKinds, methodAndParams } from './frame.ts';

/** The other end of one connection, as a server sees it. */
export interface IpcPeer {
  /** 1 for the first connection of a server, then counting */
  readonly id: number;
  /** One way. A peer that lets more than `queuedBytesMax` wait is closed. */
  notify(method: string, params?: unknown, attachments?: readonly Attachment[]): void;
  /** Sends what waits, then ends. */
  close(): void;
  readonly open: boolean;
}

/** What a handler gives back: a value, octets, both or neither. */
export interface IpcReply {
  result?: unknown;
  attachments?: readonly Attachment[];
}

/**
 * Answers a call, or takes a notice (then what it gives back is dropped). `params` has the type that the caller gave it, as both
 * ends are of one build; declare it `unknown` and check it where the other process is less trusted.
 */
export type IpcHandler = (
  params: never,
  attachments: Uint8Array[],
  peer: IpcPeer,
  // biome-ignore lint/suspicious/noConfusingVoidType: a handler without an answer should not have to return one
) => IpcReply | undefined | void | Promise<IpcReply | undefined | void>;

export interface IpcServerOptions extends ConnectionLimits {
  methods: Readonly<Record<string, IpcHandler>>;
  onConnect?: (peer: IpcPeer) => void;
  /** once a peer; the fault says what was wrong with its octets, null when it ended in order */
  onClose?: (peer: IpcPeer, fault: FengniError | null) => void;
  /** an error that is not a `FengniError`: a mistake, to be logged; the caller is told `ipc-handler-failed` */
  onMistake?: (error: unknown, method: string) => void;
  /** calls of one peer that run at once, before its socket is not read for a while; default 4,096 */
  callsInFlightMax?: number;
}

export interface IpcServer {
  readonly peers: ReadonlySet<IpcPeer>;
  /** Takes no new connection and no new call, answers the calls that run, then ends; after `graceMs` without mercy. */
  close(graceMs?: number): Promise<void>;
}

/** Serves every connection that a listening (or later listening) server accepts. */
export const serveIpc = (server: Server, options: IpcServerOptions): IpcServer => {
  const methods = new Map(Object.entries(options.methods));
  const peers = new Set<Peer>();
  let closing = false;
  let lastId = 0;

  const accept = (socket: Socket): void => {
    if (closing) {
      socket.destroy();
      return;
    }
    const peer: Peer = new Peer(++lastId, socket, methods, options, (fault) => {
      peers.delete(peer);
      options.onClose?.(peer, fault);
    });
    peers.add(peer);
    options.onConnect?.(peer);
  };
  server.on('connection', accept);

  return {
    peers,
    close: async (graceMs = 5_000) => {
      closing = true;
      const closed = new Promise<void>((resolve) => {
        if (server.listening) server.close(() => resolve());
        else resolve();
      });
      const timer = setTimeout(() => {
        for (const peer of peers) peer.destroy();
      }, graceMs);
      await Promise.all([closed, ...[...peers].map((peer) => peer.drain())]);
      clearTimeout(timer);
      server.off('connection', accept);
    },
  };
};

class Peer implements IpcPeer {
  readonly id: number;
  readonly #methods: ReadonlyMap<string, IpcHandler>;
  readonly #options: IpcServerOptions;
  readonly #connection: Connection;
  readonly #callsInFlightMax: number;
  readonly #gone: Promise<void>;
  #callsInFlight = 0;
  #draining = false;
  #paused = false;

  constructor(
    id: number,
    socket: Socket,
    methods: ReadonlyMap<string, IpcHandler>,
    options: IpcServerOptions,
    onClose: (fault: FengniError | null) => void,
  ) {
    this.id = id;
    this.#methods = methods;
    this.#options = options;
    this.#callsInFlightMax = options.callsInFlightMax ?? 4_096;
    let gone = (): void => {};
    this.#gone = new Promise((resolve) => {
      gone = resolve;
    });
    this.#connection = new Connection(socket, {
      ...options,
      onFrame: (frame) => this.#take(frame),
      onClose: (fault) => {
        gone();
        onClose(fault);
      },
    });
    socket.on('drain', () => this.#throttle());
  }

  get open(): boolean {
    return this.#connection.open;
  }

  notify(method: string, params: unknown = null, attachments: readonly Attachment[] = []): void {
    if (!this.open) return;
    try {
      this.#connection.send(frameKinds.notice, 0, [method, params], attachments);
    } catch (error) {
      if (!(error instanceof FengniError) || error.code !== 'ipc-overloaded') throw error;
      this.#connection.fail(error);
    }
  }

  close(): void {
    this.#connection.end();
  }

  destroy(): void {
    this.#connection.socket.destroy();
  }

  drain(): Promise<void> {
    this.#draining = true;
    this.#connection.socket.pause();
    this.#endIfDrained();
    return this.#gone;
  }

  #take(frame: Frame): void {
    if (this.#draining || !this.open) return;
    const [method, params] = methodAndParams(frame);
    const handler = this.#methods.get(method);
    const { kind, requestId } = frame;
    if (kind !== frameKinds.call && kind !== frameKinds.notice) throw frameInvalid('an answer to a server');
    if (handler === undefined) {
      if (kind === frameKinds.call)
        this.#refuse(
          requestId,
          method,
          new FengniError('ipc-method-unknown', {
            subject: method.slice(0, 64),
            remedy: 'the two processes are not of the same build; restart the server',
          }),
        );
      return;
    }
    this.#callsInFlight++;
    let reply: ReturnType<IpcHandler>;
    try {
      reply = handler(params as never, frame.attachments, this);
    } catch (error) {
      this.#failed(kind === frameKinds.call ? requestId : null, method, error);
      return;
    }
    if (reply instanceof Promise)
      reply.then(
        (later) => this.#answer(kind === frameKinds.call ? requestId : null, method, later),
        (error: unknown) => this.#failed(kind === frameKinds.call ? requestId : null, method, error),
      );
    else this.#answer(kind === frameKinds.call ? requestId : null, method, reply);
    this.#throttle();
  }

  // biome-ignore lint/suspicious/noConfusingVoidType: as in IpcHandler
  #answer(requestId: number | null, method: string, reply: IpcReply | undefined | void): void {
    this.#done();
    if (requestId !== null && this.open) {
      try {
        this.#connection.send(frameKinds.result, requestId, reply?.result ?? null, reply?.attachments ?? []);
      } catch (error) {
        this.#refuse(requestId, method, error);
      }
    }
    this.#endIfDrained();
  }

  #failed(requestId: number | null, method: string, error: unknown): void {
    this.#done();
    if (requestId !== null && this.open) this.#refuse(requestId, method, error);
    else if (!(error instanceof FengniError)) this.#options.onMistake?.(error, method);
    this.#endIfDrained();
  }

  /** The caller is told; where even that does not fit, it has not read for long and is closed. */
  #refuse(requestId: number, method: string, error: unknown): void {
    if (!(error instanceof FengniError)) this.#options.onMistake?.(error, method);
    try {
      this.#connection.send(frameKinds.error, requestId, faultJson(error, method));
    } catch (overloaded) {
      this.#connection.fail(overloaded as FengniError);
    }
  }

  #done(): void {
    this.#callsInFlight--;
    this.#throttle();
  }

  #endIfDrained(): void {
    if (this.#draining && this.#callsInFlight === 0) this.#connection.end();
  }

  /** A peer with many calls running, or that does not read its answers, is not read either. */
  #throttle(): void {
    const { socket } = this.#connection;
    const busy = this.#callsInFlight >= this.#callsInFlightMax || socket.writableNeedDrain;
    if (busy && !this.#paused) {
      this.#paused = true;
      socket.pause();
    } else if (!busy && this.#paused && !this.#draining) {
      this.#paused = false;
      socket.resume();
    }
  }
}

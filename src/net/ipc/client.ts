import { connect, type Socket } from 'node:net';
import { FengniError } from '#base/errors';
import { Connection, type ConnectionLimits } from './connection.ts';
import { closedFault, faultOf } from './fault.ts';
import { type Attachment, type Frame, frameInvalid, frameKinds, methodAndParams } from './frame.ts';
import { openSocketPath } from './socket-path.ts';

/**
 * Where a server is: the path of its socket (longer than 107 octets is reached through a descriptor of its folder), the same through
 * a descriptor in any case, or a socket that is connected already.
 */
export type IpcTarget = string | { descriptorPath: string } | { socket: Socket };

export interface IpcAnswer<Result = unknown> {
  result: Result;
  /** share memory with what was received: copy what you keep */
  attachments: Uint8Array[];
}

/** Takes a notice. Its parameters have the type that the sender gave them: both ends are of one build. */
export type NoticeHandler = (params: never, attachments: Uint8Array[]) => void;

export interface IpcClient {
  /**
   * Many may be in flight; answers come in any order. Attachments must not change before the answer.
   *
   * @throws {FengniError} what the handler threw, or `ipc-closed` (retryable; whether the other side acted is not known),
   *   `ipc-overloaded` (retryable), `ipc-message-too-large`
   */
  call<Result = unknown>(
    method: string,
    params?: unknown,
    attachments?: readonly Attachment[],
  ): Promise<IpcAnswer<Result>>;
  /** One way, no answer; dropped when the connection is closed. Throws `ipc-overloaded`, `ipc-message-too-large`. */
  notify(method: string, params?: unknown, attachments?: readonly Attachment[]): void;
  /** Sets what takes the server's notices of this name (one handler a name); others are dropped. */
  on(method: string, handler: NoticeHandler): void;
  /** Called once when the connection is gone, by whichever side; at once if it is gone already. */
  onClose(handler: (fault: FengniError | null) => void): void;
  /** Sends what waits, then ends; calls in flight fail with `ipc-closed`. */
  close(): void;
  readonly open: boolean;
  readonly callsInFlight: number;
}

interface Waiting {
  resolve(answer: IpcAnswer<never>): void;
  reject(fault: FengniError): void;
}

/**
 * Connects to another of our processes. Connecting again is the caller's matter.
 *
 * @throws {FengniError} `ipc-unreachable` (retryable)
 */
export const connectIpc = async (target: IpcTarget, limits: ConnectionLimits = {}): Promise<IpcClient> => {
  if (typeof target !== 'string' && 'socket' in target) return new Client(target.socket, limits);
  const path = typeof target === 'string' ? target : target.descriptorPath;
  try {
    const socketPath = await openSocketPath(path, { always: typeof target !== 'string' });
    try {
      return await new Promise<IpcClient>((resolve, reject) => {
        const socket = connect({ path: socketPath.path });
        socket.once('error', reject);
        socket.once('connect', () => {
          const client = new Client(socket, limits);
          socket.off('error', reject);
          resolve(client);
        });
      });
    } finally {
      await socketPath.close();
    }
  } catch (cause) {
    throw new FengniError('ipc-unreachable', {
      subject: path,
      remedy: 'start the server, or name its data folder with --data',
      retryable: true,
      cause,
    });
  }
};

class Client implements IpcClient {
  readonly #connection: Connection;
  readonly #waiting = new Map<number, Waiting>();
  readonly #notices = new Map<string, NoticeHandler>();
  readonly #closeHandlers: ((fault: FengniError | null) => void)[] = [];
  #lastId = 0;
  #closed: { fault: FengniError | null } | null = null;

  constructor(socket: Socket, limits: ConnectionLimits) {
    this.#connection = new Connection(socket, {
      ...limits,
      onFrame: (frame) => this.#take(frame),
      onClose: (fault) => this.#gone(fault),
    });
  }

  get open(): boolean {
    return this.#closed === null && this.#connection.open;
  }

  get callsInFlight(): number {
    return this.#waiting.size;
  }

  call<Result = unknown>(
    method: string,
    params: unknown = null,
    attachments: readonly Attachment[] = [],
  ): Promise<IpcAnswer<Result>> {
    return new Promise((resolve, reject) => {
      if (!this.open) {
        reject(closedFault());
        return;
      }
      const id = this.#nextId();
      this.#connection.send(frameKinds.call, id, [method, params], attachments);
      this.#waiting.set(id, { resolve, reject });
    });
  }

  notify(method: string, params: unknown = null, attachments: readonly Attachment[] = []): void {
    if (this.open) this.#connection.send(frameKinds.notice, 0, [method, params], attachments);
  }

  on(method: string, handler: NoticeHandler): void {
    this.#notices.set(method, handler);
  }

  onClose(handler: (fault: FengniError | null) => void): void {
    if (this.#closed === null) this.#closeHandlers.push(handler);
    else handler(this.#closed.fault);
  }

  close(): void {
    this.#connection.end();
    this.#failWaiting(closedFault());
  }

  /** Ids come round after 2^32 calls; one that still waits is left out. */
  #nextId(): number {
    do this.#lastId = this.#lastId >= 0xffff_ffff ? 1 : this.#lastId + 1;
    while (this.#waiting.has(this.#lastId));
    return this.#lastId;
  }

  #take(frame: Frame): void {
    if (frame.kind === frameKinds.notice) {
      const [method, params] = methodAndParams(frame);
      this.#notices.get(method)?.(params as never, frame.attachments);
      return;
    }
    const waiting = this.#waiting.get(frame.requestId);
    // an answer to a call that close() has failed already
    if (waiting === undefined) return;
    this.#waiting.delete(frame.requestId);
    if (frame.kind === frameKinds.result)
      waiting.resolve({ result: frame.json as never, attachments: frame.attachments });
    else if (frame.kind === frameKinds.error) waiting.reject(faultOf(frame.json));
    else {
      waiting.reject(closedFault());
      throw frameInvalid('a call from a server');
    }
  }

  #gone(fault: FengniError | null): void {
    this.#closed = { fault };
    this.#failWaiting(closedFault(fault ?? undefined));
    for (const handler of this.#closeHandlers.splice(0)) handler(fault);
  }

  #failWaiting(fault: FengniError): void {
    const waiting = [...this.#waiting.values()];
    this.#waiting.clear();
    for (const { reject } of waiting) reject(fault);
  }
}

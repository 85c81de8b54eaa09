import type { Socket } from 'node:net';
import { FengniError } from '#base/errors';
import { type Attachment, type Frame, type FrameKind, FrameReader, FrameWriter } from './frame.ts';

/** Beyond it a peer that does not read is not sent more. */
export const queuedBytesMaxDefault = 256 * 1024 * 1024;

export interface ConnectionLimits {
  /** octets of one message, either way; default 80 MiB */
  messageBytesMax?: number;
  /** octets that wait for the other side to read; default 256 MiB */
  queuedBytesMax?: number;
}

/** One socket, both ways: what is sent in one turn of the event loop leaves in one vectored write. */
export class Connection {
  readonly socket: Socket;
  readonly #writer: FrameWriter;
  readonly #queuedBytesMax: number;
  #flushing = false;
  #fault: FengniError | null = null;

  constructor(
    socket: Socket,
    options: ConnectionLimits & {
      onFrame: (frame: Frame) => void;
      /** once; the fault is null when the other side ended in order */
      onClose: (fault: FengniError | null) => void;
    },
  ) {
    this.socket = socket;
    const limit = options.messageBytesMax === undefined ? {} : { messageBytesMax: options.messageBytesMax };
    this.#writer = new FrameWriter(limit);
    this.#queuedBytesMax = options.queuedBytesMax ?? queuedBytesMaxDefault;
    const reader = new FrameReader({ ...limit, onFrame: options.onFrame });
    socket.on('data', (chunk: Buffer) => {
      if (socket.destroyed) return;
      try {
        reader.push(chunk);
      } catch (error) {
        this.fail(
          error instanceof FengniError
            ? error
            : new FengniError('ipc-handler-failed', {
                subject: 'a handler that threw instead of answering',
                remedy: 'this is a mistake in Fengni; please report it',
                cause: error,
              }),
        );
      }
    });
    socket.on('error', (cause) => {
      this.#fault ??= new FengniError('ipc-closed', {
        subject: 'a connection between two of our processes',
        remedy: 'the other process ended; try again',
        retryable: true,
        cause,
      });
    });
    socket.on('close', () => options.onClose(this.#fault));
  }

  get open(): boolean {
    return this.socket.writable;
  }

  /** octets sent by us and not yet taken by the system */
  get queuedBytes(): number {
    return this.#writer.bytes + this.socket.writableLength;
  }

  /** @throws {FengniError} `ipc-message-too-large`, `ipc-overloaded` */
  send(kind: FrameKind, requestId: number, json: unknown, attachments: readonly Attachment[] = []): void {
    if (this.queuedBytes > this.#queuedBytesMax)
      throw new FengniError('ipc-overloaded', {
        subject: `${this.queuedBytes} octets wait for another process`,
        remedy: 'try again later',
        retryable: true,
      });
    this.#writer.add(kind, requestId, json, attachments);
    if (this.#flushing) return;
    this.#flushing = true;
    setImmediate(this.#flush);
  }

  /** Ends in order: what is gathered leaves first. */
  end(): void {
    this.#flush();
    this.socket.end();
  }

  /** Ends at once. */
  fail(fault: FengniError): void {
    this.#fault ??= fault;
    this.socket.destroy();
  }

  readonly #flush = (): void => {
    this.#flushing = false;
    const pieces = this.#writer.take();
    if (pieces.length === 0 || !this.socket.writable) return;
    if (pieces.length === 1) {
      this.socket.write(pieces[0] as Uint8Array);
      return;
    }
    this.socket.cork();
    for (const piece of pieces) this.socket.write(piece);
    this.socket.uncork();
  };
}

import { FengniError } from '#base/errors';

/**
 * One message between two of our own processes:
 * `u32 length | u8 kind | u32 requestId | u32 jsonLength | JSON | u32 count | u32 lengths… | attachments…`.
 * `length` counts what follows it. Any number of frames may lie in one write.
 */
export interface Frame {
  kind: FrameKind;
  /** the call that this is or answers; 0 in a notice */
  requestId: number;
  json: unknown;
  /** share memory with what was received: copy what you keep */
  attachments: Uint8Array[];
}

/** Octets to send as one attachment, whole or in pieces; they must not change until the message has left. */
export type Attachment = Uint8Array | readonly Uint8Array[];

/** call: `[method, params]` · result: any value · error: a `FengniError`'s fields · notice: `[method, params]`. */
export const frameKinds = { call: 1, result: 2, error: 3, notice: 4 } as const;
export type FrameKind = (typeof frameKinds)[keyof typeof frameKinds];

/** An original of 50 MiB with everything that goes with it fits. */
export const messageBytesMaxDefault = 80 * 1024 * 1024;
export const attachmentCountMax = 65_536;

const headBytes = 13;
/** length, kind, requestId, jsonLength, at least one octet of JSON, count */
const lengthBytesMin = headBytes - 4 + 1 + 4;

/**
 * Cuts what a socket receives into frames. A frame that lies whole in a chunk is given out as views of it; one that spans chunks
 * is collected, with one copy, in memory of exactly its length.
 */
export class FrameReader {
  readonly #bytesMax: number;
  readonly #onFrame: (frame: Frame) => void;
  readonly #length = Buffer.alloc(4);
  #lengthFill = 0;
  #frame: Buffer | null = null;
  #frameFill = 0;

  constructor(options: { messageBytesMax?: number; onFrame: (frame: Frame) => void }) {
    this.#bytesMax = options.messageBytesMax ?? messageBytesMaxDefault;
    this.#onFrame = options.onFrame;
  }

  /** Whether the octets so far end inside a frame. */
  get inside(): boolean {
    return this.#frame !== null || this.#lengthFill > 0;
  }

  /**
   * Takes the next chunk, in any cutting.
   *
   * @throws {FengniError} `ipc-frame-invalid`, after which the connection must be closed
   */
  push(chunk: Uint8Array): void {
    const octets = Buffer.isBuffer(chunk)
      ? chunk
      : Buffer.from(chunk.buffer, chunk.byteOffset, chunk.byteLength);
    let at = 0;
    while (at < octets.length) {
      if (this.#frame !== null) {
        const taken = octets.copy(this.#frame, this.#frameFill, at);
        at += taken;
        this.#frameFill += taken;
        if (this.#frameFill < this.#frame.length) return;
        const whole = this.#frame;
        this.#frame = null;
        this.#onFrame(parseFrame(whole, 0, whole.length));
        continue;
      }
      if (this.#lengthFill === 0 && octets.length - at >= 4) {
        const length = this.#checked(octets.readUInt32BE(at));
        at += 4;
        if (octets.length - at >= length) {
          this.#onFrame(parseFrame(octets, at, at + length));
          at += length;
        } else this.#begin(length);
        continue;
      }
      const taken = octets.copy(this.#length, this.#lengthFill, at);
      at += taken;
      this.#lengthFill += taken;
      if (this.#lengthFill === 4) this.#begin(this.#checked(this.#length.readUInt32BE(0)));
    }
  }

  #begin(length: number): void {
    this.#lengthFill = 0;
    this.#frame = Buffer.allocUnsafeSlow(length);
    this.#frameFill = 0;
  }

  #checked(length: number): number {
    if (length < lengthBytesMin) throw frameInvalid(`a length of ${length}`);
    if (length > this.#bytesMax)
      throw frameInvalid(`a message of ${length} octets (at most ${this.#bytesMax})`);
    return length;
  }
}

const parseFrame = (octets: Buffer, start: number, end: number): Frame => {
  const kind = octets[start];
  if (kind === undefined || kind < frameKinds.call || kind > frameKinds.notice)
    throw frameInvalid(`kind ${kind}`);
  const requestId = octets.readUInt32BE(start + 1);
  const jsonLength = octets.readUInt32BE(start + 5);
  const jsonStart = start + 9;
  let at = jsonStart + jsonLength;
  if (at + 4 > end) throw frameInvalid('a JSON length beyond the message');
  const count = octets.readUInt32BE(at);
  at += 4;
  if (count > attachmentCountMax || at + 4 * count > end) throw frameInvalid(`${count} attachments`);
  const attachments: Uint8Array[] = [];
  let from = at + 4 * count;
  for (let index = 0; index < count; index++) {
    const to = from + octets.readUInt32BE(at);
    if (to > end) throw frameInvalid('an attachment beyond the message');
    attachments.push(octets.subarray(from, to));
    from = to;
    at += 4;
  }
  if (from !== end) throw frameInvalid('octets behind the last attachment');
  let json: unknown;
  try {
    json = JSON.parse(octets.toString('utf8', jsonStart, jsonStart + jsonLength));
  } catch (cause) {
    throw frameInvalid('text that is not JSON', cause);
  }
  return { kind: kind as FrameKind, requestId, json, attachments };
};

const slabBytes = 64 * 1024;
/** Below it a copy into the shared slab costs less than a piece of its own in the vectored write. */
const copiedBytesMax = 4096;

/**
 * Gathers frames and gives them out as few pieces: heads, JSON and small attachments share slabs, larger attachments are passed on
 * as they are.
 */
export class FrameWriter {
  readonly #bytesMax: number;
  #slab = Buffer.alloc(0);
  /** what of the slab is already given out, and where the next octet goes */
  #from = 0;
  #to = 0;
  #pieces: Uint8Array[] = [];
  #bytes = 0;

  constructor(options: { messageBytesMax?: number } = {}) {
    this.#bytesMax = options.messageBytesMax ?? messageBytesMaxDefault;
  }

  /** octets gathered and not yet taken */
  get bytes(): number {
    return this.#bytes;
  }

  /** @throws {FengniError} `ipc-message-too-large`; nothing of the frame is then gathered */
  add(kind: FrameKind, requestId: number, json: unknown, attachments: readonly Attachment[] = []): void {
    const text = JSON.stringify(json) ?? 'null';
    const jsonLength = Buffer.byteLength(text);
    const lengths = attachments.map(attachmentBytes);
    let length = headBytes - 4 + jsonLength + 4 + 4 * lengths.length;
    for (const bytes of lengths) length += bytes;
    if (length > this.#bytesMax || lengths.length > attachmentCountMax)
      throw new FengniError('ipc-message-too-large', {
        subject: `a message of ${length} octets in ${lengths.length} attachments`,
        remedy: `send at most ${this.#bytesMax} octets and ${attachmentCountMax} attachments at once`,
      });
    this.#room(headBytes + jsonLength + 4 + 4 * lengths.length);
    const slab = this.#slab;
    let at = slab.writeUInt32BE(length, this.#to);
    at = slab.writeUInt8(kind, at);
    at = slab.writeUInt32BE(requestId, at);
    at = slab.writeUInt32BE(jsonLength, at);
    at += slab.write(text, at, jsonLength, 'utf8');
    at = slab.writeUInt32BE(lengths.length, at);
    for (const bytes of lengths) at = slab.writeUInt32BE(bytes, at);
    this.#to = at;
    for (const attachment of attachments) {
      if (attachment instanceof Uint8Array) this.#put(attachment);
      else for (const piece of attachment) this.#put(piece);
    }
    this.#bytes += 4 + length;
  }

  /** Everything gathered since the last time, in order. */
  take(): Uint8Array[] {
    this.#cut();
    const pieces = this.#pieces;
    this.#pieces = [];
    this.#bytes = 0;
    return pieces;
  }

  #put(piece: Uint8Array): void {
    if (piece.length <= copiedBytesMax) {
      this.#room(piece.length);
      this.#slab.set(piece, this.#to);
      this.#to += piece.length;
      return;
    }
    this.#cut();
    this.#pieces.push(piece);
  }

  #room(bytes: number): void {
    if (this.#slab.length - this.#to >= bytes) return;
    this.#cut();
    this.#slab = Buffer.allocUnsafeSlow(Math.max(slabBytes, bytes));
    this.#from = 0;
    this.#to = 0;
  }

  #cut(): void {
    if (this.#to > this.#from) this.#pieces.push(this.#slab.subarray(this.#from, this.#to));
    this.#from = this.#to;
  }
}

const attachmentBytes = (attachment: Attachment): number => {
  if (attachment instanceof Uint8Array) return attachment.length;
  let bytes = 0;
  for (const piece of attachment) bytes += piece.length;
  return bytes;
};

/**
 * What a call or notice asks for.
 *
 * @throws {FengniError} `ipc-frame-invalid`
 */
export const methodAndParams = (frame: Frame): [method: string, params: unknown] => {
  const { json } = frame;
  if (!Array.isArray(json) || json.length !== 2 || typeof json[0] !== 'string')
    throw frameInvalid('a call without a method');
  return json as [string, unknown];
};

export const frameInvalid = (subject: string, cause?: unknown): FengniError =>
  new FengniError('ipc-frame-invalid', {
    subject,
    remedy: 'the two processes are not of the same build, or one is broken; restart the server',
    cause,
  });

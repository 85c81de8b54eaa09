import { createHash } from 'node:crypto';
import type { Socket } from 'node:net';
import { fromLatin1 } from '#base/bytes';
import { randomNumbers } from '#store/durable';
import { LineClient } from './line-client.ts';

/** A mail of any size that nobody holds as a whole: pieces made from a seed, the same each time. */
export interface LargeMail {
  readonly sizeBytes: number;
  pieces(): Generator<Uint8Array>;
  /** SHA-256, hexadecimal */
  readonly sha256: string;
}

const lineBytes = 78;

/** Lines of 76 octets that begin with no dot; the last one is as long as it has to be. */
export const largeMail = (seed: number, sizeBytes: number): LargeMail => {
  const head = fromLatin1(
    `From: <ann@example.org>\r\nSubject: large ${seed}\r\nMessage-ID: <large-${seed}-${sizeBytes}@example.org>\r\n\r\n`,
  );
  const pieces = function* (): Generator<Uint8Array> {
    yield head;
    const numbers = randomNumbers(seed);
    const alphabet = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/';
    for (let left = sizeBytes - head.length; left > 0; ) {
      // 64 KiB less a bit, so that no piece ends where a chunk does.
      const length = Math.min(left, 800 * lineBytes);
      const piece = Buffer.alloc(length, alphabet.charCodeAt(numbers() & 63));
      for (let at = 0; at < length; at += 4) piece[at] = alphabet.charCodeAt(numbers() & 63);
      for (let at = lineBytes - 2; at + 1 < length; at += lineBytes) piece.write('\r\n', at, 'latin1');
      if (length === left) piece.write('\r\n', length - 2, 'latin1');
      yield piece;
      left -= length;
    }
  };
  const hash = createHash('sha256');
  for (const piece of pieces()) hash.update(piece);
  return { sizeBytes, pieces, sha256: hash.digest('hex') };
};

/** Writes as the other side takes it. */
export const sendPieces = async (socket: Socket, pieces: Iterable<Uint8Array>): Promise<void> => {
  for (const piece of pieces) {
    if (socket.destroyed) throw new Error('the connection is closed');
    if (!socket.write(piece)) {
      await new Promise<void>((resolve) => {
        const go = (): void => {
          socket.off('drain', go).off('close', go);
          resolve();
        };
        socket.once('drain', go).once('close', go);
      });
    }
  }
};

/** EHLO to DATA; whoever calls sends the octets. */
export const beginData = async (port: number, to: string): Promise<LineClient> => {
  const client = await LineClient.connect(port);
  await client.until(/^220 .*\r\n/m);
  await client.ask('EHLO client.example\r\n', /^250 .*\r\n/m);
  await client.ask('MAIL FROM:<ann@example.org>\r\n', /^250 .*\r\n/m);
  await client.ask(`RCPT TO:<${to}>\r\n`, /^250 .*\r\n/m);
  await client.ask('DATA\r\n', /^354 .*\r\n/m);
  return client;
};

/** @returns the reply to the final dot */
export const sendLarge = async (port: number, to: string, mail: LargeMail): Promise<string> => {
  const client = await beginData(port, to);
  try {
    await sendPieces(client.socket, mail.pieces());
    return await client.ask('.\r\n', /^\d{3} .*\r\n/m);
  } finally {
    client.destroy();
  }
};

/** Hashes a stream of octets without keeping it: a line, then what stands behind it. */
export class OctetReader {
  readonly #socket: Socket;
  #held: Buffer[] = [];
  #heldBytes = 0;
  #ended = false;
  #wake: () => void = () => {};

  constructor(socket: Socket) {
    this.#socket = socket;
    socket.on('data', (octets: Buffer) => {
      this.#held.push(octets);
      this.#heldBytes += octets.length;
      if (this.#heldBytes > 2 ** 20) socket.pause();
      this.#wake();
    });
    const end = (): void => {
      this.#ended = true;
      this.#wake();
    };
    socket.on('end', end).on('close', end).on('error', end);
  }

  /** A line with its CRLF, one octet a character. */
  async line(): Promise<string> {
    for (;;) {
      const whole = Buffer.concat(this.#held);
      const end = whole.indexOf('\r\n');
      if (end !== -1) {
        this.#held = [whole.subarray(end + 2)];
        this.#heldBytes = whole.length - end - 2;
        return whole.subarray(0, end + 2).toString('latin1');
      }
      if (this.#ended)
        throw new Error(`the connection ended behind ${JSON.stringify(whole.toString('latin1'))}`);
      await this.#more();
    }
  }

  /** So many octets, in pieces; fewer when the connection ends. */
  async *octets(lengthBytes: number): AsyncGenerator<Buffer, void, void> {
    for (let left = lengthBytes; left > 0; ) {
      const piece = this.#held.shift();
      if (piece === undefined) {
        if (this.#ended) return;
        await this.#more();
        continue;
      }
      this.#heldBytes -= piece.length;
      const taken = piece.subarray(0, left);
      if (taken.length < piece.length) {
        this.#held.unshift(piece.subarray(taken.length));
        this.#heldBytes += piece.length - taken.length;
      }
      left -= taken.length;
      yield taken;
    }
  }

  #more(): Promise<void> {
    return new Promise((resolve) => {
      this.#wake = resolve;
      this.#socket.resume();
    });
  }
}

import dgram from 'node:dgram';
import net from 'node:net';
import type { Random } from '#base/clock';
import {
  type DnsMessage,
  type DnsQuestion,
  decodeDnsMessage,
  encodeDnsMessage,
  sameDnsName,
} from '#protocols/dns';
import type { Resolver } from './resolver.ts';

export interface Asking {
  readonly question: DnsQuestion;
  readonly timeoutMs: number;
  readonly random: Random;
  /** ends the exchange before its time */
  readonly signal: AbortSignal;
  readonly strayAnswersMax: number;
  /** an answer that fits nothing that was asked */
  readonly onStray: () => void;
}

export type Exchanged =
  | { readonly kind: 'answer'; readonly message: DnsMessage; readonly octets: number }
  | { readonly kind: 'failed'; readonly why: string };

/** octets that reach everybody in one piece (RFC 9715 §3.1) */
const udpOctetsMax = 1_232;

/** One question to one resolver: by UDP, and by TCP where that answer is cut or suspicious. */
export const exchange = async (resolver: Resolver, asking: Asking): Promise<Exchanged> => {
  const startedMs = performance.now();
  const left = (): number => asking.timeoutMs - (performance.now() - startedMs);
  const udp = await byUdp(resolver, asking);
  if (udp.kind !== 'by-tcp') return udp;
  if (left() <= 0) return { kind: 'failed', why: 'timeout' };
  return byTcp(resolver, { ...asking, timeoutMs: left() });
};

interface Query {
  readonly id: number;
  readonly name: string;
  readonly octets: Uint8Array;
}

const buildQuery = (resolver: Resolver, { question, random }: Asking): Query => {
  const [high = 0, low = 0, ...noise] = random(2 + 32);
  const id = (high << 8) | low;
  const name = inRandomCapitals(question.name, noise);
  const octets = encodeDnsMessage({
    id,
    isResponse: false,
    opcode: 0,
    isAuthoritative: false,
    isTruncated: false,
    recursionDesired: true,
    recursionAvailable: false,
    // RFC 6840 §5.7: we understand AD.
    authenticData: true,
    checkingDisabled: false,
    rcode: 0,
    questions: [{ ...question, name }],
    answers: [],
    authorities: [],
    additionals: [],
    edns: resolver.knowsEdns ? { udpOctetsMax, version: 0, dnssecOk: true, options: [] } : null,
  });
  return { id, name, octets };
};

/** One more thing that a forger must guess: “0x20” (RFC 5452 §9.2 asks for more entropy; RFC 4343 lets capitals through). */
const inRandomCapitals = (name: string, noise: readonly number[]): string => {
  let at = 0;
  return name.replaceAll(/[a-z]/gi, (letter) => {
    const bit = ((noise[(at >> 3) % noise.length] ?? 0) >> (at & 7)) & 1;
    at++;
    return bit === 1 ? letter.toUpperCase() : letter.toLowerCase();
  });
};

type Fit =
  | {
      readonly kind: 'fits';
      readonly message: DnsMessage;
      readonly octets: number;
      readonly hasOurCapitals: boolean;
    }
  | { readonly kind: 'stray' }
  /** id and question fit, the rest cannot be read */
  | { readonly kind: 'malformed'; readonly why: string };

/** Whether octets answer the query (RFC 5452 §3, §9.1). */
const fit = (query: Query, { question }: Asking, octets: Uint8Array): Fit => {
  const decoded = decodeDnsMessage(octets);
  if (decoded.kind === 'malformed') {
    const hasOurId = octets.length >= 12 && (((octets[0] ?? 0) << 8) | (octets[1] ?? 0)) === query.id;
    return hasOurId ? decoded : { kind: 'stray' };
  }
  const { message } = decoded;
  const [asked, second] = message.questions;
  if (!message.isResponse || message.opcode !== 0 || message.id !== query.id || second !== undefined)
    return { kind: 'stray' };
  // Some servers answer FORMERR without the question.
  if (asked === undefined)
    return message.rcode === 1
      ? { kind: 'fits', message, octets: octets.length, hasOurCapitals: true }
      : { kind: 'stray' };
  if (
    asked.type !== question.type ||
    asked.class !== question.class ||
    !sameDnsName(asked.name, question.name)
  )
    return { kind: 'stray' };
  return { kind: 'fits', message, octets: octets.length, hasOurCapitals: asked.name === query.name };
};

const byUdp = (resolver: Resolver, asking: Asking): Promise<Exchanged | { readonly kind: 'by-tcp' }> =>
  new Promise((resolve) => {
    const query = buildQuery(resolver, asking);
    // A socket of its own: a fresh port for each question, and the kernel drops what comes from elsewhere.
    const socket = dgram.createSocket(net.isIPv6(resolver.address) ? 'udp6' : 'udp4');
    let isOver = false;
    let strays = 0;
    const end = (result: Exchanged | { readonly kind: 'by-tcp' }): void => {
      if (isOver) return;
      isOver = true;
      clearTimeout(timer);
      asking.signal.removeEventListener('abort', stop);
      socket.close();
      resolve(result);
    };
    const stop = (): void => end({ kind: 'failed', why: 'stopped' });
    const timer = setTimeout(() => end({ kind: 'failed', why: 'timeout' }), asking.timeoutMs);
    if (asking.signal.aborted) return stop();
    asking.signal.addEventListener('abort', stop);
    socket.on('error', (error: NodeJS.ErrnoException) =>
      end({ kind: 'failed', why: error.code ?? 'no socket' }),
    );
    socket.on('message', (octets) => {
      const fits = fit(query, asking, octets);
      if (fits.kind === 'stray') {
        asking.onStray();
        // Somebody guesses: by TCP a guess is worth nothing (RFC 5452 §9.3).
        if (++strays >= asking.strayAnswersMax) end({ kind: 'by-tcp' });
      } else if (fits.kind === 'malformed') {
        end({ kind: 'by-tcp' });
      } else if (fits.message.isTruncated || (!fits.hasOurCapitals && resolver.keepsCapitals)) {
        if (!fits.hasOurCapitals) asking.onStray();
        end({ kind: 'by-tcp' });
      } else end({ kind: 'answer', message: fits.message, octets: fits.octets });
    });
    socket.connect(resolver.port, resolver.address, () => {
      if (!isOver)
        socket.send(query.octets, (error) => error && end({ kind: 'failed', why: 'could not send' }));
    });
  });

/** @source RFC 7766 §8: two octets of length before a message */
const byTcp = (resolver: Resolver, asking: Asking): Promise<Exchanged> =>
  new Promise((resolve) => {
    const query = buildQuery(resolver, asking);
    const socket = net.connect({ host: resolver.address, port: resolver.port });
    let isOver = false;
    const end = (result: Exchanged): void => {
      if (isOver) return;
      isOver = true;
      clearTimeout(timer);
      asking.signal.removeEventListener('abort', stop);
      socket.destroy();
      resolve(result);
    };
    const stop = (): void => end({ kind: 'failed', why: 'stopped' });
    const timer = setTimeout(() => end({ kind: 'failed', why: 'timeout' }), asking.timeoutMs);
    if (asking.signal.aborted) return stop();
    asking.signal.addEventListener('abort', stop);
    socket.on('error', (error: NodeJS.ErrnoException) =>
      end({ kind: 'failed', why: `TCP ${error.code ?? 'error'}` }),
    );
    socket.on('close', () => end({ kind: 'failed', why: 'TCP closed before the answer' }));
    socket.on('connect', () => {
      const length = Uint8Array.of(query.octets.length >> 8, query.octets.length & 255);
      socket.write(Buffer.concat([length, query.octets]));
    });
    const pieces: Buffer[] = [];
    let held = 0;
    let wanted: number | null = null;
    socket.on('data', (piece: Buffer) => {
      pieces.push(piece);
      held += piece.length;
      if (wanted === null && held >= 2) wanted = 2 + Buffer.concat(pieces).readUInt16BE(0);
      if (wanted === null || held < wanted) return;
      // One question a connection: whatever comes behind its answer is not read.
      const fits = fit(query, asking, Buffer.concat(pieces).subarray(2, wanted));
      if (fits.kind === 'stray') {
        asking.onStray();
        end({ kind: 'failed', why: 'TCP answer to another question' });
      } else if (fits.kind === 'malformed') end({ kind: 'failed', why: `malformed answer: ${fits.why}` });
      else if (fits.message.isTruncated) end({ kind: 'failed', why: 'TCP answer cut' });
      else {
        // Nobody forges this one: the resolver itself changes capitals.
        if (!fits.hasOurCapitals) resolver.keepsCapitals = false;
        end({ kind: 'answer', message: fits.message, octets: fits.octets });
      }
    });
  });

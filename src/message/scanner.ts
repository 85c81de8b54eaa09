import { Boundaries } from './boundaries.ts';
import { type MessageLimit, messageLimits } from './limits.ts';
import { boundaryOf, plainText, readMimeHeader, transferEncodingOf, trimBlanks } from './mime-header.ts';
import type {
  FieldValue,
  HeaderField,
  MimeHeader,
  OctetText,
  ParsedMessage,
  ParsedPart,
  TransferEncoding,
} from './part.ts';

const lf = 0x0a;
const cr = 0x0d;
const dash = 0x2d;
const lfDashes = Buffer.from('\n--');
const { depthMax, partsMax, fieldsMax, fieldOctetsMax, valuesOctetsMax, valuesMax, lineOctetsMax } =
  messageLimits;
const { openBoundaryOctetsMax } = messageLimits;

const mimeFields: ReadonlySet<string> = new Set([
  'content-type',
  'content-transfer-encoding',
  'content-id',
  'content-description',
  'content-disposition',
  'content-md5',
  'content-language',
  'content-location',
]);

/** Those of ENVELOPE, and what threads are made of. */
const keptFields: ReadonlySet<string> = new Set([
  'date',
  'subject',
  'from',
  'sender',
  'reply-to',
  'to',
  'cc',
  'bcc',
  'in-reply-to',
  'message-id',
  'references',
]);

export interface ScannerOptions {
  /** further fields of the message's own header to keep the values of, in lower case */
  keep?: readonly string[];
}

export interface MessageScanner {
  /** Takes the next octets of the message; copies none of a body. */
  write(octets: Uint8Array): void;
  /** The message is whole. Call once. */
  end(): ParsedMessage;
}

/**
 * Finds the structure of a message as its octets arrive, in any chunking with the same result.
 *
 * Never throws on octets from outside. Time is linear in the octets, memory bounded by `messageLimits`: what it holds are
 * offsets, the values of the fields that ENVELOPE, BODYSTRUCTURE and threads need, and at most one start of a line.
 * A line ends in LF, with or without CR before it; a CR alone is an octet like any other. The header ends at the first
 * empty line; lines in it that are no field stay part of it.
 *
 * @source RFC 5322 §2.2, §4; RFC 2045; RFC 2046 §5; RFC 6532; RFC 6533 (message/global)
 */
export const createMessageScanner = (options: ScannerOptions = {}): MessageScanner => new Scanner(options);

/** The structure of a message that is at hand, in one piece or several. */
export const parseMessage = (
  message: Uint8Array | Iterable<Uint8Array>,
  options: ScannerOptions = {},
): ParsedMessage => {
  const scanner = new Scanner(options);
  if (message instanceof Uint8Array) scanner.write(message);
  else for (const piece of message) scanner.write(piece);
  return scanner.end();
};

/** A part while it is open: the same object is the finished part. */
class OpenPart implements ParsedPart {
  kind: 'leaf' | 'multipart' | 'message' = 'leaf';
  headerStart: number;
  blankStart = -1;
  bodyStart = -1;
  end = -1;
  lines: number | null = null;
  encoding: TransferEncoding = 'identity';
  fields: HeaderField[] = [];
  children: ParsedPart[] = [];
  mime: MimeHeader = plainText;
  values: FieldValue[] = [];

  constructor(headerStart: number) {
    this.headerStart = headerStart;
  }
}

const shortLineOctets = 16;
const shortLinesOctets = 4096;

// The engine's own: its cost does not depend on what else the process looks for with Buffer's.
const indexOfOctet = Uint8Array.prototype.indexOf;

interface Level {
  part: OpenPart;
  /** a message's own header, the root's or an enclosed one's */
  isMessageHeader: boolean;
  isDigest: boolean;
  /** the scanner's count of line ends where the body starts */
  linesBefore: number;
  mimeValues: FieldValue[];
}

class Scanner implements MessageScanner {
  #keep: ReadonlySet<string>;
  #limits = new Set<MessageLimit>();
  #levels: Level[] = [];
  #boundaries = new Boundaries<Level>();
  #partCount = 0;
  #fieldCount = 0;
  #valueOctets = 0;
  #valueCount = 0;

  #mode: 'header' | 'body' | 'delimiter' = 'header';
  /** in the middle of a line whose start has been dealt with */
  #inLine = false;
  /** octets of the line end before the line that starts now: 1 (LF) or 2 (CRLF) */
  #lineEndOctets = 0;
  #previousOctet = -1;
  #firstOctet = -1;
  #offset = 0;
  /** line ends so far; stands still while nobody needs it */
  #lines = 0;
  #counting = false;
  #messageDepth = 0;

  /** the start of a line that can't be told yet */
  #carry: Buffer | null = null;
  #carried = 0;

  #fieldStart = -1;
  #fieldName = '';
  #fieldValue: OctetText = '';
  #fieldKept = false;

  constructor(options: ScannerOptions) {
    this.#keep = options.keep === undefined ? keptFields : new Set([...keptFields, ...options.keep]);
    this.#open(0, true, false);
  }

  write(octets: Uint8Array): void {
    if (octets.length === 0) return;
    if (this.#offset === 0) this.#firstOctet = octets[0] ?? -1;
    const chunk = Buffer.from(octets.buffer, octets.byteOffset, octets.byteLength);
    let at = this.#carried > 0 ? this.#completeCarry(chunk) : 0;
    while (at < chunk.length) at = this.#step(chunk, at);
    this.#previousOctet = chunk[chunk.length - 1] ?? -1;
    this.#offset += chunk.length;
  }

  end(): ParsedMessage {
    if (this.#carried > 0 && this.#carry !== null) {
      const piece = this.#carry.subarray(0, this.#carried);
      this.#carried = 0;
      this.#lineStart(piece, this.#offset - piece.length, false);
    }
    const root = this.#levels[0]?.part;
    if (root === undefined) throw new Error('the scanner has no root: a bug');
    // A delimiter that is cut off before its line end opens no part.
    while (this.#mode === 'header') this.#endHeader(this.#offset, this.#offset);
    this.#closeDownTo(0, this.#offset, this.#lines);
    return {
      size: this.#offset,
      startsWithBlank: this.#firstOctet === 0x20 || this.#firstOctet === 0x09,
      root,
      limitsReached: [...this.#limits].sort(),
    };
  }

  // ---- lines ----

  #step(chunk: Buffer, at: number): number {
    if (this.#mode === 'body') {
      if (this.#boundaries.size === 0) return this.#skipBody(chunk, at);
      if (this.#inLine || !this.#mayBeDelimiter(chunk, at)) return this.#skipBody(chunk, at);
    } else if (this.#inLine) {
      const found = chunk.indexOf(lf, at);
      const end = found < 0 ? chunk.length : found + 1;
      if (this.#mode === 'header') this.#fieldPiece(chunk.subarray(at, end));
      if (found >= 0) this.#lineEnd(this.#offset + end, this.#crBefore(chunk, found));
      return end;
    }
    const found = chunk.indexOf(lf, at);
    const length = (found < 0 ? chunk.length : found + 1) - at;
    if (found < 0 && length < lineOctetsMax) {
      this.#carry ??= Buffer.allocUnsafe(lineOctetsMax);
      chunk.copy(this.#carry, 0, at);
      this.#carried = length;
      return chunk.length;
    }
    const end = at + Math.min(length, lineOctetsMax);
    this.#lineStart(chunk.subarray(at, end), this.#offset + at, found >= 0 && end === found + 1);
    return end;
  }

  /** Adds to the carried start of a line until it can be told; returns how much of the chunk that took. */
  #completeCarry(chunk: Buffer): number {
    const carry = this.#carry;
    if (carry === null) return 0;
    const found = chunk.indexOf(lf);
    const wanted = Math.min(found < 0 ? chunk.length : found + 1, lineOctetsMax - this.#carried);
    chunk.copy(carry, this.#carried, 0, wanted);
    const start = this.#offset - this.#carried;
    this.#carried += wanted;
    const isEnded = found >= 0 && wanted === found + 1;
    const isDecided =
      isEnded ||
      this.#carried === lineOctetsMax ||
      (this.#mode === 'body' && this.#carried > 1 && carry[1] !== dash);
    if (isDecided) {
      const piece = carry.subarray(0, this.#carried);
      this.#carried = 0;
      this.#lineStart(piece, start, isEnded);
    }
    return wanted;
  }

  /** A line from its start: whole with its line end when `isEnded`, otherwise its first `lineOctetsMax` octets or the last line. */
  #lineStart(piece: Buffer, start: number, isEnded: boolean): void {
    this.#inLine = true;
    if (this.#boundaries.size > 0 && piece[0] === dash && piece[1] === dash) {
      const text = piece.toString('latin1', 2, piece.length);
      const match = this.#boundaries.match(text);
      if (match !== null && this.#delimiter(match.owner, text.startsWith('--', match.length), start)) {
        if (isEnded) this.#lineEnd(start + piece.length, piece[piece.length - 2] === cr);
        return;
      }
    }
    if (this.#mode === 'header') {
      if (isEnded && (piece.length === 1 || (piece.length === 2 && piece[0] === cr))) {
        this.#lines++;
        this.#inLine = false;
        this.#lineEndOctets = piece.length;
        this.#endHeader(start + piece.length, start);
        return;
      }
      this.#headerLine(piece, start);
    }
    if (isEnded) this.#lineEnd(start + piece.length, piece[piece.length - 2] === cr);
  }

  #lineEnd(nextStart: number, isCrLf: boolean): void {
    this.#lines++;
    this.#inLine = false;
    this.#lineEndOctets = isCrLf ? 2 : 1;
    if (this.#mode === 'delimiter') {
      const owner = this.#levels.at(-1);
      this.#open(nextStart, false, owner?.isDigest ?? false);
    }
  }

  #crBefore(chunk: Buffer, at: number): boolean {
    return (at > 0 ? chunk[at - 1] : this.#previousOctet) === cr;
  }

  /** Goes on to the next line that starts with two dashes, or to the end of the chunk. */
  #skipBody(chunk: Buffer, at: number): number {
    const found = this.#boundaries.size === 0 ? -1 : chunk.indexOf(lfDashes, at);
    let end = found < 0 ? chunk.length : found + 1;
    // A dash after the last line end: the next chunk tells.
    if (found < 0 && end - 2 >= at && chunk[end - 1] === dash && chunk[end - 2] === lf) end--;
    if (this.#counting) this.#countLines(chunk, at, end);
    this.#inLine = chunk[end - 1] !== lf;
    if (!this.#inLine) this.#lineEndOctets = this.#crBefore(chunk, end - 1) ? 2 : 1;
    return end;
  }

  /** Whether a line that starts here may start with two dashes and a boundary, as far as the chunk tells. */
  #mayBeDelimiter(chunk: Buffer, at: number): boolean {
    if (chunk[at] !== dash) return false;
    if (at + 2 >= chunk.length) return at + 1 === chunk.length || chunk[at + 1] === dash;
    return chunk[at + 1] === dash && this.#boundaries.hasOneThatStartsWith(chunk[at + 2] ?? 0);
  }

  #countLines(chunk: Buffer, start: number, end: number): void {
    let from = start;
    while (from < end) {
      const at = indexOfOctet.call(chunk, lf, from);
      if (at < 0 || at >= end) return;
      this.#lines++;
      // Lines so short that asking for each costs more than looking at each octet.
      if (at - from < shortLineOctets) {
        const stop = Math.min(end, at + 1 + shortLinesOctets);
        for (let octet = at + 1; octet < stop; octet++) if (chunk[octet] === lf) this.#lines++;
        from = stop;
      } else from = at + 1;
    }
  }

  // ---- header fields ----

  #headerLine(piece: Buffer, start: number): void {
    const isContinuation = piece[0] === 0x20 || piece[0] === 0x09;
    if (!isContinuation || this.#fieldStart < 0) {
      this.#endField(start);
      this.#fieldStart = start;
      this.#fieldName = '';
      // Neither an index nor a value of this field will be kept: no need for its name.
      if (this.#fieldCount >= fieldsMax && this.#valuesAreFull) return;
      const colon = isContinuation ? -1 : piece.indexOf(0x3a);
      this.#fieldName = colon < 0 ? '' : fieldName(piece.toString('latin1', 0, colon));
      const isMessageHeader = this.#levels.at(-1)?.isMessageHeader ?? false;
      this.#fieldKept = mimeFields.has(this.#fieldName) || (isMessageHeader && this.#isKept(this.#fieldName));
      this.#fieldValue = '';
      if (this.#fieldKept) this.#fieldPiece(piece.subarray(colon + 1));
    } else this.#fieldPiece(piece);
  }

  get #valuesAreFull(): boolean {
    return this.#valueCount >= valuesMax || this.#valueOctets >= valuesOctetsMax;
  }

  #isKept(name: string): boolean {
    return this.#keep.has(name);
  }

  #fieldPiece(piece: Buffer): void {
    if (!this.#fieldKept) return;
    const room = Math.min(
      fieldOctetsMax - this.#fieldValue.length,
      valuesOctetsMax - this.#valueOctets - this.#fieldValue.length,
    );
    if (piece.length > room) this.#limits.add('values');
    if (room > 0) this.#fieldValue += piece.toString('latin1', 0, Math.min(room, piece.length));
  }

  #endField(end: number): void {
    const level = this.#levels.at(-1);
    if (this.#fieldStart < 0 || level === undefined) return;
    if (level.isMessageHeader) {
      if (this.#fieldCount < fieldsMax) {
        level.part.fields.push({ name: this.#fieldName, start: this.#fieldStart, end });
        this.#fieldCount++;
      } else this.#limits.add('fields');
    }
    if (this.#fieldKept && this.#valuesAreFull) this.#limits.add('values');
    else if (this.#fieldKept) {
      const value = withoutLineEnd(this.#fieldValue);
      this.#valueOctets += value.length;
      this.#valueCount++;
      const kept = { name: this.#fieldName, value };
      if (mimeFields.has(kept.name)) level.mimeValues.push(kept);
      if (level.isMessageHeader && this.#isKept(kept.name)) level.part.values.push(kept);
    }
    this.#fieldStart = -1;
    this.#fieldKept = false;
  }

  // ---- parts ----

  #open(headerStart: number, isMessageHeader: boolean, inDigest: boolean): void {
    const part = new OpenPart(headerStart);
    this.#levels.at(-1)?.part.children.push(part);
    this.#levels.push({
      part,
      isMessageHeader,
      isDigest: inDigest,
      linesBefore: 0,
      mimeValues: [],
    });
    this.#partCount++;
    this.#mode = 'header';
  }

  #endHeader(bodyStart: number, blankStart: number): void {
    this.#endField(blankStart);
    const level = this.#levels.at(-1);
    if (level === undefined) return;
    const { part } = level;
    part.blankStart = blankStart;
    part.bodyStart = bodyStart;
    level.linesBefore = this.#lines;
    part.mime = readMimeHeader(level.mimeValues, level.isDigest);
    level.mimeValues = [];
    part.encoding = transferEncodingOf(part.mime);
    this.#mode = 'body';
    const type = part.mime.type.toLowerCase();
    const subtype = part.mime.subtype.toLowerCase();
    level.isDigest = type === 'multipart' && subtype === 'digest';
    const isMessage = type === 'message' && (subtype === 'rfc822' || subtype === 'global');
    const boundary = type === 'multipart' ? boundaryOf(part.mime) : null;
    const limit = this.#limitReached(boundary);
    if ((isMessage || boundary !== null) && limit !== null) {
      this.#limits.add(limit);
      becomeText(part);
    } else if (isMessage) {
      part.kind = 'message';
      this.#messageDepth++;
      this.#open(bodyStart, true, false);
    } else if (boundary !== null) {
      part.kind = 'multipart';
      this.#boundaries.push(boundary, level);
    } else if (type === 'multipart') {
      // RFC 2045 §5.2: a multipart that doesn't say where its parts begin is text, so that people can read it.
      becomeText(part);
    }
    this.#setCounting();
  }

  #limitReached(boundary: string | null): MessageLimit | null {
    if (this.#levels.length >= depthMax) return 'depth';
    if (this.#boundaries.octets + (boundary?.length ?? 0) > openBoundaryOctetsMax) return 'depth';
    return this.#partCount >= partsMax ? 'parts' : null;
  }

  #setCounting(): void {
    const part = this.#levels.at(-1)?.part;
    this.#counting =
      this.#messageDepth > 0 ||
      part === undefined ||
      part.mime.type.toLowerCase() === 'text' ||
      (part.kind === 'multipart' && part.children.length === 0);
  }

  /** A delimiter of one of the open multiparts; false when no more parts are opened and the line is text. */
  #delimiter(owner: Level, isClosing: boolean, lineStart: number): boolean {
    if (!isClosing && this.#partCount >= partsMax) {
      this.#limits.add('parts');
      this.#boundaries.clear();
      return false;
    }
    let end = lineStart;
    let lineEnds = this.#lines;
    if (this.#mode === 'header') {
      while (this.#mode === 'header') this.#endHeader(lineStart, lineStart);
    } else {
      // RFC 2046 §5.1.1: the line end before a delimiter belongs to it, unless it ended the header.
      const bodyStart = this.#levels.at(-1)?.part.bodyStart ?? lineStart;
      if (lineStart > bodyStart) {
        end = Math.max(bodyStart, lineStart - this.#lineEndOctets);
        lineEnds--;
      }
    }
    const depth = this.#levels.indexOf(owner);
    this.#closeDownTo(depth + 1, end, lineEnds);
    if (isClosing) {
      this.#boundaries.remove(owner);
      this.#mode = 'body';
      this.#setCounting();
    } else {
      this.#mode = 'delimiter';
    }
    return true;
  }

  #closeDownTo(depth: number, end: number, lineEnds: number): void {
    while (this.#levels.length > depth) {
      const level = this.#levels.pop();
      if (level === undefined) return;
      const { part } = level;
      part.end = end;
      if (part.kind === 'message') this.#messageDepth--;
      else if (part.kind === 'multipart') {
        this.#boundaries.remove(level);
        if (part.children.length === 0) {
          becomeText(part);
        }
      }
      const isCounted =
        this.#messageDepth > 0 ||
        part.kind === 'message' ||
        (part.kind === 'leaf' && part.mime.type.toLowerCase() === 'text');
      part.lines = isCounted ? Math.max(0, lineEnds - level.linesBefore) : null;
    }
  }
}

/** RFC 2045 §5.2: what can't be what it says it is counts as plain text. */
const becomeText = (part: OpenPart): void => {
  part.kind = 'leaf';
  part.mime = plainText;
  part.encoding = 'identity';
};

/**
 * The name of a field in lower case; empty when it is none.
 *
 * @source RFC 5322 §3.6.8; §4.5 (blanks before the colon)
 */
const fieldName = (text: string): string => {
  const known = knownNames.get(text);
  if (known !== undefined) return known;
  const trimmed = trimBlanks(text);
  const name = /^[!-9;-~]+$/.test(trimmed) ? trimmed.toLowerCase() : '';
  // What a stranger writes must not grow a table that lives on.
  if (knownNames.size < knownNamesMax && text.length <= knownNameLengthMax) knownNames.set(text, name);
  return name;
};

const knownNames = new Map<string, string>();
const knownNamesMax = 1000;
const knownNameLengthMax = 64;

const withoutLineEnd = (text: string): string => {
  if (!text.endsWith('\n')) return text;
  return text.slice(0, text.endsWith('\r\n') ? -2 : -1);
};

/**
 * The fields of a header that is at hand, with offsets from its first octet; the header ends at an empty line or at the
 * last octet.
 *
 * @source RFC 5322 §2.2, §4.5
 */
export const parseHeaderFields = (header: Uint8Array): HeaderField[] => {
  const octets = Buffer.from(header.buffer, header.byteOffset, header.byteLength);
  const fields: HeaderField[] = [];
  let at = 0;
  while (at < octets.length) {
    const found = octets.indexOf(lf, at);
    const end = found < 0 ? octets.length : found + 1;
    if (found === at || (found === at + 1 && octets[at] === cr)) break;
    const isContinuation = octets[at] === 0x20 || octets[at] === 0x09;
    const last = fields.at(-1);
    if (isContinuation && last !== undefined) last.end = end;
    else {
      const line = octets.toString('latin1', at, Math.min(end, at + lineOctetsMax));
      const colon = isContinuation ? -1 : line.indexOf(':');
      fields.push({ name: colon < 0 ? '' : fieldName(line.slice(0, colon)), start: at, end });
    }
    at = end;
  }
  return fields;
};

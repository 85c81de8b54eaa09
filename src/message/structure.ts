import type { HeaderField, MessageStructure, StructurePart, TransferEncoding } from './part.ts';
import { parseHeaderFields } from './scanner.ts';

/**
 * The structure of `prefix ‖ original` from the structure of the original: the same as if the whole had been parsed.
 * ENVELOPE and BODYSTRUCTURE stay as they are, since the prefix has trace fields only.
 *
 * @param prefix whole header fields that end in CRLF, as they are put before the message of one recipient
 */
export const withPrefix = (original: MessageStructure, prefix: Uint8Array): MessageStructure => {
  if (prefix.length === 0) return original;
  const by = prefix.length;
  const root = shiftPart(original.root, by);
  const fields = parseHeaderFields(prefix);
  const [first, ...rest] = root.fields;
  const last = fields.at(-1);
  // An original that starts with a blank goes on with the field before it.
  if (original.startsWithBlank && first !== undefined && last !== undefined) {
    last.end = first.end;
    fields.push(...rest);
  } else fields.push(...root.fields);
  return {
    size: original.size + by,
    startsWithBlank: false,
    root: { ...root, headerStart: 0, fields },
  };
};

const shiftPart = (part: StructurePart, by: number): StructurePart => ({
  kind: part.kind,
  headerStart: part.headerStart + by,
  blankStart: part.blankStart + by,
  bodyStart: part.bodyStart + by,
  end: part.end + by,
  lines: part.lines,
  encoding: part.encoding,
  fields: part.fields.map(({ name, start, end }) => ({ name, start: start + by, end: end + by })),
  children: part.children.map((child) => shiftPart(child, by)),
});

const formatVersion = 1;
const kinds = ['leaf', 'multipart', 'message'] as const;
const encodings: readonly TransferEncoding[] = [
  'identity',
  'base64',
  'quoted-printable',
  'uuencode',
  'other',
];

// The code of a name is its place here plus one. New names are added at the end only: stored structures have the codes.
const commonNames = (
  'received from to subject date message-id mime-version content-type content-transfer-encoding return-path ' +
  'delivered-to dkim-signature authentication-results received-spf reply-to sender cc bcc in-reply-to references ' +
  'list-id list-unsubscribe list-unsubscribe-post list-post list-help list-archive list-subscribe list-owner precedence ' +
  'user-agent x-mailer x-priority importance x-spam-status x-spam-score x-spam-level x-spam-flag x-originating-ip ' +
  'arc-seal arc-message-signature arc-authentication-results auto-submitted content-disposition content-id ' +
  'content-description content-language errors-to feedback-id x-google-dkim-signature x-gm-message-state x-received ' +
  'x-google-smtp-source thread-topic thread-index accept-language x-ms-exchange-organization-scl fengni-seal ' +
  'x-mailman-version x-beenthere x-feedback-id x-msmail-priority x-mimeole x-original-to x-virus-scanned x-qq-mid ' +
  'x-qq-style organization keywords comments autocrypt disposition-notification-to x-auto-response-suppress'
).split(' ');
const codeOfName: ReadonlyMap<string, number> = new Map(commonNames.map((name, index) => [name, index + 1]));

/**
 * The structure in few octets, to be stored beside ENVELOPE and BODYSTRUCTURE: about 2 octets a field and 10 a part.
 *
 * A version octet, a flag octet (1: the message starts with a blank), the size, then the root. A part is: a tag octet
 * (2 bits kind, 3 bits transfer encoding, 1 bit "lines known", 2 bits octets of the empty line), the octets from where the
 * part before it ended (or the body it is in started) to its header, of its header without the empty line, of its body;
 * the lines if known; for a message's header the number of fields and for each the code of its name (0: the name's octets
 * with their number in front follow; 1 … common names; 255: no name) and its octets; for a multipart the number of parts
 * and the parts; for a message the enclosed one. Numbers are LEB128.
 */
export const encodeStructure = (structure: MessageStructure): Uint8Array => {
  const out: number[] = [formatVersion, structure.startsWithBlank ? 1 : 0];
  writeNumber(out, structure.size);
  writePart(out, structure.root, 0, true);
  return Uint8Array.from(out);
};

const writeNumber = (out: number[], value: number): void => {
  let rest = value;
  while (rest >= 0x80) {
    out.push((rest % 0x80) | 0x80);
    rest = Math.floor(rest / 0x80);
  }
  out.push(rest);
};

const writePart = (out: number[], part: StructurePart, from: number, isMessageHeader: boolean): void => {
  out.push(
    kinds.indexOf(part.kind) |
      (encodings.indexOf(part.encoding) << 2) |
      (part.lines === null ? 0 : 1 << 5) |
      ((part.bodyStart - part.blankStart) << 6),
  );
  writeNumber(out, part.headerStart - from);
  writeNumber(out, part.blankStart - part.headerStart);
  writeNumber(out, part.end - part.bodyStart);
  if (part.lines !== null) writeNumber(out, part.lines);
  if (isMessageHeader) {
    writeNumber(out, part.fields.length);
    for (const { name, start, end } of part.fields) {
      const code = name === '' ? 255 : (codeOfName.get(name) ?? 0);
      out.push(code);
      if (code === 0) {
        writeNumber(out, name.length);
        for (let at = 0; at < name.length; at++) out.push(name.charCodeAt(at));
      }
      writeNumber(out, end - start);
    }
  }
  if (part.kind === 'multipart') writeNumber(out, part.children.length);
  let cursor = part.bodyStart;
  for (const child of part.children) {
    writePart(out, child, cursor, part.kind === 'message');
    cursor = child.end;
  }
};

/** What `encodeStructure` wrote; null when the octets are not that: parse the message again. */
export const decodeStructure = (octets: Uint8Array): MessageStructure | null => {
  const reader = new Reader(octets);
  if (reader.octet() !== formatVersion) return null;
  const flags = reader.octet();
  const size = reader.number();
  const root = reader.part(0, true, 0);
  if (reader.isBroken || !reader.atEnd || flags > 1 || root.end > size) return null;
  return { size, startsWithBlank: flags === 1, root };
};

class Reader {
  isBroken = false;
  #octets: Uint8Array;
  #at = 0;

  constructor(octets: Uint8Array) {
    this.#octets = octets;
  }

  get atEnd(): boolean {
    return this.#at === this.#octets.length;
  }

  octet(): number {
    const octet = this.#octets[this.#at++];
    if (octet === undefined) this.isBroken = true;
    return octet ?? 0;
  }

  number(): number {
    let value = 0;
    for (let scale = 1; scale < 2 ** 50; scale *= 0x80) {
      const octet = this.octet();
      value += (octet & 0x7f) * scale;
      if (octet < 0x80) return value;
    }
    this.isBroken = true;
    return 0;
  }

  part(from: number, isMessageHeader: boolean, depth: number): StructurePart {
    const tag = this.octet();
    const kind = kinds[tag & 3];
    const encoding = encodings[(tag >> 2) & 7];
    const headerStart = from + this.number();
    const blankStart = headerStart + this.number();
    const bodyStart = blankStart + (tag >> 6);
    const end = bodyStart + this.number();
    const lines = (tag & (1 << 5)) === 0 ? null : this.number();
    if (kind === undefined || encoding === undefined || tag >> 6 === 3 || depth > 1000) this.isBroken = true;
    const fields: HeaderField[] = [];
    const fieldCount = isMessageHeader ? this.number() : 0;
    for (let start = headerStart; fields.length < fieldCount && !this.isBroken; ) {
      const name = this.#name();
      const fieldEnd = start + this.number();
      fields.push({ name, start, end: fieldEnd });
      start = fieldEnd;
    }
    const children: StructurePart[] = [];
    const childCount = kind === 'multipart' ? this.number() : kind === 'message' ? 1 : 0;
    for (let cursor = bodyStart; children.length < childCount && !this.isBroken; ) {
      const child = this.part(cursor, kind === 'message', depth + 1);
      children.push(child);
      cursor = child.end;
    }
    return {
      kind: kind ?? 'leaf',
      headerStart,
      blankStart,
      bodyStart,
      end,
      lines,
      encoding: encoding ?? 'other',
      fields,
      children,
    };
  }

  #name(): string {
    const code = this.octet();
    if (code === 255) return '';
    if (code > 0) {
      const name = commonNames[code - 1];
      if (name === undefined) this.isBroken = true;
      return name ?? '';
    }
    const length = this.number();
    const start = this.#at;
    this.#at += length;
    if (this.#at > this.#octets.length) {
      this.isBroken = true;
      return '';
    }
    return Buffer.from(this.#octets.subarray(start, this.#at)).toString('latin1');
  }
}

import type { MessageStructure, StructurePart } from './part.ts';

export interface OctetRange {
  start: number;
  /** exclusive */
  end: number;
}

/** What stands between the brackets of `BODY[…]`. */
export interface Section {
  /** the part numbers, each from 1; empty for the message itself */
  part: readonly number[];
  text: 'all' | 'header' | 'header.fields' | 'header.fields.not' | 'text' | 'mime';
  /** names of fields in any case; for the two header.fields forms */
  fields?: readonly string[];
}

/** No client has a message with more levels than that. */
const partNumbersMax = 1000;

/**
 * The text of a section as in `BODY[1.2.HEADER.FIELDS (From To)]`, without the brackets; null when it is none.
 *
 * @source RFC 9051 §9 `section-spec` (field names as atoms or quoted strings)
 */
export const parseSection = (text: string): Section | null => {
  let rest = text;
  const part: number[] = [];
  while (part.length < partNumbersMax) {
    const match = /^([1-9]\d{0,9})(?:\.|$)/.exec(rest);
    if (match === null) break;
    part.push(Number(match[1]));
    rest = rest.slice(match[0].length);
    if (rest === '') return match[0].endsWith('.') ? null : { part, text: 'all' };
  }
  const name = rest.toLowerCase();
  if (name === '') return part.length === 0 ? { part, text: 'all' } : null;
  if (name === 'header' || name === 'text') return { part, text: name };
  if (name === 'mime') return part.length === 0 ? null : { part, text: name };
  const match = /^(header\.fields(?:\.not)?) \((.+)\)$/i.exec(rest);
  const form = match?.[1]?.toLowerCase();
  if (match === null || (form !== 'header.fields' && form !== 'header.fields.not')) return null;
  const fields: string[] = [];
  for (const [, quoted, atom] of (match[2] ?? '').matchAll(
    / ?(?:"((?:[^"\\]|\\["\\])*)"|([^\s()"\\{%*\]]+))/g,
  )) {
    fields.push(quoted?.replace(/\\(.)/g, '$1') ?? atom ?? '');
  }
  const written = (match[2] ?? '').replace(/"(?:[^"\\]|\\["\\])*"|[^\s()"\\{%*\]]+/g, 'x');
  return /^x(?: x)*$/.test(written) ? { part, text: form, fields } : null;
};

/**
 * Where the octets of a section are in the message, in order; null when the message has no such section (`NIL` on the wire).
 * Ranges are never empty; no range at all is the empty string.
 *
 * The empty line after a header belongs to it, also after chosen fields, unless the message has none.
 *
 * @source RFC 9051 §6.4.5.1
 */
export const imapSection = (structure: MessageStructure, section: Section): OctetRange[] | null => {
  if (section.part.length === 0) {
    if (section.text === 'all') return nonEmpty(0, structure.size);
    return section.text === 'mime' ? null : messageSection(structure.root, section);
  }
  const part = findPart(structure.root, section.part);
  if (part === null) return null;
  if (section.text === 'all') return nonEmpty(part.bodyStart, part.end);
  if (section.text === 'mime') return nonEmpty(part.headerStart, part.bodyStart);
  const message = part.kind === 'message' ? part.children[0] : undefined;
  return message === undefined ? null : messageSection(message, section);
};

/** The part that numbers name, or null. */
export const findPart = (root: StructurePart, numbers: readonly number[]): StructurePart | null => {
  let part: StructurePart | null = null;
  for (const number of numbers) {
    let next: StructurePart | undefined;
    if (part?.kind === 'multipart') next = part.children[number - 1];
    else {
      // The body of a message that is no multipart is its part 1.
      const message: StructurePart | undefined =
        part === null ? root : part.kind === 'message' ? part.children[0] : undefined;
      if (message?.kind === 'multipart') next = message.children[number - 1];
      else if (number === 1) next = message;
    }
    if (next === undefined) return null;
    part = next;
  }
  return part;
};

/** The part of the ranges that `<offset.count>` asks for. */
export const clipRanges = (ranges: readonly OctetRange[], offset: number, count: number): OctetRange[] => {
  const clipped: OctetRange[] = [];
  let skip = offset;
  let left = count;
  for (const { start, end } of ranges) {
    const from = start + skip;
    if (from >= end) {
      skip -= end - start;
      continue;
    }
    skip = 0;
    const to = Math.min(end, from + left);
    if (to > from) clipped.push({ start: from, end: to });
    left -= to - from;
    if (left <= 0) break;
  }
  return clipped;
};

/** The octets of all ranges together. */
export const rangesOctets = (ranges: readonly OctetRange[]): number =>
  ranges.reduce((sum, { start, end }) => sum + end - start, 0);

const messageSection = (message: StructurePart, section: Section): OctetRange[] | null => {
  switch (section.text) {
    case 'header':
      return nonEmpty(message.headerStart, message.bodyStart);
    case 'text':
      return nonEmpty(message.bodyStart, message.end);
    case 'header.fields':
    case 'header.fields.not':
      return headerFields(message, section);
    default:
      return null;
  }
};

const headerFields = (message: StructurePart, section: Section): OctetRange[] => {
  const names = new Set(section.fields?.map((name) => name.toLowerCase()));
  const wantsNamed = section.text === 'header.fields';
  const ranges: OctetRange[] = [];
  const add = (start: number, end: number): void => {
    const last = ranges.at(-1);
    if (start >= end) return;
    if (last?.end === start) last.end = end;
    else ranges.push({ start, end });
  };
  let indexedTo = message.headerStart;
  for (const { name, start, end } of message.fields) {
    if ((name !== '' && names.has(name)) === wantsNamed) add(start, end);
    indexedTo = end;
  }
  // Fields beyond the limit are in no index: they are not what was named.
  if (!wantsNamed) add(indexedTo, message.blankStart);
  add(message.blankStart, message.bodyStart);
  return ranges;
};

const nonEmpty = (start: number, end: number): OctetRange[] => (start < end ? [{ start, end }] : []);

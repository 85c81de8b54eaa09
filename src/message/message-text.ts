import {
  bodyParts,
  fileName,
  isTnef,
  mediaType,
  partTextAndFiles,
  preview as previewOf,
} from './body-parts.ts';
import { decodeHeaderText } from './encoded-word.ts';
import type { ParsedMessage, ParsedPart } from './part.ts';
import { parseMessage } from './scanner.ts';
import { tnefFiles } from './tnef.ts';
import { decodeTransfer } from './transfer-encoding.ts';

/** What the rendering for search may cost; what is beyond is left out, and `isCut` says so. */
export const textLimits = Object.freeze({
  /** characters of the text of a message, those of enclosed messages included */
  lengthMax: 1_000_000,
  /** octets of one part that are read, as they stand in the message */
  partOctetsMax: 2_097_152,
  /** octets of all parts that are read */
  octetsMax: 16_777_216,
  /** names of files */
  fileNamesMax: 1000,
  /** encoded messages within encoded messages that are opened */
  encodedDepthMax: 4,
});

export interface MessageText {
  /** what somebody reads in the message: its body, then text that is attached, then enclosed messages with their subjects */
  text: string;
  /** the first words of the body, 256 characters at most */
  preview: string;
  /** attachments, also those inside of TNEF and of uuencode */
  fileNames: string[];
  isCut: boolean;
}

/**
 * A message as text, for search and for lists. Neither header fields nor addresses of the message itself are in it: ENVELOPE has them.
 *
 * @param read octets of the message from `start` to before `end`
 * @source RFC 8621 §4.1.4 (which parts are the body); decision 0007 (what is read beyond the structure)
 */
export const messageText = (
  parsed: ParsedMessage,
  read: (start: number, end: number) => Uint8Array,
): MessageText => {
  const collector = new Collector();
  const first = collector.message(parsed, read, 0);
  return {
    text: collector.texts.join('\n'),
    preview: previewOf(first),
    fileNames: [...collector.fileNames],
    isCut: collector.isCut,
  };
};

class Collector {
  texts: string[] = [];
  fileNames = new Set<string>();
  isCut = false;
  #lengthLeft: number = textLimits.lengthMax;
  #octetsLeft: number = textLimits.octetsMax;

  /** Adds a message's texts; returns the first ones of its body. */
  message(
    parsed: ParsedMessage,
    read: (start: number, end: number) => Uint8Array,
    encodedDepth: number,
  ): string {
    const { text, attachments } = bodyParts(parsed);
    let first = '';
    for (const part of text) {
      if (!mediaType(part).startsWith('text/')) {
        this.#name(fileName(part));
        continue;
      }
      const added = this.#text(part, read);
      if (first.length < 10_000) first += `${added}\n`;
    }
    for (const part of attachments) this.#attachment(part, read, encodedDepth);
    return first;
  }

  #attachment(
    part: ParsedPart,
    read: (start: number, end: number) => Uint8Array,
    encodedDepth: number,
  ): void {
    this.#name(fileName(part));
    const type = mediaType(part);
    const enclosed = part.kind === 'message' ? part.children[0] : undefined;
    if (enclosed !== undefined && part.encoding === 'identity') {
      this.#subject(enclosed);
      this.message(messageOf(enclosed), read, encodedDepth);
    } else if (enclosed !== undefined) {
      if (encodedDepth >= textLimits.encodedDepthMax) {
        this.isCut = true;
        return;
      }
      const octets = decodeTransfer(this.#octets(part, read), part.encoding);
      const inner = parseMessage(octets);
      this.#subject(inner.root);
      this.message(inner, (start, end) => octets.subarray(start, end), encodedDepth + 1);
    } else if (/^text\/(?:plain|html|markdown|csv|calendar|x-vcard|vcard)$/.test(type)) {
      this.#text(part, read);
    } else if (isTnef(part)) {
      const octets = decodeTransfer(this.#octets(part, read), part.encoding);
      for (const { name } of tnefFiles(octets)?.files ?? []) this.#name(name);
    }
  }

  #text(part: ParsedPart, read: (start: number, end: number) => Uint8Array): string {
    if (this.#lengthLeft <= 0) {
      this.isCut = true;
      return '';
    }
    const { text, fileNames } = partTextAndFiles(part, this.#octets(part, read));
    for (const name of fileNames) this.#name(name);
    this.#add(text);
    return text;
  }

  #octets(part: ParsedPart, read: (start: number, end: number) => Uint8Array): Uint8Array {
    const wanted = part.end - part.bodyStart;
    const length = Math.min(wanted, textLimits.partOctetsMax, this.#octetsLeft);
    if (length < wanted) this.isCut = true;
    this.#octetsLeft -= length;
    return read(part.bodyStart, part.bodyStart + length);
  }

  #subject(message: ParsedPart): void {
    const value = message.values.findLast(({ name }) => name === 'subject')?.value;
    if (value !== undefined) this.#add(decodeHeaderText(value));
  }

  #add(text: string): void {
    if (text === '') return;
    if (text.length > this.#lengthLeft) this.isCut = true;
    // A pair of surrogates is not cut in two.
    this.texts.push(text.slice(0, Math.max(0, this.#lengthLeft)).toWellFormed());
    this.#lengthLeft -= text.length + 1;
  }

  #name(name: string | null): void {
    if (name === null || name === '') return;
    if (this.fileNames.size < textLimits.fileNamesMax) this.fileNames.add(name);
    else this.isCut = true;
  }
}

const messageOf = (root: ParsedPart): ParsedMessage => ({
  size: root.end - root.headerStart,
  startsWithBlank: false,
  root,
  limitsReached: [],
});

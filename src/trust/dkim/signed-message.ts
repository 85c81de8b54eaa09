import { latin1 } from '#base/bytes';
import { BodyHashes } from './body-hash.ts';
import type { SignedField, SignedHeader } from './signed-header.ts';

/** octets of a header that are looked at */
export const headerOctetsMax = 1_048_576;
/** fields of a header that are looked at, as `messageLimits.fieldsMax` */
export const headerFieldsMax = 10_000;

/**
 * Takes a message as it arrives, in any chunking: keeps the header, and hashes the body in the ways that were asked for
 * when the header was complete. Memory is the header's, whatever the body has.
 *
 * @source RFC 6376 §3.4, §3.7
 */
export class SignedMessage {
  readonly #onHeader: (header: SignedHeader, body: BodyHashes) => void;
  readonly #body = new BodyHashes();
  #pieces: string[] | null = [];
  #octets = 0;
  /** the last two octets before this piece */
  #tail = '\n';

  /** @param onHeader called once, at the end of the header or of the message */
  constructor(onHeader: (header: SignedHeader, body: BodyHashes) => void) {
    this.#onHeader = onHeader;
  }

  write(octets: Uint8Array): void {
    if (this.#pieces === null) {
      this.#body.write(octets);
      return;
    }
    const text = latin1(octets);
    const joined = this.#tail + text;
    // A line end behind a line end; the message itself begins behind one.
    const end = emptyLine.exec(joined);
    if (end === null) {
      this.#tail = joined.slice(-2);
      this.#keep(text);
      return;
    }
    const bodyStart = end.index + end[0].length - this.#tail.length;
    this.#keep(text.slice(0, bodyStart));
    this.#endHeader();
    if (bodyStart < octets.length) this.#body.write(octets.subarray(bodyStart));
  }

  /** The message is complete. Call once. */
  end(): void {
    if (this.#pieces !== null) this.#endHeader();
    this.#body.end();
  }

  #keep(text: string): void {
    this.#octets += text.length;
    if (this.#octets <= headerOctetsMax) this.#pieces?.push(text);
  }

  #endHeader(): void {
    const text = this.#octets <= headerOctetsMax ? (this.#pieces ?? []).join('') : null;
    this.#pieces = null;
    const fields = text === null ? null : splitHeader(text);
    this.#onHeader(
      {
        fields: fields ?? [],
        limit:
          text === null
            ? `the header has more than ${headerOctetsMax} octets`
            : fields === null
              ? `the header has more than ${headerFieldsMax} fields`
              : null,
      },
      this.#body,
    );
  }
}

const emptyLine = /\n\r?\n/;

/**
 * The fields of a header; null when there are too many.
 *
 * @param text an octet a character, up to the empty line
 */
const splitHeader = (text: string): SignedField[] | null => {
  const fields: SignedField[] = [];
  const lineEnd = /\r?\n(?![ \t])/g;
  let start = 0;
  while (start < text.length) {
    lineEnd.lastIndex = start;
    const found = lineEnd.exec(text);
    const end = found?.index ?? text.length;
    if (end > start) {
      if (fields.length >= headerFieldsMax) return null;
      const raw = text.slice(start, end);
      fields.push({ name: fieldName(raw), raw });
    }
    start = found === null ? text.length : end + found[0].length;
  }
  return fields;
};

const fieldName = (raw: string): string => {
  const colon = raw.indexOf(':');
  const name = colon < 0 ? '' : raw.slice(0, colon).replace(/[ \t]{1,100}$/, '');
  return /^[\x21-\x39\x3b-\x7e]+$/.test(name) ? name.toLowerCase() : '';
};

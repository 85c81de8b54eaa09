/** What a program writes to a pipe, as lines that mail has. */
export interface LineReader {
  /** the next text, one character an octet, every line ended by CRLF; nothing more comes after `ended` */
  read(octets: Uint8Array): string;
  /** what is left when the input ends */
  rest(): string;
  /** a line with a single dot was read */
  readonly ended: boolean;
}

/**
 * Line ends as CRLF: LF and CRLF both end a line, whatever the others end in, and a CR elsewhere becomes a blank, since no mail server
 * takes one (progress bars write them, and the reports of `cron` have progress bars). Linear, in pieces.
 *
 * @param dotEnds a line with a single dot ends the input; not so with `-i`
 */
export const createLineReader = (options: { dotEnds: boolean }): LineReader => {
  /** a CR whose next octet has not come */
  let isAfterCr = false;
  let isAtLineStart = true;
  /** the beginning of a line that may be a single dot */
  let heldDot = '';
  let ended = false;

  const take = (text: string): string => {
    const whole = heldDot + text;
    heldDot = '';
    if (whole === '') return '';
    if (options.dotEnds) {
      if (isAtLineStart && whole.startsWith('.\r\n')) {
        ended = true;
        return '';
      }
      const found = whole.indexOf('\r\n.\r\n');
      if (found >= 0) {
        ended = true;
        isAtLineStart = true;
        return whole.slice(0, found + 2);
      }
      // A dot at the end of this piece may become such a line with the next one.
      if (whole === '.' ? isAtLineStart : whole.endsWith('\r\n.')) {
        heldDot = '.';
        isAtLineStart = true;
        return whole.slice(0, -1);
      }
    }
    isAtLineStart = whole.endsWith('\r\n');
    return whole;
  };

  return {
    get ended() {
      return ended;
    },
    read: (octets) => {
      if (ended || octets.length === 0) return '';
      let text = Buffer.from(octets.buffer, octets.byteOffset, octets.byteLength).toString('latin1');
      if (isAfterCr) text = `\r${text}`;
      isAfterCr = text.endsWith('\r');
      if (isAfterCr) text = text.slice(0, -1);
      return take(
        text.includes('\r')
          ? text.replaceAll('\r\n', '\n').replaceAll('\r', ' ').replaceAll('\n', '\r\n')
          : text.replaceAll('\n', '\r\n'),
      );
    },
    rest: () => {
      if (ended) return '';
      const last = take(isAfterCr ? ' ' : '');
      isAfterCr = false;
      // Input that ends in a dot without its line end ends the same.
      if (heldDot !== '') return '';
      return isAtLineStart ? last : `${last}\r\n`;
    },
  };
};

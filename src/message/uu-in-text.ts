export interface TextWithFiles {
  /** without the encoded lines */
  text: string;
  /** names of the files that stood in it */
  fileNames: string[];
}

/** Files of one text that are named. */
const filesMax = 100;

/**
 * Takes uuencoded files out of a text: from a line `begin 644 name` to `end`, with nothing but lines of uuencode between
 * them. Anything else is text. Linear in the length.
 *
 * @source POSIX uuencode
 */
export const withoutUuencode = (text: string): TextWithFiles => {
  if (!begin.test(text)) return { text, fileNames: [] };
  const lines = text.split('\n');
  const kept: string[] = [];
  const fileNames: string[] = [];
  for (let at = 0; at < lines.length; at++) {
    const name = begin.exec(lines[at] ?? '')?.[1];
    let end = at + 1;
    if (name !== undefined) while (end < lines.length && isUuLine(lines[end] ?? '')) end++;
    if (name !== undefined && /^end\s*$/.test(lines[end] ?? '')) {
      if (fileNames.length < filesMax) fileNames.push(name.trim());
      at = end;
    } else {
      // None of the lines looked at begins a file: it would not be one of uuencode.
      for (; at < end - 1; at++) kept.push(lines[at] ?? '');
      kept.push(lines[at] ?? '');
    }
  }
  return { text: kept.join('\n'), fileNames };
};

const begin = /^begin [0-7]{3,4} ([^\r\n]{1,255})\r?$/m;

/** The first character says how many octets there are; blanks at the end may have been lost, one more may have been added. */
const isUuLine = (withCr: string): boolean => {
  const line = withCr.trimEnd();
  if (line === '' || line === '`') return true;
  if (line.length > 62 || !/^[ -`]+$/.test(line)) return false;
  const characters = Math.ceil(((line.charCodeAt(0) - 32) & 63) / 3) * 4;
  return line.length - 1 <= characters + 1;
};

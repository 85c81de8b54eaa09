const utf8 = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });
const plain = /^[\x20-\x7e]*$/;
// biome-ignore lint/suspicious/noControlCharactersInRegex: control characters are what it looks for
const control = /[\x00-\x08\x0a-\x1f\x7f-\x9f\u2028\u2029]/;

/**
 * The characters of a command line, or null when it is not UTF-8 or has control characters other than a tab.
 *
 * @source RFC 6531 §3.1, RFC 6856 §2
 */
export const commandText = (line: Buffer): string | null => {
  const text = line.toString('latin1');
  if (plain.test(text)) return text;
  try {
    const decoded = utf8.decode(line);
    return control.test(decoded) ? null : decoded;
  } catch {
    return null;
  }
};

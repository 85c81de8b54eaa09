/**
 * Whether a text is xtext: printable ASCII in which `+`, `=` and what is not printable stand as `+` and two upper-case hexadecimal digits.
 *
 * @source RFC 3461 §4
 */
export const isXtext = (text: string): boolean => /^(?:[!-*,-<>-~]|\+[0-9A-F]{2})*$/.test(text);

/**
 * The octets that an xtext stands for, one a character; null when it is none.
 *
 * @source RFC 3461 §4
 */
export const decodeXtext = (text: string): string | null =>
  isXtext(text)
    ? text.replace(/\+([0-9A-F]{2})/g, (_, hex: string) => String.fromCharCode(Number.parseInt(hex, 16)))
    : null;

/** @param text one octet a character. @source RFC 3461 §4 */
export const encodeXtext = (text: string): string =>
  text.replace(
    /[^!-*,-<>-~]/g,
    (octet) => `+${octet.charCodeAt(0).toString(16).toUpperCase().padStart(2, '0')}`,
  );

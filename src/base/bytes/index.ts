/** Octet strings: small helpers over `Uint8Array` that never copy more than they say. */
export { ascii, concat, equalBytes, fromHex, fromLatin1, hex, latin1, utf8 } from './bytes.ts';

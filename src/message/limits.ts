/**
 * What a message may cost, whatever a stranger puts into it. Beyond a limit the octets stay what they are and are served
 * whole; only the structure says less. `ParsedMessage.limitsReached` names what was cut.
 */
export const messageLimits = Object.freeze({
  /** parts open at once; a deeper multipart or message is a leaf of text */
  depthMax: 100,
  /** parts in all; further delimiters are text of the last part */
  partsMax: 10_000,
  /** header fields that HEADER.FIELDS can name; further ones belong to HEADER and HEADER.FIELDS.NOT */
  fieldsMax: 10_000,
  /** octets of one field's value that are looked at */
  fieldOctetsMax: 65_536,
  /** octets of all values together that are looked at */
  valuesOctetsMax: 2_097_152,
  /** values that are looked at: about four a part */
  valuesMax: 50_000,
  /** addresses in the ENVELOPE of a message and of those in it; further ones are left out */
  addressesMax: 10_000,
  /** octets of a boundary (RFC 2046 §5.1.1 allows 70); a longer one is none */
  boundaryOctetsMax: 8000,
  /** octets of all open boundaries; a multipart beyond is a leaf of text */
  openBoundaryOctetsMax: 32_768,
  /** octets at the start of a line that tell what it is: a field's name, a delimiter */
  lineOctetsMax: 8192,
});

export type MessageLimit = 'depth' | 'parts' | 'fields' | 'values';

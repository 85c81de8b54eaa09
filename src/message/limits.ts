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
  valuesOctetsMax: 4_194_304,
  /** octets of a boundary (RFC 2046 §5.1.1 allows 70); a longer one is none */
  boundaryOctetsMax: 512,
  /** octets at the start of a line that tell what it is: a field's name, a delimiter */
  lineOctetsMax: 1024,
});

export type MessageLimit = 'depth' | 'parts' | 'fields' | 'values';

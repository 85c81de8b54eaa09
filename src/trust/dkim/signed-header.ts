/** A header field as it came: an octet a character, without the line end behind it. */
export interface SignedField {
  /** in lower case; empty for a line that is no field */
  readonly name: string;
  readonly raw: string;
}

/** The header of a message, as signatures see it. */
export interface SignedHeader {
  /** from the first to the last; none where a limit was passed */
  readonly fields: readonly SignedField[];
  /** why nothing of it can be checked, or null */
  readonly limit: string | null;
}

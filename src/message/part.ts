import type { MessageLimit } from './limits.ts';

/** Text whose characters are octets, U+0000 to U+00FF (`#base/bytes` latin1): header values before any charset is applied. */
export type OctetText = string;

/** How a body is encoded, as far as we can decode it; `other` is a Content-Transfer-Encoding that nobody knows. */
export type TransferEncoding = 'identity' | 'base64' | 'quoted-printable' | 'uuencode' | 'other';

export interface HeaderField {
  /** lower case; empty where the lines are no field (no colon, or octets that no name has) */
  name: string;
  /** offsets in the message: from the name's first octet to after the field's last line end */
  start: number;
  end: number;
}

/** A part as offsets into the message: enough to answer every IMAP section. */
export interface StructurePart {
  kind: 'leaf' | 'multipart' | 'message';
  headerStart: number;
  /** where the empty line after the header starts; `bodyStart` when there is none */
  blankStart: number;
  bodyStart: number;
  /** after the last octet of the body; the line end before a delimiter belongs to the delimiter */
  end: number;
  /** line ends in the body; null where nobody asks: leaves other than text outside enclosed messages, multiparts there */
  lines: number | null;
  encoding: TransferEncoding;
  /** in order and without gaps from `headerStart`; empty but for messages (the root and what a `message` part encloses) */
  fields: readonly HeaderField[];
  /** a multipart's parts, one or more; the message that a `message` part encloses */
  children: readonly StructurePart[];
}

export interface MessageStructure {
  /** octets of the message */
  size: number;
  /** the first octet is a blank: a prefix's last field goes on with it */
  startsWithBlank: boolean;
  root: StructurePart;
}

export interface Parameter {
  name: OctetText;
  value: OctetText;
}

export interface MimeHeader {
  /** as received; `text` `plain` where nothing usable was */
  type: OctetText;
  subtype: OctetText;
  /** RFC 2231 continuations joined under `name` or, when a charset or percent signs are involved, `name*` */
  parameters: readonly Parameter[];
  id: OctetText | null;
  description: OctetText | null;
  /** as received, without comments; null when absent */
  transferEncoding: OctetText | null;
  md5: OctetText | null;
  disposition: { type: OctetText; parameters: readonly Parameter[] } | null;
  languages: readonly OctetText[];
  location: OctetText | null;
}

export interface FieldValue {
  name: string;
  /** everything after the colon, folded as received, without the last line end; at most `fieldOctetsMax` octets */
  value: OctetText;
}

export interface ParsedPart extends StructurePart {
  children: readonly ParsedPart[];
  mime: MimeHeader;
  /** the fields of ENVELOPE, References and what the caller asked to keep, in order; empty where `fields` is */
  values: readonly FieldValue[];
}

export interface ParsedMessage extends MessageStructure {
  root: ParsedPart;
  limitsReached: readonly MessageLimit[];
}

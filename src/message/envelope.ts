import { type AddressEntry, type Mailbox, parseAddressList } from '#message/address';
import { imapNstring, imapString, withEncodedWords } from './imap-string.ts';
import { messageLimits } from './limits.ts';
import { unfold } from './mime-header.ts';
import type { FieldValue, OctetText, ParsedMessage } from './part.ts';

/** Stands where a header names no local part or no domain: NIL means something else there. The words are Dovecot's. */
const missingMailbox = 'MISSING_MAILBOX';
const missingDomain = 'MISSING_DOMAIN';

/**
 * The envelope of a message as IMAP has it, parentheses included: octets that FETCH puts after `ENVELOPE `.
 *
 * Of several address fields of one name the lists are joined, so that no client shows another author than the server;
 * of other fields the last one counts (what a signer or relay adds stands before it).
 *
 * @source RFC 9051 §7.5.2 `ENVELOPE`; RFC 5322 §3.6
 */
export const envelope = (parsed: ParsedMessage): Uint8Array =>
  Buffer.from(envelopeText(parsed.root.values, new AddressBudget()), 'latin1');

/** How many addresses a message may still show. */
export class AddressBudget {
  #left = messageLimits.addressesMax;

  /** The addresses of a field, as many as are left, from the first on; what is beyond is not read. */
  take(value: OctetText): AddressEntry[] {
    if (this.#left <= 0) return [];
    const entries = parseAddressList(value, this.#left);
    for (const entry of entries) this.#left -= entry.kind === 'mailbox' ? 1 : 1 + entry.members.length;
    return entries;
  }
}

export const envelopeText = (values: readonly FieldValue[], budget: AddressBudget): OctetText => {
  const text = (name: string): OctetText | null => {
    const value = values.findLast((field) => field.name === name)?.value;
    return value === undefined ? null : unfold(value);
  };
  const list = (name: string): OctetText => {
    const entries: AddressEntry[] = [];
    for (const field of values) if (field.name === name) entries.push(...budget.take(field.value));
    return entries.length === 0 ? 'NIL' : `(${entries.map(addressEntry).join('')})`;
  };
  const from = list('from');
  const orFrom = (name: string): OctetText => {
    const addresses = list(name);
    return addresses === 'NIL' ? from : addresses;
  };
  const subject = text('subject');
  return `(${[
    imapNstring(text('date')),
    imapNstring(subject === null ? null : withEncodedWords(subject)),
    from,
    orFrom('sender'),
    orFrom('reply-to'),
    list('to'),
    list('cc'),
    list('bcc'),
    imapNstring(text('in-reply-to')),
    imapNstring(text('message-id')),
  ].join(' ')})`;
};

const addressEntry = (entry: AddressEntry): OctetText =>
  entry.kind === 'mailbox'
    ? mailbox(entry)
    : `(NIL NIL ${imapString(withEncodedWords(entry.name))} NIL)${entry.members.map(mailbox).join('')}(NIL NIL NIL NIL)`;

const mailbox = ({ name, route, localPart, domain }: Mailbox): OctetText =>
  `(${[
    name === null || name === '' ? 'NIL' : imapString(withEncodedWords(name)),
    imapNstring(route),
    imapString(localPart ?? missingMailbox),
    imapString(domain ?? missingDomain),
  ].join(' ')})`;

import { unfold } from '#message';
import { mailboxesOf, parseAddressList } from '#message/address';
import type { SignedHeader } from '#trust/dkim';

/** addresses in all From fields that are looked at */
const authorsMax = 100;

/** The domains of all addresses in From, of all From fields, in their order; an author without a domain is `''`. */
export const authorDomains = ({ fields }: SignedHeader): string[] => {
  const domains: string[] = [];
  for (const { name, raw } of fields) {
    if (name !== 'from' || domains.length >= authorsMax) continue;
    const text = unfold(raw.slice(raw.indexOf(':') + 1));
    for (const { domain } of mailboxesOf(parseAddressList(text, authorsMax)))
      domains.push(textOf(domain ?? ''));
  }
  return domains.slice(0, authorsMax);
};

const utf8 = new TextDecoder('utf-8', { fatal: true });

/** A name in UTF-8 octets as text; what is none stays as it is and is no domain. */
const textOf = (octets: string): string => {
  if (/^[\0-\x7f]*$/.test(octets)) return octets;
  try {
    return utf8.decode(Buffer.from(octets, 'latin1'));
  } catch {
    return octets;
  }
};

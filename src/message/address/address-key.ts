import { foldCase } from './case-folding.ts';
import { parseEnvelopeAddress, quoteLocalPart } from './envelope-address.ts';

/**
 * The key under which an address is looked up and is unique: domain in A-labels, lower case; local part NFC, case-folded,
 * needless quotes removed. Null when the text is no address that an account can have (a bare `Postmaster` neither).
 *
 * `addressKey(addressKey(a)) === addressKey(a)` for every `a` that has a key.
 *
 * @source WIRE "Addresses"; RFC 5321 §2.4 (the local part is ours to compare), RFC 6532 §3.1 (NFC)
 */
export const addressKey = (address: string): string | null => {
  const parsed = parseEnvelopeAddress(address);
  if (parsed === null || parsed.isTooLong || parsed.domain === '' || parsed.address !== address) return null;
  return `${quoteLocalPart(foldCase(parsed.localPart))}@${parsed.asciiDomain}`;
};

/** The local part's share of `addressKey`, from what the local part means (without quotes). */
export const localPartKey = (localPart: string): string => quoteLocalPart(foldCase(localPart));

export interface Subaddress {
  user: string;
  detail: string;
}

/**
 * Splits `user+detail` at the first of the separators in it; null when there is none, or nothing before it.
 *
 * A caller looks for the whole address first: a literal one wins over the split.
 *
 * @param localPart what the local part means, without quotes
 * @param separators each one character or more, as the domain is set (`['+']` by default)
 * @source RFC 5233 §4
 */
export const splitSubaddress = (
  localPart: string,
  separators: readonly string[] = ['+'],
): Subaddress | null => {
  let at = -1;
  let length = 0;
  for (const separator of separators) {
    if (separator === '') continue;
    // From 1: a separator in front leaves no user.
    const found = localPart.indexOf(separator, 1);
    if (found > 0 && (at < 0 || found < at || (found === at && separator.length > length))) {
      at = found;
      length = separator.length;
    }
  }
  return at < 0 ? null : { user: localPart.slice(0, at), detail: localPart.slice(at + length) };
};

import { latin1 } from '#base/bytes';
import { parseResults } from '#trust/results';
import { systemFlags } from './flags.ts';

/**
 * The author's domain for which DMARC spoke when this copy came, in A-labels; null where none did, or nobody looked.
 *
 * @param prefix our trace fields; what stands above our `Received` may be an owner's own and says nothing
 * @source RFC 8601 §2.7, RFC 9989
 */
export const vouchedAuthor = (prefix: Uint8Array): string | null => {
  const text = latin1(prefix);
  const [, value] = passes.exec(text.slice(Math.max(0, text.indexOf('\r\nReceived: ')))) ?? [];
  if (value === undefined) return null;
  const result = parseResults(value)?.results.find(({ method }) => method === 'dmarc');
  if (result?.result !== 'pass') return null;
  const domain = result.properties.find(({ type, name }) => type === 'header' && name === 'from')?.value;
  return domain === undefined || domain === '' ? null : domain.toLowerCase();
};

const passes = /^Authentication-Results: ([^;\r\n]*; dmarc=pass[^\r\n]*)\r$/m;

/**
 * `news.example.org` as `org.example.news.`: a domain and all below it stand together, from itself to before itself with `/` for its
 * last dot.
 */
export const reversedDomain = (domain: string): string => `${domain.split('.').toReversed().join('.')}.`;

/** Copies that one question about kept mail looks at. */
export const keptMailMax = 1_000;

/** The flags that say whether mail was kept: whoever left it unread, or marked it for deletion, did not keep it. */
export const isKept = (flags: number): boolean => (flags & seen) !== 0 && (flags & deleted) === 0;

/** Mailboxes whose mail is not kept. */
export const isForgettable = (role: string | null): boolean => role === 'Junk' || role === 'Trash';

const seen = 1 << systemFlags.indexOf('\\Seen');
const deleted = 1 << systemFlags.indexOf('\\Deleted');

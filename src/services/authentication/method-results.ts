import type { InboundTransaction } from '#protocols/smtp';
import type { ArcResult } from '#trust/arc';
import type { DkimOutcome } from '#trust/dkim';
import type { DmarcResult } from '#trust/dmarc';
import type { MethodResult, ResultProperty } from '#trust/results';
import type { SpfResult } from '#trust/spf';
import type { ReverseName } from './reverse-name.ts';

const property = (type: string, name: string, value: string): ResultProperty => ({ type, name, value });

/** @source RFC 8601 §2.7.3 */
export const reverseResult = ({ result, reason, name }: ReverseName, address: string): MethodResult => ({
  method: 'iprev',
  result,
  reason: reason ?? name,
  properties: [property('policy', 'iprev', address)],
});

/** The domain alone: a receipt shows results to others, and the sender's address only when that is asked for. @source RFC 8601 §2.7.2 */
export const spfResult = (
  { result, reason, identity }: SpfResult,
  { mailFrom, helo }: Pick<InboundTransaction, 'mailFrom' | 'helo'>,
): MethodResult => ({
  method: 'spf',
  result,
  reason,
  properties: [
    identity === 'mailfrom'
      ? property('smtp', 'mailfrom', mailFrom.slice(mailFrom.lastIndexOf('@') + 1))
      : property('smtp', 'helo', helo),
  ],
});

/** Signatures that hold first, so that none of them is left out where there are many. @source RFC 8601 §2.7.1, RFC 6008 */
export const dkimResults = ({ results, uncheckedCount }: DkimOutcome): MethodResult[] => {
  const holds = results.filter(({ result }) => result === 'pass');
  const others = results.filter(({ result }) => result !== 'pass');
  const told = [...holds, ...others].map(
    (each): MethodResult => ({
      method: 'dkim',
      result: each.result,
      reason: each.reason ?? (each.isTesting ? 'the domain says that it is only testing (t=y)' : null),
      properties: [
        property('header', 'd', each.domain),
        property('header', 's', each.selector),
        ...(each.identity === null || each.identity === `@${each.domain}`
          ? []
          : [property('header', 'i', Buffer.from(each.identity, 'latin1').toString('utf8'))]),
        property('header', 'a', each.algorithm),
        property('header', 'b', each.signaturePrefix),
      ],
    }),
  );
  if (uncheckedCount > 0)
    told.push({
      method: 'dkim',
      result: 'policy',
      reason: `${uncheckedCount} more signatures were not checked`,
      properties: [],
    });
  return told.length > 0 ? told : [{ method: 'dkim', result: 'none', reason: null, properties: [] }];
};

/** @param whyTaken why a message is not refused that should have been @source RFC 8601 §2.7, RFC 9989 §5.3 */
export const dmarcResult = (dmarc: DmarcResult, whyTaken: string | null): MethodResult => ({
  method: 'dmarc',
  result: dmarc.result,
  reason: whyTaken === null ? dmarc.reason : `${dmarc.reason ?? ''}; not refused, since ${whyTaken}`,
  properties: [
    property('header', 'from', dmarc.authorDomain),
    ...(dmarc.policy === null ? [] : [property('policy', 'dmarc', dmarc.policy)]),
  ],
});

/**
 * RFC 8617 §10.1 registers none, pass and fail. Departs from it with `temperror`, a word of RFC 8601 §2.7, where a key could not be looked
 * up: a chain that could not be checked is neither broken nor absent, and no reader takes an unknown word for `pass`.
 *
 * @source RFC 8617 §10.1
 */
export const arcResult = ({ result, reason, sealers }: ArcResult): MethodResult => ({
  method: 'arc',
  result,
  reason:
    reason ??
    (sealers.length === 0 ? null : `sealed by ${sealers.map(({ domain }) => domain).join(', then ')}`),
  properties: [],
});

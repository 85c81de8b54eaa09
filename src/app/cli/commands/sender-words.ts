import type { MethodResult } from '#trust/results';
import { parseResults } from '#trust/results';
import type { CommandContext } from '../command.ts';

type Line = readonly [field: string, words: string];

/** What of it is shown to be true, what is not, and what nobody could find out. */
const fieldOf = (
  result: string,
): 'sender.field.proven' | 'sender.field.not-proven' | 'sender.field.unknown' =>
  result === 'pass'
    ? 'sender.field.proven'
    : result === 'temperror'
      ? 'sender.field.unknown'
      : 'sender.field.not-proven';

const methods = {
  spf: ['pass', 'fail', 'softfail', 'neutral', 'none', 'permerror', 'temperror'],
  dkim: ['pass', 'fail', 'policy', 'none', 'permerror', 'temperror'],
  dmarc: ['pass', 'fail', 'none', 'permerror', 'temperror'],
  iprev: ['pass', 'fail', 'permerror', 'temperror'],
  arc: ['pass', 'fail', 'temperror'],
} as const;

const order = ['dmarc', 'dkim', 'spf', 'arc', 'iprev'];

/** Who sent it, in plain words: lines of `fengni show`, the proven ones first. */
export const senderLines = (context: CommandContext, results: readonly string[]): Line[] => {
  const found = results.flatMap((value) => parseResults(value)?.results ?? []);
  if (found.length === 0) return [[context.say('sender.field.unknown'), context.say('sender.not-checked')]];
  const rank = ({ method, result }: MethodResult): number =>
    ['sender.field.proven', 'sender.field.not-proven', 'sender.field.unknown'].indexOf(fieldOf(result)) *
      order.length +
    Math.max(0, order.indexOf(method));
  return found
    .toSorted((a, b) => rank(a) - rank(b))
    .map((each) => [context.say(fieldOf(each.result)), resultWords(context, each)]);
};

/** One method's result in a sentence; as it stands where this program has no words for it. */
const resultWords = (context: CommandContext, each: MethodResult): string => {
  const { method, result, reason } = each;
  const property = (type: string, name: string): string | undefined =>
    each.properties.find((own) => own.type === type && own.name === name)?.value;
  if (!isKnown(method, result)) return `${method}=${result}${reason === null ? '' : ` (${reason})`}`;
  const mailFrom = property('smtp', 'mailfrom');
  const domain =
    property('header', 'd') ??
    property('header', 'from') ??
    (mailFrom === undefined ? property('smtp', 'helo') : mailFrom.slice(mailFrom.lastIndexOf('@') + 1)) ??
    '-';
  const policy = property('policy', 'dmarc');
  const words = {
    domain,
    selector: property('header', 's') ?? '-',
    name: reason ?? '-',
    policy: context.say(
      policy === 'reject' || policy === 'quarantine'
        ? `sender.dmarc-policy.${policy}`
        : 'sender.dmarc-policy.none',
    ),
  };
  const text = context.say(`sender.${method}.${result}` as 'sender.spf.pass', words);
  // The name is its reason, and in the sentence already.
  const isSaid = method === 'iprev' && result !== 'temperror';
  return reason === null || isSaid ? text : context.say('sender.reason', { text, reason });
};

const isKnown = (method: string, result: string): boolean =>
  Object.hasOwn(methods, method) &&
  (methods[method as keyof typeof methods] as readonly string[]).includes(result);

import { peerKey, type TraceEvent, type TraceTally } from '#store/trace';

/** Something that was refused, as the role that refused it tells it. */
export interface Attempt
  extends Omit<TraceEvent, 'seq' | 'kind' | 'recipients' | 'key' | 'refusal'>,
    Omit<NonNullable<TraceEvent['refusal']>, 'dayCount'> {
  /** forward-paths that the reply was about */
  recipients: string[];
}

/** Refusals that are counted and not told one by one. */
export type AttemptCount = Omit<TraceTally, 'day' | 'dayCount'>;

/** Under what counts are one. */
export const countKey = ({ network, reason, code, enhanced }: AttemptCount): string =>
  `${network} ${reason} ${code} ${enhanced}`;

/** Both together, under the words of the first. */
export const addedCount = (
  { network, reason, code, enhanced, count, firstMs, lastMs }: AttemptCount,
  before: AttemptCount | undefined,
): AttemptCount => ({
  network,
  reason,
  code,
  enhanced,
  count: count + (before?.count ?? 0),
  firstMs: Math.min(firstMs, before?.firstMs ?? firstMs),
  lastMs: Math.max(lastMs, before?.lastMs ?? lastMs),
});

/** What a role hands to the writer at a time. */
export interface AttemptReport {
  attempts: readonly Attempt[];
  counts: readonly AttemptCount[];
}

/** forward-paths that are kept of one attempt */
export const recipientsMax = 20;

const stages: ReadonlySet<string> = new Set(['connect', 'command', 'mail', 'rcpt', 'data']);

/**
 * An attempt whose every part has a known form and length, whatever was handed in: strangers chose the words, and the role that talks to
 * them is the one most likely to be taken over.
 */
export const boundedAttempt = (given: Attempt): Attempt => {
  const word = (value: unknown, max: number): string =>
    typeof value === 'string'
      ? value
          .toWellFormed()
          .replace(/\p{Cc}/gu, '?')
          .slice(0, max)
      : '';
  const orNull = (value: unknown, max: number): string | null =>
    typeof value === 'string' ? word(value, max) : null;
  const whole = (value: unknown, max: number): number =>
    typeof value === 'number' && Number.isSafeInteger(value) && value >= 0 ? Math.min(value, max) : 0;
  const recipients = (Array.isArray(given.recipients) ? given.recipients : [])
    .slice(0, recipientsMax)
    .map((each) => word(each, 320));
  return {
    timeMs: whole(given.timeMs, 8.64e15),
    session: like(given.session, /^[a-z0-9-]{1,40}$/) ?? '-',
    stage: stages.has(given.stage) ? given.stage : 'command',
    ...boundedReply(given),
    text: word(given.text, 490),
    peer: typeof given.peer === 'string' && peerKey(given.peer) !== null ? given.peer : '',
    port: whole(given.port, 65_535),
    reverse: orNull(given.reverse, 255),
    helo: orNull(given.helo, 255),
    protocol: like(given.protocol, /^[A-Z0-9]{0,16}$/) ?? '',
    tls: orNull(given.tls, 16),
    mailFrom: orNull(given.mailFrom, 320),
    recipients,
    recipientCount: Math.max(recipients.length, whole(given.recipientCount, 1e9)),
    id: like(given.id, /^[a-z2-7]{26}$/),
    sha256Hex: like(given.sha256Hex, /^[0-9a-f]{64}$/),
    sizeBytes: typeof given.sizeBytes === 'number' ? whole(given.sizeBytes, Number.MAX_SAFE_INTEGER) : null,
    messageId: orNull(given.messageId, 330),
    author: orNull(given.author, 330),
  };
};

const like = (value: unknown, form: RegExp): string | null =>
  typeof value === 'string' && form.test(value) ? value : null;

/** The parts of a reply, each of a known form. */
export const boundedReply = (given: {
  code: number;
  enhanced: string;
  reason: string;
}): { code: number; enhanced: string; reason: string } => ({
  code: Number.isInteger(given.code) && given.code >= 400 && given.code <= 599 ? given.code : 451,
  enhanced: like(given.enhanced, /^[45]\.\d{1,3}\.\d{1,3}$/) ?? '',
  reason: like(given.reason, /^[a-z0-9-]{1,40}$/) ?? 'other',
});

/** What attempts are counted under: an IPv4 address, the first 64 bits of an IPv6 address; empty without an address. */
export const networkOf = (peer: string): string => {
  const key = peerKey(peer);
  return key === null ? '' : networkOfKey(key);
};

const mapped = '00000000000000000000ffff';

/** The same of a key of `peerKey`. */
export const networkOfKey = (key: string): string => {
  if (key === '') return '';
  if (key.startsWith(mapped))
    return [24, 26, 28, 30].map((at) => Number.parseInt(key.slice(at, at + 2), 16)).join('.');
  const groups = [0, 4, 8, 12].map((at) => Number.parseInt(key.slice(at, at + 4), 16).toString(16));
  return `${groups.join(':')}::/64`;
};

/** About how many octets an attempt takes in the database. */
export const attemptBytes = (attempt: Attempt): number => {
  let bytes = 300;
  for (const word of [
    attempt.text,
    attempt.helo,
    attempt.reverse,
    attempt.mailFrom,
    attempt.messageId,
    attempt.author,
    ...attempt.recipients,
  ])
    bytes += word === null ? 0 : Buffer.byteLength(word);
  return bytes;
};

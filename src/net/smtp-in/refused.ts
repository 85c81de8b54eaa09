import type { Clock } from '#base/clock';
import type { RefusedAttempt, RefusedMessage } from '#protocols/smtp';
import type { Attempt } from '#services/trace';

/** Counters that go with many refusals and tell none from another. */
const general: ReadonlySet<string> = new Set([
  'smtp-error',
  'smtp-message-accepted',
  'smtp-message-refused',
  'smtp-recipient-refused',
  'smtp-sender-refused',
  'smtp-nul',
  'smtp-starttls',
]);

/** The word for the rule behind a counter; null for one that says no rule. */
export const reasonOf = (counter: string): string | null =>
  general.has(counter) ? null : counter.replace(/^smtp-/, '');

/** Names of connections, each once on a machine as long as its clock goes on. */
export const createSessionNames = (clock: Clock): (() => string) => {
  const began = Math.floor(clock.nowMs()).toString(36);
  let count = 0;
  return () => {
    count += 1;
    return `${began}-${process.pid.toString(36)}-${count.toString(36)}`;
  };
};

/** What a reply that refuses says, and to whom. */
export const attemptOf = (of: {
  timeMs: number;
  session: string;
  /** whole lines */
  text: string;
  reason: string;
  /** null: before the first command */
  about: RefusedAttempt | null;
  /** who is connected */
  peer: { address: string; port: number };
  message: RefusedMessage | null;
}): Attempt => {
  const { about, message } = of;
  const line = of.text.slice(0, Math.max(0, of.text.indexOf('\r\n')));
  const [, code = '451', enhanced = '', text = ''] =
    /^(\d{3})[ -](?:([45]\.\d{1,3}\.\d{1,3}) )?(.*)$/.exec(line) ?? [];
  const peer = about?.peer ?? { ...of.peer, name: null };
  const recipients = about?.recipients ?? [];
  return {
    timeMs: of.timeMs,
    session: of.session,
    stage: about?.stage ?? 'connect',
    code: Number(code),
    enhanced,
    text,
    reason: of.reason === '' ? 'protocol' : of.reason,
    peer: peer.address,
    port: peer.port,
    reverse: message?.reverse ?? peer.name,
    helo: about?.helo ?? null,
    protocol: about?.protocol ?? '',
    tls: about?.tls?.version ?? null,
    mailFrom: about?.mailFrom ?? null,
    recipients: [...recipients],
    recipientCount: recipients.length,
    id: message?.id ?? null,
    sha256Hex: message?.sha256Hex ?? null,
    sizeBytes: message?.sizeBytes ?? null,
    messageId: message?.messageId ?? null,
    author: message?.author ?? null,
  };
};

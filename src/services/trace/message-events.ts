import type { EmailRow, MailIndex } from '#store/index';
import type { TraceEvent, TraceRecipient } from '#store/trace';
import { envelopeFields } from './envelope-fields.ts';

/** What the index has of a copy that a search needs. */
export type TracedEmail = Pick<EmailRow, 'emailSeq' | 'account' | 'address' | 'prefix' | 'key'> & {
  message: Pick<EmailRow['message'], 'seq' | 'id' | 'kind' | 'timeMs' | 'sha256Hex' | 'sizeBytes' | 'key'>;
  /** ENVELOPE as the index has it */
  envelope: Uint8Array;
};

/** Copies as the index has them, with what their messages show of themselves. */
export const tracedEmails = (index: MailIndex, emailSeqs: readonly number[]): TracedEmail[] => {
  const texts = index.texts(emailSeqs);
  return index.emails(emailSeqs).flatMap((email) => {
    const envelope = texts.get(email.emailSeq)?.envelope;
    return envelope === undefined ? [] : [{ ...email, envelope }];
  });
};

/** A message as it is traced, by one of its copies and without any: those come by `recipientOf`. */
export const messageEvent = (email: TracedEmail): TraceEvent => {
  const { message } = email;
  const { author, messageId } = envelopeFields(email.envelope);
  return {
    seq: message.seq,
    timeMs: message.timeMs,
    kind: message.kind,
    id: message.id,
    sha256Hex: message.sha256Hex,
    sizeBytes: message.sizeBytes,
    author,
    messageId,
    ...prefixFields(email.prefix),
    recipients: [],
    recipientCount: 0,
    key: message.key,
    refusal: null,
  };
};

export const recipientOf = ({
  account,
  address,
  emailSeq,
  key,
}: Omit<TracedEmail, 'message' | 'envelope'>): TraceRecipient => ({
  address,
  account,
  emailSeq,
  key,
});

type PrefixFields = Pick<TraceEvent, 'mailFrom' | 'peer' | 'port' | 'reverse' | 'helo' | 'protocol' | 'tls'>;

/** octets of a prefix that are looked at (FORMATS §4: 8 kB at most) */
const prefixBytesMax = 8_192;

/**
 * What the trace fields of a copy say of its way here. They are ours: nobody else writes them (FORMATS §4 “What a reader gets”).
 */
export const prefixFields = (prefix: Uint8Array): PrefixFields => {
  const lines = Buffer.from(prefix.subarray(0, prefixBytesMax)).toString('utf8').split('\r\n');
  const field = (name: string): string | null =>
    lines.find((line) => line.startsWith(`${name}: `))?.slice(name.length + 2) ?? null;
  const received = field('Received') ?? '';
  const [, helo = null, origin = ''] = /^from (\S+) \(([^()]*)\)/.exec(received) ?? [];
  const [, name = null, address = ''] =
    /^(?:(\S+) )?(?:\[(?:IPv6:)?([0-9a-fA-F:.]+)\]|local socket|unknown)$/.exec(origin) ?? [];
  const [, protocol = '', tls = null] =
    / with ([A-Z0-9]+)(?: \(using (\S+) with cipher)?/.exec(received) ?? [];
  return {
    mailFrom: /^<(.*)>$/.exec(field('Return-Path') ?? '')?.[1] ?? null,
    peer: address,
    port: 0,
    reverse: name,
    helo,
    protocol,
    tls,
  };
};

import { isTextKey } from '#base/text';
import type { ErasedMessage } from '#services/integrity';
import type { Fate, Traced, TracedRecipient } from '#services/trace';
import type { TraceEvent, TraceTally } from '#store/trace';
import type { CommandContext } from '../command.ts';
import { fieldLines } from './field-lines.ts';

/** One event in one line. */
export const lineOf = (context: CommandContext, traced: Traced): string => {
  const { event } = traced;
  const words = {
    time: localTime(event.timeMs),
    from: path(event.mailFrom ?? event.author),
    to: recipientsLine(context, traced),
    peer: event.peer === '' ? '' : context.say('trace.line.peer', { peer: event.peer }),
  };
  return event.refusal === null
    ? context.say('trace.line.taken', { ...words, id: event.id ?? '-' })
    : context.say('trace.line.refused', { ...words, reply: replyOf(event.refusal) });
};

/** All that is known of one event, in plain words. */
export const storyOf = (context: CommandContext, { event, recipients }: Traced): string[] => {
  const { refusal } = event;
  const time = localTime(event.timeMs);
  const title =
    refusal === null
      ? context.say('trace.story.taken', { time, id: event.id ?? '-' })
      : context.say('trace.story.refused', { time });
  const field = (key: FieldKey, value: string | null): (readonly [string, string])[] =>
    value === null || value === '' ? [] : [[context.say(key), shown(value)]];
  return [
    title,
    ...fieldLines([
      ...field('trace.field.peer', peerOf(context, event)),
      ...field('trace.field.helo', event.helo),
      ...field('trace.field.way', wayOf(context, event)),
      ...field('trace.field.sender', event.mailFrom === null ? null : path(event.mailFrom)),
      ...field('trace.field.author', event.author),
      ...recipients.flatMap((each) => field('trace.field.recipient', recipientLine(context, each))),
      ...field('trace.field.message-id', event.messageId === null ? null : `<${event.messageId}>`),
      ...field(
        'trace.field.size',
        event.sizeBytes === null ? null : context.say('show.octets', { count: event.sizeBytes }),
      ),
      ...field('trace.field.sha256', event.sha256Hex),
      ...(refusal === null
        ? field('trace.field.next', context.say('trace.next.taken', { id: event.id ?? '-' }))
        : [
            ...field('trace.field.id', event.id),
            ...field('trace.field.stage', context.say(`trace.stage.${refusal.stage}`)),
            ...field('trace.field.reply', replyOf(refusal)),
            ...field('trace.field.reason', reasonOf(context, refusal.reason)),
            ...field('trace.field.next', context.say('trace.next.refused', { session: refusal.session })),
          ]),
    ]),
  ];
};

type FieldKey =
  | 'trace.field.peer'
  | 'trace.field.helo'
  | 'trace.field.way'
  | 'trace.field.sender'
  | 'trace.field.author'
  | 'trace.field.recipient'
  | 'trace.field.message-id'
  | 'trace.field.size'
  | 'trace.field.sha256'
  | 'trace.field.id'
  | 'trace.field.stage'
  | 'trace.field.reply'
  | 'trace.field.reason'
  | 'trace.field.next';

/** What is left of an erased message. */
export const erasedLines = (
  context: CommandContext,
  { id, timeMs, leafIndex, generation }: ErasedMessage & { id: string },
  isVerbose: boolean,
): string[] => {
  const time = localTime(timeMs);
  return [
    isVerbose
      ? context.say('trace.story.erased', { id, time, leaf: leafIndex, generation })
      : context.say('trace.line.erased', { id, time }),
  ];
};

export const tallyLine = (context: CommandContext, tally: TraceTally): string =>
  context.say('trace.line.tally', {
    day: new Date(tally.day * 86_400_000).toISOString().slice(0, 10),
    network: tally.network === '' ? context.say('trace.several-peers') : tally.network,
    count: tally.count,
    reply: `${tally.code} ${tally.enhanced} (${tally.reason})`,
  });

/** An instant in the time zone of the one who asks, with its offset. */
const localTime = (timeMs: number): string => {
  const minutes = -new Date(timeMs).getTimezoneOffset();
  const local = new Date(timeMs + minutes * 60_000)
    .toISOString()
    .replace('T', ' ')
    .replace(/\.\d+Z$/, '');
  const two = (value: number): string => String(Math.floor(value)).padStart(2, '0');
  const size = Math.abs(minutes);
  return `${local} ${minutes < 0 ? '-' : '+'}${two(size / 60)}:${two(size % 60)}`;
};

const path = (address: string | null): string => (address === null ? '-' : shown(`<${address}>`));

const replyOf = (refusal: NonNullable<TraceEvent['refusal']>): string =>
  shown([String(refusal.code), refusal.enhanced, refusal.text].filter((word) => word !== '').join(' '));

const reasonOf = (context: CommandContext, reason: string): string => {
  const key = `trace.reason.${reason}`;
  // A rule that has no words of its own has a reply that says it.
  return isTextKey(key)
    ? context.say(key as 'trace.reason.other')
    : `${context.say('trace.reason.other')} (${reason})`;
};

const peerOf = (context: CommandContext, { peer, reverse, protocol }: TraceEvent): string => {
  if (peer === '') return protocol === '' ? '' : context.say('trace.peer.local');
  return reverse === null ? peer : context.say('trace.peer.named', { peer, name: reverse });
};

const wayOf = (context: CommandContext, { protocol, tls, kind }: TraceEvent): string => {
  if (protocol === '') return kind === 'added' ? context.say('trace.way.imap') : '';
  if (protocol === 'LOCAL') return protocol;
  return tls === null
    ? context.say('trace.way.clear', { protocol })
    : context.say('trace.way.tls', { protocol, tls });
};

const recipientsLine = (context: CommandContext, { event, recipients, recipientCount }: Traced): string => {
  const [first] = recipients;
  if (first === undefined) return event.recipients.length === 0 ? '-' : context.say('trace.nobody');
  const fates = first.fates.map((fate) => shortFate(context, fate));
  const words = `${path(first.address === '' ? null : first.address)}${fates.length === 0 ? '' : ` [${fates.join(', ')}]`}`;
  const more = (recipientCount ?? recipients.length) - 1;
  return more > 0 ? context.say('trace.more', { first: words, count: more }) : words;
};

const recipientLine = (context: CommandContext, { address, fates }: TracedRecipient): string =>
  [address === '' ? '' : path(address), ...fates.map((fate) => longFate(context, fate))]
    .filter((word) => word !== '')
    .join(', ');

const shortFate = (context: CommandContext, fate: Fate): string =>
  fate.kind === 'placed'
    ? context.say('trace.fate.placed', { mailbox: shown(fate.mailbox) })
    : context.say(`trace.fate.${fate.kind}`);

const longFate = (context: CommandContext, fate: Fate): string => {
  switch (fate.kind) {
    case 'placed':
      return context.say('trace.fate.placed.long', { mailbox: fate.mailbox, uid: fate.uid });
    case 'deleted':
      return context.say('trace.fate.deleted.long', { time: localTime(fate.timeMs) });
    default:
      return context.say(`trace.fate.${fate.kind}.long`);
  }
};

/** Strangers chose the words: nothing of them moves a cursor or turns a line around. */
const shown = (text: string): string => text.replace(/[\p{Cc}\p{Cf}\p{Zl}\p{Zp}]/gu, '\u{fffd}');

import { openReadOnly, type ReadOnlyData } from '#app/connect';
import { say } from '#base/text';
import { evidenceValue, type Journey, journeyOf } from '#services/integrity';
import { createAddresses } from '#services/writer';
import { nodeIo } from '#store/durable';
import type { Command, CommandContext } from '../command.ts';
import { fieldLines, shownTime } from './field-lines.ts';
import { absentMessage, ofMessage, readMessageId, unknownMessage } from './message-id.ts';
import { senderLines } from './sender-words.ts';
import { clientCertificate, peer, way } from './session-words.ts';

const shard = 0;

/** `fengni show ID` */
export const command: Command = {
  usage: (language) => say(language, 'show.usage'),
  options: {
    recipients: {
      type: 'boolean',
      text: { en: say('en', 'show.option.recipients'), zh: say('zh', 'show.option.recipients') },
    },
    as: {
      type: 'string',
      value: 'ADDRESS',
      text: { en: say('en', 'show.option.as'), zh: say('zh', 'show.option.as') },
    },
  },
  run: async (context) => {
    const id = readMessageId(context.arg(0, 'ID'));
    context.argsMax(1);
    const data = await openReadOnly(await context.dataFolder());
    try {
      const journey = await ofMessage(data, shard, id, () => journeyOf({ io: nodeIo, shard, ...data }, id));
      if (journey === null) throw await absentMessage(data, shard, id);
      const view = viewOf(context, data, journey);
      tell(context, journey, view);
      if (context.json) context.printJson(asJson(journey, view));
      return 0;
    } finally {
      data.close();
    }
  },
};

/** What the one who asks is told of recipients: nothing but their number, all (`--recipients`), or those that `--as` is. */
interface View {
  /** null: it would tell that there are others */
  copies: number | null;
  recipients: readonly string[];
}

/**
 * Recipients are for the administrator who runs this, and asks for them; a recipient learns of itself alone, neither of others nor of
 * their number: one of them may have been a Bcc.
 *
 * @throws {FengniError} `message-unknown` for somebody who has no copy, as for an id that is none
 */
const viewOf = (context: CommandContext, { directory }: ReadOnlyData, { message, copies }: Journey): View => {
  const as = context.text('as');
  const addresses = (of: Journey['copies']): string[] =>
    of.map(({ address }) => address).filter((address) => address !== '');
  if (as === undefined)
    return { copies: copies.length, recipients: context.flag('recipients') ? addresses(copies) : [] };
  const verdict = createAddresses(directory).resolve(as);
  const accounts = verdict.kind === 'accepted' ? verdict.recipients.map(({ account }) => account) : [];
  const own = copies.filter(({ account }) => accounts.includes(account));
  if (own.length === 0) throw unknownMessage(message.id);
  return { copies: null, recipients: addresses(own) };
};

const tell = (context: CommandContext, journey: Journey, view: View): void => {
  const { message, session, envelope, head } = journey;
  const parameters = envelope.flatMap(([name, value]) => (name === 'parameter' ? [value] : []));
  const isAdded = message.kind === 'added';
  const from = evidenceValue(envelope, 'from');
  const client = clientCertificate(context, session);
  context.print(context.say('show.title', { id: message.id }));
  for (const line of fieldLines([
    [context.say(isAdded ? 'show.field.added' : 'show.field.received'), shownTime(message.timeMs)],
    [context.say('show.field.peer'), peer(context, session)],
    [context.say('show.field.way'), way(context, session)],
    ...(client === null ? [] : [[context.say('show.field.client'), client] as const]),
    ...(isAdded || from === null
      ? []
      : [
          [context.say('show.field.sender'), from === '<>' ? context.say('show.sender.none') : from] as const,
        ]),
    ...(parameters.length === 0
      ? []
      : [[context.say('show.field.parameters'), parameters.join(' ')] as const]),
    ...(isAdded ? [] : senderLines(context, resultsOf(journey))),
    ...claims(context, journey),
    [context.say('show.field.size'), context.say('show.octets', { count: message.sizeBytes })],
    [context.say('show.field.sha256'), message.sha256Hex],
    ...(view.copies === null ? [] : [[context.say('show.field.copies'), String(view.copies)] as const]),
    ...view.recipients.map((address) => [context.say('show.field.recipient'), address] as const),
    [
      context.say('show.field.place'),
      context.say('show.place', {
        seq: message.seq,
        leaf: message.leafIndex,
        generation: journey.generation,
      }),
    ],
    [
      context.say('show.field.sealed'),
      head === null ? context.say('show.sealed.not-yet') : context.say('show.sealed', head),
    ],
    [context.say('show.field.witness'), context.say('show.unwitnessed')],
  ]))
    context.print(line);
};

/** The way that the message claims to have come before; nobody proved it. Whom it was for stays untold: `show` tells no recipients. */
const claims = (context: CommandContext, { claimedHops }: Journey): (readonly [string, string])[] => {
  const name = context.say('show.field.claims');
  if (claimedHops === null) return [[name, context.say('show.claims.unreadable')]];
  if (claimedHops.length === 0) return [];
  return [
    [name, context.say('show.claims', { count: claimedHops.length })],
    ...claimedHops.map((hop, index) => {
      const named = (value: string | null, comment: string | null): string =>
        comment === null ? (value ?? '-') : `${value ?? '-'} (${comment})`;
      const words = {
        time: hop.date === null ? '-' : shownTime(hop.date.epochMs),
        from: named(hop.from, hop.fromComment),
        by: named(hop.by, hop.byComment),
        protocol: hop.with ?? '-',
      };
      return [
        context.say('show.field.claim', { number: index + 1 }),
        context.say('show.claim', words),
      ] as const;
    }),
  ];
};

const resultsOf = ({ authentication }: Journey): string[] =>
  authentication.flatMap(([name, value]) => (name === 'results' ? [value] : []));

const asJson = (journey: Journey, view: View): unknown => {
  const { message, head } = journey;
  return {
    id: message.id,
    kind: message.kind,
    timeMs: message.timeMs,
    seq: message.seq,
    leafIndex: message.leafIndex,
    generation: journey.generation,
    sizeBytes: message.sizeBytes,
    sha256: message.sha256Hex,
    session: {
      ...Object.fromEntries(journey.session.filter(([name]) => name !== 'via')),
      via: journey.session.flatMap(([name, value]) => (name === 'via' ? [value] : [])),
    },
    parameters: journey.envelope.flatMap(([name, value]) => (name === 'parameter' ? [value] : [])),
    sender: evidenceValue(journey.envelope, 'from'),
    results: resultsOf(journey),
    claimedHops:
      journey.claimedHops?.map(({ for: _, date, ...hop }) => ({ ...hop, timeMs: date?.epochMs ?? null })) ??
      null,
    ...(view.copies === null ? {} : { copies: view.copies }),
    ...(view.recipients.length === 0 ? {} : { recipients: view.recipients }),
    head,
    witnessed: false,
  };
};

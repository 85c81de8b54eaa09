import { openReadOnly } from '#app/connect';
import { say } from '#base/text';
import { evidenceValue, type Journey, journeyOf } from '#services/integrity';
import { nodeIo } from '#store/durable';
import type { Command, CommandContext } from '../command.ts';
import { fieldLines, shownTime } from './field-lines.ts';
import { absentMessage, ofMessage, readMessageId } from './message-id.ts';
import { peer, way } from './session-words.ts';

const shard = 0;

/** `fengni show ID` */
export const command: Command = {
  usage: (language) => say(language, 'show.usage'),
  options: {
    recipients: {
      type: 'boolean',
      text: { en: say('en', 'show.option.recipients'), zh: say('zh', 'show.option.recipients') },
    },
  },
  run: async (context) => {
    const id = readMessageId(context.arg(0, 'ID'));
    context.argsMax(1);
    const data = await openReadOnly(await context.dataFolder());
    try {
      const journey = await ofMessage(data, shard, id, () => journeyOf({ io: nodeIo, shard, ...data }, id));
      if (journey === null) throw await absentMessage(data, shard, id);
      tell(context, journey);
      if (context.json) context.printJson(asJson(journey, context.flag('recipients')));
      return 0;
    } finally {
      data.close();
    }
  },
};

const tell = (context: CommandContext, journey: Journey): void => {
  const { message, session, envelope, head, copies } = journey;
  const isAdded = message.kind === 'added';
  const from = evidenceValue(envelope, 'from');
  context.print(context.say('show.title', { id: message.id }));
  for (const line of fieldLines([
    [context.say(isAdded ? 'show.field.added' : 'show.field.received'), shownTime(message.timeMs)],
    [context.say('show.field.peer'), peer(context, session)],
    [context.say('show.field.way'), way(context, session)],
    ...(isAdded || from === null
      ? []
      : [
          [context.say('show.field.sender'), from === '<>' ? context.say('show.sender.none') : from] as const,
        ]),
    ...journey.authentication.map(([, value]) => [context.say('show.field.checks'), value] as const),
    [context.say('show.field.size'), context.say('show.octets', { count: message.sizeBytes })],
    [context.say('show.field.sha256'), message.sha256Hex],
    [context.say('show.field.copies'), String(copies.length)],
    ...(context.flag('recipients')
      ? copies
          .filter(({ address }) => address !== '')
          .map(({ address }) => [context.say('show.field.recipient'), address] as const)
      : []),
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

const asJson = (journey: Journey, withRecipients: boolean): unknown => {
  const { message, copies, head } = journey;
  return {
    id: message.id,
    kind: message.kind,
    timeMs: message.timeMs,
    seq: message.seq,
    leafIndex: message.leafIndex,
    generation: journey.generation,
    sizeBytes: message.sizeBytes,
    sha256: message.sha256Hex,
    session: Object.fromEntries(journey.session),
    sender: evidenceValue(journey.envelope, 'from'),
    results: journey.authentication.flatMap(([name, value]) => (name === 'results' ? [value] : [])),
    copies: copies.length,
    ...(withRecipients ? { recipients: copies.map(({ address }) => address) } : {}),
    head,
    witnessed: false,
  };
};

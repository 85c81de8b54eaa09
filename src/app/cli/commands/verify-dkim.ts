import { openReadOnly } from '#app/connect';
import { say } from '#base/text';
import { verifyDkimThen } from '#services/integrity';
import { nodeIo } from '#store/durable';
import type { Command } from '../command.ts';
import { UsageError } from '../usage-error.ts';
import { fieldLines, shownTime } from './field-lines.ts';
import { absentMessage, ofMessage, readMessageId } from './message-id.ts';
import { senderLines } from './sender-words.ts';

const shard = 0;

/** `fengni verify-dkim ID --then` */
export const command: Command = {
  usage: (language) => say(language, 'verify-dkim.usage'),
  options: {
    // biome-ignore lint/suspicious/noThenProperty: the name of an option
    then: {
      type: 'boolean',
      text: { en: say('en', 'verify-dkim.option.then'), zh: say('zh', 'verify-dkim.option.then') },
    },
  },
  run: async (context) => {
    const id = readMessageId(context.arg(0, 'ID'));
    context.argsMax(1);
    if (!context.flag('then')) throw thenMissing();
    const data = await openReadOnly(await context.dataFolder());
    try {
      const again = await ofMessage(data, shard, id, () =>
        verifyDkimThen({ io: nodeIo, shard, ...data }, id),
      );
      if (again === null) throw await absentMessage(data, shard, id);
      const { results, keys, differences, timeMs } = again;
      const isSame = results.length > 0 && differences.length === 0;
      context.print(context.say('verify-dkim.title', { id, time: shownTime(timeMs) }));
      if (results.length === 0) context.print(context.say('verify-dkim.nothing'));
      else {
        for (const line of fieldLines([
          ...keys.map(
            (name) =>
              [context.say('verify-dkim.field.key'), context.say('verify-dkim.key', { name })] as const,
          ),
          ...senderLines(context, results),
        ]))
          context.print(line);
        context.print(
          isSame
            ? context.say('verify-dkim.same')
            : context.say('verify-dkim.other', { found: differences.join('; ') }),
        );
      }
      if (context.json) context.printJson({ id, timeMs, keys, results, differences, same: isSame });
      return isSame ? 0 : 1;
    } finally {
      data.close();
    }
  },
};

const thenMissing = (): UsageError =>
  new UsageError((language) => ({
    sentence: say(language, 'verify-dkim.then-missing'),
    remedy: say(language, 'verify-dkim.then-missing.remedy'),
  }));

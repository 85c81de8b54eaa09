import fs from 'node:fs';
import path from 'node:path';
import { openReadOnly } from '#app/connect';
import { systemClock } from '#base/clock';
import { FengniError } from '#base/errors';
import { say } from '#base/text';
import { makeReceipt } from '#services/integrity';
import { nodeIo } from '#store/durable';
import type { Command, CommandContext } from '../command.ts';
import { UsageError } from '../usage-error.ts';
import { absentMessage, ofMessage, readMessageId } from './message-id.ts';

const shard = 0;
/** how long a message that has just arrived waits for its head (FORMATS §5) */
const waitMs = 5_000;

/** `fengni receipt ID -o FILE` */
export const command: Command = {
  usage: (language) => say(language, 'receipt.usage'),
  options: {
    out: {
      type: 'string',
      short: 'o',
      value: 'FILE',
      text: { en: say('en', 'receipt.option.out'), zh: say('zh', 'receipt.option.out') },
    },
    full: {
      type: 'boolean',
      text: { en: say('en', 'receipt.option.full'), zh: say('zh', 'receipt.option.full') },
    },
    show: {
      type: 'string',
      multiple: true,
      value: 'FIELD',
      text: { en: say('en', 'receipt.option.show'), zh: say('zh', 'receipt.option.show') },
    },
    recipient: {
      type: 'string',
      value: 'A',
      text: { en: say('en', 'receipt.option.recipient'), zh: say('zh', 'receipt.option.recipient') },
    },
  },
  run: async (context) => {
    const id = readMessageId(context.arg(0, 'ID'));
    context.argsMax(1);
    const out = context.text('out');
    if (out === undefined) throw missingOut();
    const shown = context.list('show').flatMap((fields) => fields.split(','));
    const unknown = shown.find((field) => field !== 'sender' && field !== 'ses' && field !== 'aut');
    if (unknown !== undefined) throw unknownField(unknown);
    // Whoever names one of them wants the other one left shut.
    const parts = ['ses', 'aut'] as const;
    const withheld = parts.some((part) => shown.includes(part))
      ? parts.filter((part) => !shown.includes(part))
      : [];
    const recipient = context.text('recipient') ?? null;

    const data = await openReadOnly(await context.dataFolder());
    try {
      const outcome = await ofMessage(data, shard, id, () =>
        makeReceipt(
          { io: nodeIo, shard, clock: systemClock, waitMs, ...data },
          { id, full: context.flag('full'), withSender: shown.includes('sender'), withheld, recipient },
        ),
      );
      switch (outcome.kind) {
        case 'unknown-message':
          throw await absentMessage(data, shard, id);
        case 'unknown-recipient':
          throw unknownRecipient(recipient ?? '');
        case 'not-sealed':
          throw new FengniError('not-sealed-yet', {
            subject: `message ${id}, leaf ${outcome.index}`,
            remedy: 'try again in a moment; if it stays, "fengni status" says what the sealer does',
            retryable: true,
          });
        case 'made': {
          await write(context, out, outcome.octets);
          const { origin, size } = outcome.head.checkpoint;
          const { index } = outcome;
          const bytes = outcome.octets.length;
          // With "-o -" the receipt itself is on standard output.
          if (out !== '-') {
            context.print(context.say('receipt.made', { file: out, bytes, index, size, origin }));
            if (context.json)
              context.printJson({ id, file: out, bytes, index, size, origin, witnessed: false });
          }
          return 0;
        }
      }
    } finally {
      data.close();
    }
  },
};

const write = async (context: CommandContext, out: string, octets: Uint8Array): Promise<void> => {
  if (out === '-') {
    context.stdout.write(octets);
    return;
  }
  const file = path.resolve(context.cwd, out);
  try {
    fs.writeFileSync(file, octets);
  } catch (cause) {
    throw new FengniError('file-unwritable', {
      subject: `${file}: ${(cause as NodeJS.ErrnoException).code ?? String(cause)}`,
      remedy: 'check the path, who may write there, and the disk',
      cause,
    });
  }
};

const missingOut = (): UsageError =>
  new UsageError((language) => ({
    sentence: say(language, 'receipt.out-missing'),
    remedy: say(language, 'receipt.out-missing.remedy'),
  }));

const unknownField = (value: string): UsageError =>
  new UsageError((language) => ({
    sentence: say(language, 'receipt.show-unknown', { value }),
    remedy: say(language, 'receipt.show-unknown.remedy'),
  }));

const unknownRecipient = (address: string): UsageError =>
  new UsageError((language) => ({
    sentence: say(language, 'receipt.recipient-unknown', { address }),
    remedy: say(language, 'receipt.recipient-unknown.remedy'),
  }));

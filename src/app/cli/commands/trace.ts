import fs from 'node:fs';
import path from 'node:path';
import { openReadOnly, type ReadOnlyData } from '#app/connect';
import { attemptsFile, traceFile } from '#app/control';
import type { ExitStatus } from '#base/errors';
import { FengniError } from '#base/errors';
import { say } from '#base/text';
import { type ErasedMessage, erasedMessage } from '#services/integrity';
import { ownOf, readQuery, searchTrace, spanWords, type TraceResult } from '#services/trace';
import { createAddresses } from '#services/writer';
import { nodeIo } from '#store/durable';
import { openSqliteTrace } from '#store/sqlite';
import type { TraceStore } from '#store/trace';
import { isMessageId } from '#trust/seal';
import type { Command, CommandContext } from '../command.ts';
import { UsageError } from '../usage-error.ts';
import { erasedLines, lineOf, storyOf, tallyLine } from './trace-words.ts';

const shard = 0;
const limitDefault = 100;
const limitMax = 10_000;

/** `fengni trace QUERY…` */
export const command: Command = {
  usage: (language) => say(language, 'trace.usage'),
  options: {
    verbose: {
      type: 'boolean',
      short: 'v',
      text: { en: say('en', 'trace.option.verbose'), zh: say('zh', 'trace.option.verbose') },
    },
    since: {
      type: 'string',
      value: 'WHEN',
      text: { en: say('en', 'trace.option.since'), zh: say('zh', 'trace.option.since') },
    },
    until: {
      type: 'string',
      value: 'WHEN',
      text: { en: say('en', 'trace.option.until'), zh: say('zh', 'trace.option.until') },
    },
    limit: {
      type: 'string',
      value: 'N',
      text: { en: say('en', 'trace.option.limit'), zh: say('zh', 'trace.option.limit') },
    },
    as: {
      type: 'string',
      value: 'ADDRESS',
      text: { en: say('en', 'trace.option.as'), zh: say('zh', 'trace.option.as') },
    },
  },
  run: async (context) => {
    const words = [...context.args, ...spanWords(context.text('since'), context.text('until'))];
    const read = readQuery(words, {
      nowMs: Date.now(),
      offsetMinutes: (timeMs) => -new Date(timeMs).getTimezoneOffset(),
    });
    if (read.kind === 'mistake') {
      const { why, word } = read;
      throw new UsageError((language) => ({
        sentence: say(language, `trace.mistake.${why}`, { word }),
        remedy: say(language, 'cli.try-help', { command: 'trace ' }),
      }));
    }
    const limit = context.number('limit', 1, limitMax) ?? limitDefault;
    const data = await openReadOnly(await context.dataFolder());
    const messages = openStore(data, traceFile);
    const attempts = openAttempts(data);
    try {
      const as = context.text('as');
      const own = as === undefined ? null : ownOf(data.directory, createAddresses(data.directory), as);
      if (as !== undefined && own === null) throw unknownAccount(as);
      const result = searchTrace(
        {
          index: data.index,
          directory: data.directory,
          messages,
          attempts,
          fresh: () => openSqliteTrace(':memory:', { readOnly: false }),
        },
        read,
        own,
        limit,
      );
      const erased = own === null && result.found.length === 0 ? await erasedOf(data, context.args) : null;
      return tell(context, result, erased);
    } finally {
      messages?.close();
      attempts?.close();
      data.close();
    }
  },
};

const openStore = ({ folder }: ReadOnlyData, name: string): TraceStore | null => {
  const file = path.join(folder, name);
  return fs.existsSync(file) ? openSqliteTrace(file, { readOnly: true }) : null;
};

/** `attempts.db` to be searched; what is wrong with it is told as what it is: nothing can make it again. */
const openAttempts = (data: ReadOnlyData): TraceStore | null => {
  const guarded = <T>(work: () => T): T => {
    try {
      return work();
    } catch (cause) {
      if (!(cause instanceof FengniError)) throw cause;
      throw new FengniError('attempts-damaged', {
        subject: cause.subject,
        remedy: 'run "fengni verify"; to begin a new file, move this one away while the server is stopped',
        exitStatus: 1,
        cause,
      });
    }
  };
  const store = guarded(() => openStore(data, attemptsFile));
  if (store === null) return null;
  return {
    ...store,
    search: (query, limit) => guarded(() => store.search(query, limit)),
    tallies: (query, limit) => guarded(() => store.tallies(query, limit)),
  };
};

const unknownAccount = (address: string): FengniError =>
  new FengniError('account-unknown', {
    subject: address,
    remedy: 'see "fengni account list"',
    exitStatus: 2,
  });

/** What the log still says of a message that was erased, when its whole id was asked for. */
const erasedOf = async (
  { folder, index }: ReadOnlyData,
  words: readonly string[],
): Promise<(ErasedMessage & { id: string }) | null> => {
  const [word] = words;
  if (words.length !== 1 || word === undefined) return null;
  const id = word
    .trim()
    .toLowerCase()
    .replace(/^id[:=]/, '')
    .replace(/;$/, '');
  if (!isMessageId(id)) return null;
  const erased = await erasedMessage({ io: nodeIo, folder, shard }, id, index.appliedSeq());
  return erased === null ? null : { ...erased, id };
};

const tell = (
  context: CommandContext,
  result: TraceResult,
  erased: (ErasedMessage & { id: string }) | null,
): ExitStatus => {
  const { found, tallies, isCut, behind } = result;
  const isVerbose = context.flag('verbose');
  for (const [at, each] of found.entries()) {
    if (isVerbose && at > 0) context.print('');
    for (const line of isVerbose ? storyOf(context, each) : [lineOf(context, each)]) context.print(line);
  }
  if (erased !== null) for (const line of erasedLines(context, erased, isVerbose)) context.print(line);
  for (const tally of tallies) context.print(tallyLine(context, tally));
  const isFound = found.length > 0 || tallies.length > 0 || erased !== null;
  if (!isFound) {
    context.print(context.say('trace.nothing'));
    context.print(context.say('trace.nothing.hint'));
  }
  if (!context.json) {
    if (isCut) context.stderr.write(`${context.say('trace.cut')}\n`);
    if (behind > 0) context.stderr.write(`${context.say('trace.behind', { count: behind })}\n`);
  }
  if (context.json) context.printJson(asJson(result, erased));
  return isFound ? 0 : 1;
};

const asJson = (
  { found, tallies, isCut, behind }: TraceResult,
  erased: (ErasedMessage & { id: string }) | null,
): unknown => ({
  found: [
    ...found.map(({ event, recipients, recipientCount }) => {
      const { seq: _, recipients: __, recipientCount: ___, key: ____, refusal, ...known } = event;
      return {
        ...known,
        recipients,
        ...(recipientCount === null ? {} : { recipientCount }),
        ...(refusal === null
          ? {}
          : {
              stage: refusal.stage,
              reply: { code: refusal.code, enhanced: refusal.enhanced, text: refusal.text },
              reason: refusal.reason,
              session: refusal.session,
            }),
      };
    }),
    ...(erased === null ? [] : [{ ...erased, kind: 'erased' }]),
  ],
  counted: tallies.map(({ dayCount: _, day, ...tally }) => ({
    ...tally,
    day: new Date(day * 86_400_000).toISOString().slice(0, 10),
  })),
  cut: isCut,
  behind,
});

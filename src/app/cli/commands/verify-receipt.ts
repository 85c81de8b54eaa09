import fs from 'node:fs';
import path from 'node:path';
import { FengniError } from '#base/errors';
import { say } from '#base/text';
import { type EvidenceLine, evidenceLines } from '#services/integrity';
import {
  parseKeyFile,
  type ReceiptCheck,
  type ReceiptFacts,
  type VerifierKey,
  verifyReceipt,
} from '#trust/seal';
import type { Command, CommandContext } from '../command.ts';
import { UsageError } from '../usage-error.ts';
import { shownTime } from './field-lines.ts';
import { clientCertificate, peer, way } from './session-words.ts';

/** `fengni verify-receipt RECEIPT MAIL.eml --key KEY`: needs nothing but these three. */
export const command: Command = {
  usage: (language) => say(language, 'verify-receipt.usage'),
  options: {
    key: {
      type: 'string',
      value: 'KEY',
      text: { en: say('en', 'verify-receipt.option.key'), zh: say('zh', 'verify-receipt.option.key') },
    },
  },
  run: async (context) => {
    const receiptFile = context.arg(0, 'RECEIPT');
    const mailFile = context.arg(1, 'MAIL.eml');
    context.argsMax(2);
    const keys = readKeys(context);
    const verdict = verifyReceipt({
      receipt: readFile(context, receiptFile),
      mail: readFile(context, mailFile),
      keys,
    });
    const isAdded = verdict.facts?.leaf.kind === 'added';
    for (const check of verdict.checks) context.print(checkLine(context, check, isAdded));
    // What a bad receipt says are claims: they are not repeated as though they were known.
    if (verdict.good && verdict.facts !== null)
      for (const line of factLines(context, verdict.facts)) context.print(line);
    context.print(
      verdict.failure === null
        ? context.say('verify-receipt.proved')
        : context.say('verify-receipt.refuted', { why: reasonOf(context, verdict.failure) }),
    );
    if (context.json) context.printJson(asJson(verdict));
    return verdict.good ? 0 : 1;
  },
};

/** `--key` as text when it is one, else the file of that name. */
const readKeys = (context: CommandContext): VerifierKey[] => {
  const given = context.text('key');
  if (given === undefined) {
    throw new UsageError((language) => ({
      sentence: say(language, 'verify-receipt.key-missing'),
      remedy: say(language, 'verify-receipt.key-missing.remedy'),
    }));
  }
  if (given.includes('+')) {
    try {
      return parseKeyFile(given);
    } catch (error) {
      // A file may have a plus in its name.
      if (!fs.existsSync(path.resolve(context.cwd, given))) throw error;
    }
  }
  return parseKeyFile(Buffer.from(readFile(context, given)).toString('utf8'));
};

const readFile = (context: CommandContext, name: string): Uint8Array => {
  const file = path.resolve(context.cwd, name);
  try {
    return fs.readFileSync(file);
  } catch (cause) {
    throw new FengniError('file-unreadable', {
      subject: `${file}: ${(cause as NodeJS.ErrnoException).code ?? String(cause)}`,
      remedy: 'check the path and who may read it',
      cause,
    });
  }
};

const marks = { good: '✓', bad: '✗', 'not-given': '-' } as const;

const checkLine = (context: CommandContext, check: ReceiptCheck, isAdded: boolean): string => {
  const hasNone = isAdded && check.name === 'prefix' && check.result === 'good';
  const words = {
    mark: marks[check.result],
    result: context.say(`verify-receipt.${check.result}`),
    what: context.say(hasNone ? 'verify-receipt.check.prefix.none' : `verify-receipt.check.${check.name}`),
  };
  return check.result === 'good'
    ? context.say('verify-receipt.line', words)
    : context.say('verify-receipt.line.why', { ...words, why: reasonOf(context, check) });
};

const reasonOf = (context: CommandContext, check: Extract<ReceiptCheck, { reason: unknown }>): string =>
  context.say(`verify-receipt.reason.${check.reason}`);

const factLines = (context: CommandContext, facts: ReceiptFacts): string[] => {
  const { leaf, openings, checkpoint } = facts;
  const named = (
    key:
      | 'show.field.peer'
      | 'show.field.way'
      | 'show.field.client'
      | 'show.field.sender'
      | 'show.field.checks',
    value: string,
  ): string => context.say('verify-receipt.fact', { name: context.say(key), value });
  const lines: string[] = [
    context.say(leaf.kind === 'added' ? 'verify-receipt.fact.added' : 'verify-receipt.fact.received', {
      time: shownTime(leaf.timeMs),
      id: facts.id,
    }),
  ];
  const session = textOf(openings.ses);
  const client = session === null ? null : clientCertificate(context, session);
  if (session !== null)
    lines.push(
      named('show.field.peer', peer(context, session)),
      named('show.field.way', way(context, session)),
      ...(client === null ? [] : [named('show.field.client', client)]),
    );
  for (const [, value] of textOf(openings.env)?.filter(([name]) => name === 'from') ?? [])
    lines.push(named('show.field.sender', value));
  if (openings.rcp !== undefined)
    lines.push(context.say('verify-receipt.fact.recipient', { address: openings.rcp.address }));
  for (const [, value] of textOf(openings.aut) ?? []) lines.push(named('show.field.checks', value));
  lines.push(
    context.say('verify-receipt.fact.head', {
      index: facts.index,
      size: checkpoint.size,
      origin: checkpoint.origin,
    }),
  );
  if (facts.originalAs === 'lf-to-crlf') lines.push(context.say('verify-receipt.fact.converted'));
  if (facts.uncoveredBytes > 0)
    lines.push(context.say('verify-receipt.fact.uncovered', { count: facts.uncoveredBytes }));
  lines.push(context.say('verify-receipt.fact.unwitnessed'));
  return lines.map((line) => `  ${line}`);
};

const textOf = (opening: ReceiptFacts['openings']['ses']): EvidenceLine[] | null =>
  opening?.kind === 'text' ? evidenceLines(new TextDecoder().decode(opening.text)) : null;

const asJson = ({ good, checks, failure, facts }: ReturnType<typeof verifyReceipt>): unknown => ({
  good,
  failure: failure === null ? null : { check: failure.name, reason: failure.reason },
  checks: checks.map(({ name, result, ...rest }) => ({
    name,
    result,
    ...('reason' in rest ? { reason: rest.reason } : {}),
  })),
  // Proved only when all is good; otherwise what the receipt claims.
  facts:
    facts === null
      ? null
      : {
          id: facts.id,
          kind: facts.leaf.kind,
          seq: facts.leaf.seq,
          timeMs: facts.leaf.timeMs,
          index: facts.index,
          origin: facts.checkpoint.origin,
          size: facts.checkpoint.size,
          session: Object.fromEntries(textOf(facts.openings.ses) ?? []),
          recipient: facts.openings.rcp?.address ?? null,
          originalAs: facts.originalAs,
          uncoveredBytes: facts.uncoveredBytes,
        },
});

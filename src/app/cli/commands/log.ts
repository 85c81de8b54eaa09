import { openReadOnly } from '#app/connect';
import { hex, latin1 } from '#base/bytes';
import { say } from '#base/text';
import {
  generationKeys,
  headToShow,
  keyLines,
  type Ledgers,
  type PublishedHead,
  proveConsistency,
  proveInclusion,
  type ShownLeaf,
  shownLeaves,
} from '#services/integrity';
import { nodeIo } from '#store/durable';
import { base64, isMessageLeaf, isoTime, type Leaf, messageId } from '#trust/seal';
import type { Command, CommandContext } from '../command.ts';
import { subcommand } from '../subcommands.ts';
import { UsageError } from '../usage-error.ts';

const names = ['key', 'checkpoint', 'show', 'proof', 'rotate-key', 'new-generation'] as const;
const numberMax = Number.MAX_SAFE_INTEGER;

const option = (key: 'from' | 'count' | 'generation' | 'consistency') => ({
  en: say('en', `log.option.${key}`),
  zh: say('zh', `log.option.${key}`),
});

/** `fengni log key|checkpoint|show|proof|rotate-key|new-generation` */
export const command: Command = {
  usage: (language) => say(language, 'log.usage'),
  options: {
    from: { type: 'string', value: 'N', text: option('from') },
    count: { type: 'string', value: 'N', text: option('count') },
    generation: { type: 'string', value: 'N', text: option('generation') },
    consistency: { type: 'boolean', text: option('consistency') },
  },
  run: async (context) => {
    const name = subcommand('log', context, names);
    if (name !== 'proof') context.argsMax(1);
    switch (name) {
      case 'key':
        await key(context);
        break;
      case 'checkpoint':
        await checkpoint(context);
        break;
      case 'show':
        await show(context);
        break;
      case 'proof':
        await (context.flag('consistency') ? consistency(context) : inclusion(context));
        break;
      case 'rotate-key': {
        const { rotate } = await import('./log-rotate-key.ts');
        await rotate(context);
        break;
      }
      case 'new-generation': {
        const { beginGeneration } = await import('./log-new-generation.ts');
        await beginGeneration(context);
        break;
      }
    }
    return 0;
  },
};

const withData = async <Result>(
  context: CommandContext,
  work: (data: Awaited<ReturnType<typeof openReadOnly>>, ledgers: Ledgers) => Promise<Result>,
): Promise<Result> => {
  const data = await openReadOnly(await context.dataFolder());
  try {
    return await work(data, { io: nodeIo, folder: data.folder });
  } finally {
    data.close();
  }
};

const withHead = <Result>(
  context: CommandContext,
  work: (ledgers: Ledgers, head: PublishedHead) => Promise<Result>,
): Promise<Result> =>
  withData(context, async (_, ledgers) =>
    work(ledgers, await headToShow(ledgers, context.number('generation', 1, 999_999_999) ?? null)),
  );

const key = (context: CommandContext): Promise<void> =>
  withData(context, async ({ directory }) => {
    context.print(keyLines(directory).trimEnd());
    if (context.json) context.printJson(generationKeys(directory));
  });

/** Octet for octet: what is kept outside is compared with it later. */
const checkpoint = (context: CommandContext): Promise<void> =>
  withHead(context, async (_, { note, checkpoint: { origin, size, root } }) => {
    if (context.json) context.printJson({ origin, size, root: base64(root), note: latin1(note) });
    else context.stdout.write(note);
  });

const show = (context: CommandContext): Promise<void> =>
  withHead(context, async (ledgers, head) => {
    const from = context.number('from', 0, numberMax) ?? 0;
    const count = context.number('count', 0, numberMax) ?? numberMax;
    let shown = 0;
    for await (const leaf of shownLeaves(ledgers, head, from, count)) {
      if (!context.json) context.print(leafLine(leaf));
      else context.stdout.write(`${shown === 0 ? '[' : ',\n'}${JSON.stringify(leafJson(leaf))}`);
      shown += 1;
    }
    if (context.json) context.stdout.write(shown === 0 ? '[]\n' : ']\n');
  });

/** `INDEX KIND seq SEQ TIME`, then what a leaf of this kind says in the open. */
const leafLine = ({ index, leaf }: ShownLeaf): string =>
  [
    String(index),
    leaf.kind,
    `seq ${leaf.seq}`,
    isoTime(leaf.timeMs),
    ...Object.entries(openFields(leaf)).map(([name, value]) => `${name} ${value}`),
  ].join(' ');

const leafJson = ({ index, leaf }: ShownLeaf): unknown => {
  const { kind, seq, timeMs } = leaf;
  return { index, kind, seq, timeMs, ...openFields(leaf) };
};

const openFields = (leaf: Leaf): Record<string, string | number> => {
  if (isMessageLeaf(leaf)) return { id: messageId(leaf.msg) };
  switch (leaf.kind) {
    case 'genesis':
      return leaf.previous === null
        ? {}
        : { previous: `${leaf.previous.origin} ${leaf.previous.size} ${base64(leaf.previous.root)}` };
    case 'handover':
      return { key: leaf.key };
    case 'frames':
      return { first: leaf.first, last: leaf.last, root: base64(leaf.root) };
    case 'segment':
      return { number: leaf.number, revision: leaf.revision, sha256: hex(leaf.sha256) };
    case 'gap':
      return { before: leaf.before, after: leaf.after, uids: leaf.uids, modSeqs: leaf.modSeqs };
    case 'clock':
      return { before: isoTime(leaf.beforeMs) };
    case 'day':
      return { count: leaf.count };
    default:
      return {};
  }
};

/** A number given as an argument. @throws {UsageError} outside the range */
const numberArgument = (
  context: CommandContext,
  at: number,
  name: string,
  min: number,
  max: number,
): number => {
  const value = context.arg(at, name);
  const number = Number(value);
  if (/^\d{1,16}$/.test(value) && number >= min && number <= max) return number;
  throw new UsageError((language) => ({
    sentence: say(language, 'cli.option-not-a-number', { name, value, min, max }),
    remedy: say(language, 'cli.try-help', { command: 'log ' }),
  }));
};

const inclusion = (context: CommandContext): Promise<void> => {
  context.argsMax(3);
  return withHead(context, async (ledgers, head) => {
    const signed = head.checkpoint.size;
    const size = context.args[2] === undefined ? signed : numberArgument(context, 2, 'SIZE', 1, signed);
    const index = numberArgument(context, 1, 'INDEX', 0, size - 1);
    const proof = await proveInclusion(ledgers, head, index, size);
    const path = proof.path.map(base64);
    // Under the signed head itself the proof stands alone, in the form of C2SP tlog-proof; else it is hashes, for whoever has the root.
    if (proof.tlogProof !== null) {
      if (!context.json) context.stdout.write(proof.tlogProof);
    } else {
      for (const line of [
        context.say('log.proof.index', { index }),
        context.say('log.proof.size', { size }),
        `root ${base64(proof.root)}`,
        ...path,
      ])
        context.print(line);
    }
    if (context.json)
      context.printJson({
        index,
        size,
        leafHash: base64(proof.leafHash),
        root: base64(proof.root),
        path,
        leaf: latin1(proof.octets),
      });
  });
};

const consistency = (context: CommandContext): Promise<void> => {
  context.argsMax(3);
  return withHead(context, async (ledgers, head) => {
    const newSize = numberArgument(context, 2, 'NEW', 1, head.checkpoint.size);
    const oldSize = numberArgument(context, 1, 'OLD', 1, newSize);
    const proof = await proveConsistency(ledgers, head, oldSize, newSize);
    const path = proof.path.map(base64);
    for (const line of [
      `${context.say('log.proof.size', { size: oldSize })} root ${base64(proof.oldRoot)}`,
      `${context.say('log.proof.size', { size: newSize })} root ${base64(proof.root)}`,
      ...path,
    ])
      context.print(line);
    if (context.json)
      context.printJson({
        oldSize,
        oldRoot: base64(proof.oldRoot),
        newSize,
        newRoot: base64(proof.root),
        path,
      });
  });
};

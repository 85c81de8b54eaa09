/**
 * The parser of messages over third-party corpora: what a message costs the role that receives it, and its text for search.
 *
 *     npm run bench -- message [--seconds 1] [--record]
 *
 * CPU time of this process, the best of three passes; `--record` writes bench/results/message-DATE.md.
 */
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { parseArgs } from 'node:util';
import {
  bodyStructure,
  encodeStructure,
  envelope,
  messagePreview,
  messageText,
  type ParsedMessage,
  parseMessage,
  previewLimits,
  threadReferences,
} from '#message';
import { corpora } from '../test/support/corpora.ts';

const { values } = parseArgs({
  options: { seconds: { type: 'string', default: '1' }, record: { type: 'boolean', default: false } },
});
const secondsEach = Number(values.seconds);

const folders: readonly (readonly [folder: string, ending: RegExp])[] = [
  ['mime-cpython', /\.(?:txt|eml)$/],
  ['mime-enmime', /\.(?:raw|eml)$/],
  ['mime-mime4j', /\.(?:msg|eml)$/],
  ['mime-ruby-mail', /\.eml$/],
  ['mime-stalwart', /\.(?:eml|txt)$/],
  ['mail-rspamd', /\.(?:eml|txt)$/],
  ['mail-thunderbird-demo', /\.eml$/],
  ['spam-samples', /\.(?:eml|txt)$/],
  ['bounces-sisimai', /\.eml$/],
];

const filesOf = (folder: string, ending: RegExp): Buffer[] =>
  fs
    .readdirSync(folder, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile() && ending.test(entry.name))
    .map((entry) => fs.readFileSync(path.join(entry.parentPath, entry.name)))
    .filter((octets) => octets.length > 0);

/** CPU microseconds of one pass over all messages: the best of three, each long enough to be told from the clock's steps. */
const cost = (pass: () => void): number => {
  pass();
  let best = Number.POSITIVE_INFINITY;
  for (let round = 0; round < 3; round++) {
    const before = process.cpuUsage();
    let passes = 0;
    let used = 0;
    while (used < (secondsEach * 1e6) / 3) {
      pass();
      passes += 1;
      const { user, system } = process.cpuUsage(before);
      used = user + system;
    }
    best = Math.min(best, used / passes);
  }
  return best;
};

interface Row {
  name: string;
  count: number;
  bytes: number;
  scan: number;
  strings: number;
  preview: number;
  text: number;
}

const measure = (name: string, messages: readonly Buffer[]): Row => {
  const parsed: readonly ParsedMessage[] = messages.map((message) => parseMessage(message));
  const each = (run: (message: Buffer, parsed: ParsedMessage) => unknown) => (): void => {
    for (const [index, message] of messages.entries()) run(message, parsed[index] as ParsedMessage);
  };
  return {
    name,
    count: messages.length,
    bytes: messages.reduce((sum, { length }) => sum + length, 0),
    scan: cost(each((message) => parseMessage(message))),
    strings: cost(
      each((_, of) => [
        envelope(of),
        bodyStructure(of, 'extensible'),
        bodyStructure(of, 'basic'),
        encodeStructure(of),
        threadReferences(of),
      ]),
    ),
    preview: cost(
      each((message, of) => messagePreview(of, message.subarray(0, previewLimits.messageOctetsMax))),
    ),
    text: cost(each((message, of) => messageText(of, (start, end) => message.subarray(start, end)))),
  };
};

const line = (length: number): string => `${'QUJDREVGR0g='.repeat(7).slice(0, 76)}\r\n`.repeat(length);
const large = Buffer.from(
  `From: a@b.example\r\nContent-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\n\r\nHello\r\n--b\r\nContent-Type: application/pdf; name=x.pdf\r\nContent-Transfer-Encoding: base64\r\n\r\n${line(134_000)}--b--\r\n`,
);

const rows: Row[] = [];
const notRun: string[] = [];
for (const [name, ending] of folders) {
  const folder = corpora(name);
  const messages = folder === null ? [] : filesOf(folder, ending);
  if (messages.length === 0) notRun.push(name);
  else rows.push(measure(name, messages));
}
rows.push(measure('made: 10 MB attachment', [large]));

const perMessage = (row: Row, microseconds: number): string => (microseconds / row.count).toFixed(1);
const perMicrosecond = (row: Row, microseconds: number): string => (row.bytes / microseconds).toFixed(0);
const told = [
  `${new Date().toISOString().slice(0, 16)}Z, ${os.availableParallelism()} × ${os.cpus()[0]?.model ?? 'unknown'}, Node ${process.version}; load before: ${os.loadavg()[0]?.toFixed(1)}; ${secondsEach} s of CPU a cell`,
  '',
  '| messages | count | octets each | scan µs | scan MB/s | strings µs | preview µs | all at receipt µs | text for search µs |',
  '| --- | --- | --- | --- | --- | --- | --- | --- | --- |',
  ...rows.map((row) =>
    [
      '',
      row.name,
      row.count,
      Math.round(row.bytes / row.count),
      perMessage(row, row.scan),
      perMicrosecond(row, row.scan),
      perMessage(row, row.strings),
      perMessage(row, row.preview),
      perMessage(row, row.scan + row.strings + row.preview),
      perMessage(row, row.text),
      '',
    ]
      .join(' | ')
      .trim(),
  ),
  '',
  '`strings`: ENVELOPE, BODYSTRUCTURE, BODY, the stored structure and references. CPU time of one thread.',
  ...(notRun.length === 0 ? [] : ['', `Not run, third-party corpora absent: ${notRun.join(', ')}.`]),
  '',
].join('\n');
console.log(told);
if (values.record) {
  const file = path.join(
    import.meta.dirname,
    'results',
    `message-${new Date().toISOString().slice(0, 10)}.md`,
  );
  fs.writeFileSync(file, `# Messages\n\n${told}`);
  console.log(`written: ${path.relative(process.cwd(), file)}`);
}

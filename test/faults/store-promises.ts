import fs from 'node:fs';
import { parseArgs } from 'node:util';
import { openBodyReaders } from '#store/bodies';
import { nodeIo } from '#store/durable';
import type { MailIndex } from '#store/index';
import type { KnownHead } from '#store/log';
import { parseCheckpoint, parseOrigin } from '#trust/seal';
import { contentOf, openStore, verifyStore } from './store-machine.ts';

/** What the driver says when it is durable. */
export type PromiseLine =
  | { kind: 'loaded' }
  | {
      kind: 'delivered';
      /** by file below the folder, up to which octet it must be durable for this answer */
      at: Readonly<Record<string, number>>;
      seed: number;
      number: number;
      id: string;
      accounts: readonly string[];
    }
  | { kind: 'flagged'; id: string; account: string }
  | { kind: 'moved'; id: string; account: string; mailbox: string }
  | { kind: 'made'; account: string; name: string; mailbox: string }
  /** a signed note, in base64 */
  | { kind: 'head'; note: string };

/** The lines of a driver that may have been killed while it wrote one. */
export const promiseLines = (text: string): PromiseLine[] =>
  text
    .slice(0, text.lastIndexOf('\n') + 1)
    .split('\n')
    .filter((line) => line !== '')
    .map((line) => JSON.parse(line) as PromiseLine);

export interface AuditReport {
  /** deliveries that were answered for */
  acknowledged: number;
  /** messages that are there; those whose answer was never read among them */
  messages: number;
  /** deliveries that were answered for and are not there */
  lost: number;
  /** empty when every promise was kept */
  problems: string[];
}

/** more are counted only */
const problemsMax = 20;

/**
 * Opens what a driver left and holds it to its word: everything answered is there once, octet for octet, nothing else is but whole messages
 * that were sent, signed heads have their leaves, a second start changes nothing, and `verify` finds nothing.
 */
export const auditStore = async (folder: string, lines: readonly PromiseLine[]): Promise<AuditReport> => {
  const delivered = lines.filter((line) => line.kind === 'delivered');
  const report: AuditReport = { acknowledged: delivered.length, messages: 0, lost: 0, problems: [] };
  const problem = (what: string): void => {
    if (report.problems.length < problemsMax) report.problems.push(what);
  };
  const lastHead = lines.findLast((line) => line.kind === 'head');
  const note = lastHead === undefined ? null : new Uint8Array(Buffer.from(lastHead.note, 'base64'));
  const sealerFault = (error: Error): void => problem(`the sealer cannot open its folder: ${error.message}`);
  const dumps: string[] = [];
  try {
    for (let start = 0; start < 2; start++) {
      let opened = await openStore({
        io: nodeIo,
        folder,
        kept: note === null ? null : keptHead(note),
        sealerFault,
      });
      if (opened.kind === 'refused') {
        problem(`the log does not open: ${opened.error.message}`);
        // Without anybody's memory, to say what is there.
        opened = await openStore({ io: nodeIo, folder, kept: null, sealerFault });
        if (opened.kind === 'refused') {
          report.lost = delivered.length;
          return report;
        }
      }
      const { writer, stop } = opened;
      if (start === 0) await look(folder, writer.index, lines, report, problem);
      await writer.swept;
      dumps.push([...writer.index.dump(), ...writer.directory.dump()].join('\n'));
      await stop();
    }
    if (dumps[0] !== dumps[1]) problem('a second start changes what is there (I5)');
    const { findings } = await verifyStore(folder, note === null ? null : { source: 'kept outside', note });
    for (const { code, file, what } of findings)
      if (file !== 'secrets.db') problem(`verify: ${code} ${file ?? ''}: ${what}`);
  } catch (error) {
    problem(`the audit failed: ${error instanceof Error ? (error.stack ?? error.message) : String(error)}`);
  }
  return report;
};

const keptHead = (note: Uint8Array): KnownHead => {
  const { origin, size, root } = parseCheckpoint(note);
  return { source: 'kept outside', generation: parseOrigin(origin)?.generation ?? 0, size, root };
};

const pageSize = 1_000;

const look = async (
  folder: string,
  index: MailIndex,
  lines: readonly PromiseLine[],
  report: AuditReport,
  problem: (what: string) => void,
): Promise<void> => {
  const bodies = openBodyReaders({ io: nodeIo, folder, shard: 0 });
  const sent = new Map<string, string>();
  try {
    for (let after = 0; ; ) {
      const page = index.messages(after, pageSize);
      for (const row of page) {
        report.messages += 1;
        const octets = await bodies
          .message(row)
          .then(async (body) => Buffer.concat(await Array.fromAsync(body.read(0, body.sizeBytes))))
          .catch((error: unknown) => String(error));
        if (typeof octets === 'string') {
          problem(`message ${row.id} cannot be read: ${octets}`);
          continue;
        }
        const [, seed, number] = /^Subject: (\d+) (\d+)\r\n/.exec(octets.toString('latin1')) ?? [];
        if (seed === undefined || !octets.equals(contentOf(Number(seed), Number(number)))) {
          problem(`message ${row.id} is none that was sent, octet for octet`);
          continue;
        }
        const name = `${seed} ${number}`;
        const twin = sent.get(name);
        if (twin !== undefined) problem(`message ${name} is there twice: ${twin} and ${row.id}`);
        sent.set(name, row.id);
        if (index.emailsOfMessage(row.seq).length === 0) problem(`message ${name} belongs to nobody (I2)`);
      }
      after = page.at(-1)?.seq ?? 0;
      if (page.length < pageSize) break;
    }
  } finally {
    await bodies.close();
  }
  for (const line of lines) {
    if (line.kind === 'delivered') {
      const name = `${line.seed} ${line.number}`;
      const row = index.messageById(line.id);
      if (row === null) {
        report.lost += 1;
        problem(`message ${name} was acknowledged as ${line.id} and is lost (I1)`);
        continue;
      }
      if (sent.get(name) !== line.id)
        problem(`message ${name} was acknowledged as ${line.id}, which is another`);
      const owners = index.emailsOfMessage(row.seq).map(({ account }) => account);
      if (owners.sort().join() !== [...line.accounts].sort().join())
        problem(
          `message ${name} was acknowledged for ${line.accounts.join()}, it belongs to ${owners.join()}`,
        );
      for (const account of line.accounts)
        if (placesOf(index, line.id, account).length !== 1)
          problem(
            `message ${name} lies in ${placesOf(index, line.id, account).length} mailboxes of ${account}`,
          );
    } else if (line.kind === 'moved') {
      const places = placesOf(index, line.id, line.account);
      if (places.length !== 1 || places[0]?.mailbox !== line.mailbox)
        problem(`${line.id} was moved and is elsewhere`);
    } else if (line.kind === 'flagged') {
      const [place] = placesOf(index, line.id, line.account);
      if (place === undefined || !place.keywords.includes('work') || place.flags === 0)
        problem(`${line.id} was flagged and is not`);
    } else if (line.kind === 'made') {
      if (index.mailboxByName(line.account, line.name)?.id !== line.mailbox)
        problem(`mailbox ${line.name} was made and is gone`);
    }
  }
};

const placesOf = (
  index: MailIndex,
  id: string,
  account: string,
): { mailbox: string; flags: number; keywords: string[] }[] => {
  const row = index.messageById(id);
  const email = row && index.emailsOfMessage(row.seq).find((each) => each.account === account);
  if (email === null || email === undefined) return [];
  return index.mailboxes(account).flatMap((mailbox) =>
    index
      .placements(mailbox.id, 0, 1_000_000)
      .filter(({ emailSeq }) => emailSeq === email.emailSeq)
      .map(({ flags, keywords }) => ({
        mailbox: mailbox.id,
        flags,
        keywords: keywords.map((at) => mailbox.keywords[at] ?? ''),
      })),
  );
};

// `node store-promises.ts --folder DIR --lines FILE`: exit status 0 when every promise was kept, 1 otherwise.
if (import.meta.main) {
  const { values } = parseArgs({ options: { folder: { type: 'string' }, lines: { type: 'string' } } });
  const lines = promiseLines(fs.readFileSync(values.lines ?? '', 'utf8'));
  const report = await auditStore(values.folder ?? '', lines);
  process.stdout.write(`${JSON.stringify(report)}\n`);
  process.exitCode = report.problems.length === 0 ? 0 : 1;
}

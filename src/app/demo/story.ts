import fs from 'node:fs';
import path from 'node:path';
import { programFolder } from '#app/roles';
import { copyFolder, findMessage, flipBit, leavesIn, removeFrame, rollBack } from './damage.ts';
import { amount, forgedAmount, forgedBit, type Letters } from './letters.ts';
import type { Outcome } from './processes.ts';
import { expectStatus, lastLine, type Stage, tlsWords, wordsOf } from './stage.ts';
import { failure } from './step-failure.ts';
import type { StepName } from './words.ts';

/** A step: does it, shows the evidence, and gives the sentence of what that proves. */
type Step = (stage: Stage, letters: Letters) => Promise<string>;

/** The steps, in no order: `stepNames` has it. @throws {StepFailure} from a step that did not do what it says */
export const steps: Readonly<Record<StepName, Step>> = {
  start: async (stage) => {
    await stage.serveFirst();
    const { smtp, imaps, pop3s } = stage.server.ports;
    stage.telling.show('folder', stage.data);
    stage.telling.show('ports', `SMTP ${smtp} · IMAPS ${imaps} · POP3S ${pop3s}`);
    return stage.say('demo.step.start.proves');
  },

  receive: async (stage, { invoice, contract }) => {
    stage.telling.show('letter', quoted(invoice.lines), 'yellow');
    const { tls, reply, digest } = await stage.send(invoice);
    stage.telling.show('secured', tlsWords(tls));
    stage.telling.show('reply', shortened(reply));
    stage.telling.show(
      'fingerprint',
      stage.say('demo.same-digest', { digest: digest.slice(0, 16) }),
      'green',
    );
    await stage.send(contract);
    return stage.say('demo.step.receive.proves');
  },

  read: async (stage, { invoice }) => {
    const { imaps, pop3s } = await stage.read(1);
    const octets = invoice.octets.length;
    const prefix = stage.prefixOf(invoice, imaps, 'IMAPS');
    stage.telling.show('imaps', stage.say('demo.same-octets', { octets, tls: tlsWords(imaps.tls) }), 'green');
    stage.prefixOf(invoice, pop3s, 'POP3S');
    stage.telling.show('pop3s', stage.say('demo.same-octets', { octets, tls: tlsWords(pop3s.tls) }), 'green');
    const lines = wordsOf(prefix).map((line) => line.trimEnd());
    const seal = lines.at(-1) ?? '';
    if (!seal.startsWith(`Fengni-Seal: id=${stage.idOf(invoice)};`))
      throw failure('demo.failure.seal', { seal });
    stage.telling.show('seal', shortened(seal));
    fs.writeFileSync(stage.file('letter.eml'), imaps.mail ?? invoice.octets);
    return stage.say('demo.step.read.proves', { lines: lines.length });
  },

  receipt: async (stage, { invoice }) => {
    await stage.must(['receipt', stage.idOf(invoice), '-o', 'receipt.tlog-proof']);
    fs.writeFileSync(stage.file('key'), await stage.must(['log', 'key']));
    forge(stage.file('letter.eml'), stage.file('forged.eml'));
    const bytes = fs.statSync(stage.file('receipt.tlog-proof')).size;
    stage.telling.show('file', stage.say('demo.receipt-file', { bytes }));

    const ours = (letter: string): Promise<Outcome> =>
      stage.processes.fengni(['verify-receipt', 'receipt.tlog-proof', letter, '--key', 'key'], 'nowhere');
    const [good, bad] = await Promise.all([ours('letter.eml'), ours('forged.eml')]);
    stage.telling.show('verifyReceipt', lastLine(expectStatus('fengni verify-receipt', good, 0)), 'green');
    const pythonWords = await byPython(stage, 'letter.eml', 0);
    if (pythonWords !== null) stage.telling.show('python', pythonWords, 'green');
    stage.telling.show('changed', lastLine(expectStatus('fengni verify-receipt', bad, 1)), 'red');
    if (pythonWords === null) stage.telling.show('python', stage.say('demo.no-python'), 'yellow');
    else stage.telling.show('changedPython', (await byPython(stage, 'forged.eml', 1)) ?? '', 'red');
    return stage.say('demo.step.receipt.proves');
  },

  copy: async (stage) => {
    copyFolder(stage.data, stage.copy);
    stage.telling.show('folder', stage.copy);
    const words = wordsOf(await stage.must(['verify']));
    stage.telling.show('verify', words, 'green', words.at(-1) ?? '');
    return stage.say('demo.step.copy.proves');
  },

  flip: async (stage, { invoice }) => {
    const id = stage.idOf(invoice);
    const place = findMessage(stage.data, id);
    const { file, offset, before, after } = flipBit(
      stage.data,
      place,
      invoice.octets.indexOf(amount),
      forgedBit,
    );
    stage.telling.show('damage', stage.say('demo.octet', { file, offset }));
    stage.telling.show('octet', `${bits(before)} → ${bits(after)}`, 'red');
    stage.telling.show('meaning', `${amount} → ${forgedAmount}`, 'red');
    const { imaps, pop3s } = await stage.read(1);
    if (imaps.mail !== null) throw failure('demo.failure.served', { protocol: 'IMAPS' });
    if (pop3s.mail !== null) throw failure('demo.failure.served', { protocol: 'POP3S' });
    stage.telling.show('imaps', imaps.reply, 'red');
    stage.telling.show('pop3s', pop3s.reply, 'red');
    await stage.verifyFinds([file, String(place.seq), id]);
    return stage.say('demo.step.flip.proves');
  },

  mend: async (stage, { invoice }) => {
    await stage.stop();
    await stage.repair();
    await stage.serveAgain();
    await stage.readAgain(invoice, 1);
    return stage.say('demo.step.mend.proves');
  },

  remove: async (stage, { contract }) => {
    await stage.stop();
    const place = findMessage(stage.data, stage.idOf(contract));
    stage.telling.show('letter', quoted(contract.lines.slice(1, 2)), 'yellow');
    removeFrame(stage.data, place);
    const { file, offset, lengthBytes, seq } = place;
    stage.telling.show('damage', stage.say('demo.frame', { file, offset, octets: lengthBytes, seq }), 'red');
    await stage.verifyFinds([file, String(seq)]);
    await stage.repair();
    await stage.serveAgain();
    await stage.readAgain(contract, 2);
    return stage.say('demo.step.remove.proves');
  },

  rollback: async (stage, { delivery }) => {
    stage.telling.show('letter', quoted(delivery.lines.slice(1, 2)), 'yellow');
    await stage.send(delivery);
    const head = await stage.headOver(stage.idOf(delivery));
    fs.writeFileSync(stage.file(keptHead), head);
    const [origin = '', size = '', root = ''] = head.split('\n');
    stage.telling.show('head', stage.say('demo.head', { origin, size, root: root.slice(0, 16) }));
    await stage.stop();
    rollBack(stage.data, stage.copy);
    const left = leavesIn(stage.copy);
    const count = Number(size) - left;
    await stage.verifyFinds([keptHead, ...[size, left, count].map(String)], ['--checkpoint', keptHead]);
    stage.telling.show('missing', stage.say('demo.missing', { count, size }), 'red');
    const outcome = await stage.processes.serve();
    if (outcome.kind === 'ready') throw failure('demo.failure.started');
    const { status, said } = outcome;
    expectStatus('fengni serve', { status, stdout: '', stderr: said }, 3);
    // A server may fail to start for many reasons: this one has to be it.
    const untold = [size, String(left)].find((number) => !said.includes(number));
    if (untold !== undefined) throw failure('demo.failure.not-refused', { said: lastLine(said) });
    stage.telling.show('serve', wordsOf(said.replace(/^fengni: /, '')), 'red');
    return stage.say('demo.step.rollback.proves');
  },
};

/** the file that stands for “somewhere else” */
const keptHead = 'head-kept-outside';

const quoted = (lines: readonly string[]): string[] => lines.map((line) => `│ ${line}`);

/** An id and a digest as people recognise them; whole ones are in `--json`'s other evidence and in the files. */
const shortened = (line: string): string => line.replace(/\b([0-9a-f]{16})[0-9a-f]{48}\b/g, '$1…');

const bits = (octet: number): string =>
  `${octet.toString(2).padStart(8, '0')} (0x${octet.toString(16).padStart(2, '0')})`;

/** The forger's letter: the amount changed by the same bit as later on the disk. */
const forge = (from: string, to: string): void => {
  const octets = fs.readFileSync(from);
  const at = octets.indexOf(amount);
  octets.writeUInt8(octets.readUInt8(at) ^ (1 << forgedBit), at);
  fs.writeFileSync(to, octets);
};

/** @returns null where this machine has no Python */
const byPython = async (stage: Stage, letter: string, status: number): Promise<string | null> => {
  const script = path.join(programFolder, 'docs/verify_receipt.py');
  const outcome = await stage.processes.other('python3', [script, 'receipt.tlog-proof', letter, 'key']);
  return outcome === null ? null : lastLine(expectStatus('python3 docs/verify_receipt.py', outcome, status));
};

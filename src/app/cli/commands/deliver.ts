import { systemClock, systemRandom } from '#base/clock';
import { FengniError } from '#base/errors';
import { say } from '#base/text';
import { parseEnvelopeAddress } from '#message/address';
import type { Refusal } from '#protocols/smtp';
import { createInbound, type LocalTransaction, readMailFile } from '#services/inbound';
import { nodeIo } from '#store/durable';
import { openSpool } from '#store/large';
import type { Command } from '../command.ts';
import { UsageError } from '../usage-error.ts';
import { readStandardInput } from './standard-input.ts';
import { withWriter } from './with-writer.ts';

/** `fengni deliver A < mail.eml` */
export const command: Command = {
  usage: (language) => say(language, 'deliver.usage'),
  options: {
    from: {
      type: 'string',
      value: 'ADDRESS',
      text: { en: say('en', 'deliver.option.from'), zh: say('zh', 'deliver.option.from') },
    },
  },
  run: async (context) => {
    const address = context.arg(0, 'A');
    context.argsMax(1);
    const mailFrom = context.text('from') ?? '';
    if (mailFrom !== '' && parseEnvelopeAddress(mailFrom) === null) {
      throw new UsageError((language) => ({
        sentence: say(language, 'deliver.from-malformed', { address: JSON.stringify(mailFrom) }),
        remedy: say(language, 'deliver.from-malformed.remedy'),
      }));
    }
    const config = await context.config();
    const { sizeBytesMax } = config.smtp;
    const mail = await readMail(await readStandardInput(context, sizeBytesMax));
    if (mail.sizeBytes > sizeBytesMax)
      throw refusedFault({
        kind: 'refused',
        code: 552,
        enhanced: '5.3.4',
        text: 'Message too large',
      });

    const { id, sha256Hex } = await withWriter(context, async (writer) => {
      const { origin } = await writer.mailstore.status();
      const inbound = createInbound({
        writer: writer.mailstore,
        hostname: config.server.hostname,
        origin: () => origin,
        clock: systemClock,
        random: systemRandom,
        logger: { ...context.logger, info: () => {} },
        large: { spool: openSpool({ io: nodeIo, folder: await context.dataFolder(), owner: 'local' }) },
        heldBytesMax: 2 * sizeBytesMax,
      });
      const transaction: LocalTransaction = {
        peer: null,
        helo: null,
        protocol: 'LOCAL',
        tls: null,
        mailFrom,
        uid: process.getuid?.() ?? 0,
        msgSalt: null,
        parameters: ['BODY=8BITMIME', ...(/[^\x20-\x7e]/.test(mailFrom + address) ? ['SMTPUTF8'] : [])],
      };
      const verdict = await inbound.recipient(transaction, address);
      if (verdict.kind === 'refused') throw refusedFault(verdict);
      const delivery = inbound.begin(transaction, [{ address, key: verdict.key, dsn: null }]);
      for (const piece of mail.pieces) await delivery.write(piece);
      const outcome = await delivery.finish();
      if (outcome.kind === 'refused') throw refusedFault(outcome);
      return outcome;
    });
    if (mail.lineEnds === 'lf-to-crlf') context.stderr.write(`${context.say('deliver.converted')}\n`);
    context.print(context.say('deliver.done', { address, id, digest: sha256Hex }));
    if (context.json) context.printJson({ id, sha256: sha256Hex, lineEnds: mail.lineEnds });
    return 0;
  },
};

const readMail = async (chunks: readonly Uint8Array[]) => {
  const file = readMailFile(chunks);
  if (file.kind === 'mixed') throw unusable(`line ${file.line}: some lines end in CRLF, others in LF`);
  if (file.kind === 'bare-cr') throw unusable(`line ${file.line}: a CR that ends no line`);
  if (file.sizeBytes === 0) {
    throw new UsageError((language) => ({
      sentence: say(language, 'deliver.empty'),
      remedy: say(language, 'deliver.empty.remedy'),
    }));
  }
  return file;
};

const unusable = (subject: string): FengniError =>
  new FengniError('mail-file-unusable', {
    subject,
    remedy: 'give every line the same line end, CRLF or LF; "file mail.eml" says what it has',
    exitStatus: 2,
  });

/** A refusal for good is the caller's to change; one for now may go away by itself. */
const refusedFault = ({ code, enhanced, text }: Refusal): FengniError =>
  new FengniError('message-refused', {
    subject: `${code} ${enhanced} ${text}`,
    remedy: 'see "fengni account list" and "fengni alias list" for who is here',
    retryable: code < 500,
    exitStatus: code < 500 ? 3 : 2,
  });

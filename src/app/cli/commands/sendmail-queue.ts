import { connect } from '#app/connect';
import { systemClock } from '#base/clock';
import { FengniError } from '#base/errors';
import { drainPickup } from '#services/local-mail';
import { nodeIo } from '#store/durable';
import { createPickup } from '#store/pickup';
import type { SysExit } from '../command.ts';
import { end, exits, type SendmailCall } from './sendmail-call.ts';
import { localInbound } from './sendmail-submit.ts';

/** `-bp`: what waits for the server, in the form of Postfix's mailq(1), which programs read. */
export const showQueue = async (call: SendmailCall): Promise<0 | SysExit> => {
  const { context, request } = call;
  const pickup = createPickup({ io: nodeIo, folder: call.dataFolder });
  const waiting = [];
  for (const entry of await pickup.list()) {
    const envelope = await pickup.envelope(entry.name);
    waiting.push({ ...entry, envelope });
  }
  if (request.json) {
    context.printJson(
      waiting.map(({ name, sizeBytes, held, envelope }) => ({
        name,
        sizeBytes,
        held,
        ...(envelope === null
          ? { damaged: true }
          : {
              id: envelope.id,
              timeMs: envelope.timeMs,
              sender: envelope.mailFrom,
              recipients: envelope.recipients.map(({ address }) => address),
              uid: envelope.uid,
            }),
      })),
    );
    return exits.ok;
  }
  const line = (text: string): void => void context.stdout.write(`${text}\n`);
  if (waiting.length === 0) {
    line('Mail queue is empty');
    return exits.ok;
  }
  line('-Queue ID-                    --Size-- ----Arrival Time---- -Sender/Recipient-------');
  for (const { name, sizeBytes, held, envelope } of waiting) {
    const id = name.replace(/\.mail$/, '');
    const time = envelope === null ? '' : shownTime(envelope.timeMs);
    const sender = envelope === null ? '' : envelope.mailFrom || 'MAILER-DAEMON';
    line(
      `${`${id.slice(3)}${held === null ? '' : '!'}`.padEnd(30)}${String(sizeBytes).padStart(8)} ${time.padEnd(20)} ${sender}`,
    );
    if (held !== null) line(`${' '.repeat(20)}(${held.code} ${held.enhanced} ${held.text})`);
    for (const { address } of envelope?.recipients ?? []) line(`${' '.repeat(60)}${address}`);
    line('');
  }
  const bytes = waiting.reduce((sum, { sizeBytes }) => sum + sizeBytes, 0);
  line(
    `-- ${Math.ceil(bytes / 1024)} Kbytes in ${waiting.length} Request${waiting.length === 1 ? '' : 's'}.`,
  );
  return exits.ok;
};

/** `Tue Nov 24 07:35:29`, as C's ctime has it, in UTC. */
const shownTime = (timeMs: number): string => {
  const [, day, date, month, time] =
    /^(\w{3}), (\d\d) (\w{3}) \d+ ([\d:]+)/.exec(new Date(timeMs).toUTCString()) ?? [];
  return `${day} ${month} ${date} ${time}`;
};

/** `-q`: hands in all that waits, to the running server or, where none runs, straight into the log. What was refused is tried too. */
export const flush = async (call: SendmailCall): Promise<0 | SysExit> => {
  const { context, request } = call;
  const pickup = createPickup({ io: nodeIo, folder: call.dataFolder });
  if ((await pickup.list()).length === 0) {
    if (request.json) context.printJson({ delivered: 0, known: 0, held: 0, waiting: 0 });
    return exits.ok;
  }
  const writer = await connect({
    dataFolder: call.dataFolder,
    config: call.config,
    logger: context.logger,
  });
  try {
    const { origin } = await writer.mailstore.status();
    const drained = await drainPickup({
      pickup,
      inbound: localInbound(call, writer.mailstore, origin),
      isKnown: (id) => writer.call<boolean>('messageKnown', { id }),
      tryHeld: true,
      clock: systemClock,
      logger: context.logger,
    });
    if (request.json) context.printJson(drained);
    if (drained.waiting > 0)
      throw end(call, exits.tempFail, 'sendmail.still-waiting', { count: drained.waiting });
    if (drained.held > 0) throw end(call, exits.unavailable, 'sendmail.held', { count: drained.held });
    return exits.ok;
  } catch (error) {
    if (error instanceof FengniError && error.retryable) {
      throw end(call, exits.tempFail, 'sendmail.still-waiting', { count: (await pickup.list()).length });
    }
    throw error;
  } finally {
    await writer.close();
  }
};

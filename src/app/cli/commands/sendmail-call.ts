import type { Config } from '#app/config';
import { type ParametersOf, type PlainTextKey, say, type TextKey } from '#base/text';
import { parseEnvelopeAddress, quoteLocalPart } from '#message/address';
import type { CommandContext, SysExit } from '../command.ts';
import type { SendmailRequest } from './sendmail-arguments.ts';

/** @source sysexits.h */
export const exits = {
  ok: 0,
  usage: 64,
  dataError: 65,
  noUser: 67,
  unavailable: 69,
  software: 70,
  osError: 71,
  ioError: 74,
  tempFail: 75,
  noPermission: 77,
  config: 78,
} as const satisfies Record<string, 0 | SysExit>;

/** What every mode of sendmail needs to know. */
export interface SendmailCall {
  context: CommandContext;
  request: SendmailRequest;
  config: Config;
  dataFolder: string;
  /** who called it, also where this process has become the owner of the data folder since */
  caller: { uid: number; login: string; name: string };
  /** what names without a domain get */
  domain: string;
  /** whether the data folder is this process's own */
  isOwner: boolean;
}

/** Nothing was done: why, and the status that the caller gets. */
export class SendmailEnd extends Error {
  readonly status: SysExit;
  readonly sentence: string;
  readonly remedy: string;

  constructor(status: SysExit, sentence: string, remedy: string) {
    super(sentence);
    this.status = status;
    this.sentence = sentence;
    this.remedy = remedy;
  }
}

/** A sentence and what to do, in the language of the person. */
export const end = <Key extends TextKey & `sendmail.${string}`>(
  { context }: Pick<SendmailCall, 'context'>,
  status: SysExit,
  key: Key,
  ...parameters: ParametersOf<Key>
): SendmailEnd => {
  const remedy = say(context.language, `${key}.remedy` as PlainTextKey);
  return new SendmailEnd(status, context.say(key, ...parameters), remedy);
};

/** An address of a command line: `bo`, `bo@example.org`, `Bo <bo@example.org>` would be the header's. */
export const envelopeAddress = (call: SendmailCall, text: string): string => {
  const bare = text.trim().replace(/^<(.*)>$/s, '$1');
  const address = bare.includes('@') ? bare : `${quoteLocalPart(bare)}@${call.domain}`;
  const parsed = bare === '' ? null : parseEnvelopeAddress(address);
  if (parsed === null)
    throw end(call, exits.dataError, 'sendmail.address-malformed', { address: JSON.stringify(text) });
  return parsed.address;
};

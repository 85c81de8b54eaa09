import { base32OfNumber, parseBase32Number } from '#base/base32';
import { latin1, utf8 } from '#base/bytes';
import { canonicalJson, type JsonObject } from '#base/canonical-json';
import { FengniError } from '#base/errors';
import { Fields } from './fields.ts';
import type { DeliverEvent, RowEvent, StateChange, StateEvent } from './port.ts';

/**
 * What the bodies of frames say: canonical JSON, sealed or clear (docs/formats/frames.md).
 *
 * Every sealed body begins, in sorted order, with other members but always has `salt`: 32 random octets, so that the body
 * commitment in the record tells nothing about a body whose key is gone.
 */

/** One recipient's place in the leaf's `rcp` tree, so that a receipt can open this recipient alone. */
export interface RecipientProof {
  index: number;
  /** hashes from the leaf to the root, each 32 octets in base64 */
  path: readonly string[];
  /** 32 octets in base64 */
  salt: string;
}

export interface DeliverContent extends Omit<DeliverEvent, 'type' | 'seq' | 'at' | 'key'> {
  recipient: RecipientProof | null;
  /** what the sender asked to be told of this recipient (RFC 3461); left out where it said nothing */
  dsn?: { notify: string | null; orcpt: string | null };
}

/** The plaintext head of a MSG frame: salts, digests and evidence of one original; nothing about recipients. */
export interface MessageContent {
  /** Authentication results as committed to by `aut` */
  aut: string;
  /** SHA-256 of each 64 KiB of the original, base64 */
  chunks: readonly string[];
  env: string;
  /** DKIM key records that were used, in base64; their hashes stand in `aut`. Left out where there are none */
  keys?: readonly { name: string; record: string }[];
  salts: { aut: string; env: string; msg: string; pre: string; ses: string };
  ses: string;
  sha256Hex: string;
  sizeBytes: number;
}

export type StateContent = Omit<StateEvent, 'type' | 'seq' | 'key'>;
export type RowContent = Pick<RowEvent, 'table' | 'key' | 'value'>;

/** emailId, threadId, mailboxId and account of a `seq`: a letter and the number, so that none is ever used twice. */
export const idOf = (letter: 'a' | 'b' | 'e' | 'm' | 't', seq: number): string =>
  letter + base32OfNumber(seq);

/** The `seq` inside such an id, or null. */
export const seqOf = (id: string): number | null => parseBase32Number(id.slice(1));

export const encodeMessage = (content: MessageContent): Uint8Array =>
  utf8(
    canonicalJson({
      aut: content.aut,
      chunks: content.chunks,
      env: content.env,
      ...(content.keys === undefined || content.keys.length === 0
        ? {}
        : { keys: content.keys.map(({ name, record }) => ({ name, record })) }),
      salts: content.salts,
      ses: content.ses,
      sha256: content.sha256Hex,
      size: content.sizeBytes,
      v: 1,
    }),
  );

export const decodeMessage = (octets: Uint8Array): MessageContent => {
  const fields = new Fields(octets, 'MSG');
  const salts = fields.object('salts');
  return {
    aut: fields.text('aut'),
    chunks: fields.texts('chunks'),
    env: fields.text('env'),
    ...(Object.hasOwn(fields.all, 'keys')
      ? {
          keys: fields.objects('keys').map((key) => ({ name: key.text('name'), record: key.text('record') })),
        }
      : {}),
    salts: {
      aut: salts.text('aut'),
      env: salts.text('env'),
      msg: salts.text('msg'),
      pre: salts.text('pre'),
      ses: salts.text('ses'),
    },
    ses: fields.text('ses'),
    sha256Hex: fields.text('sha256'),
    sizeBytes: fields.number('size'),
  };
};

/** @param salt 32 random octets in base64 */
export const encodeDeliver = (content: DeliverContent, salt: string): Uint8Array =>
  utf8(
    canonicalJson({
      account: content.account,
      address: content.address,
      date: content.dateMs,
      ...(content.dsn === undefined ? {} : { dsn: { notify: content.dsn.notify, orcpt: content.dsn.orcpt } }),
      email: content.emailId,
      flags: content.flags,
      mailbox: content.mailbox,
      message: content.messageSeq,
      modseq: content.modSeq,
      prefix: prefixText(content.prefix),
      rcp:
        content.recipient === null
          ? null
          : { index: content.recipient.index, path: content.recipient.path, salt: content.recipient.salt },
      salt,
      thread: content.threadId,
      uid: content.uid,
      uidl: content.uidl,
      v: 1,
    }),
  );

export const decodeDeliver = (octets: Uint8Array): DeliverContent => {
  const fields = new Fields(octets, 'DELIVER');
  const proof = fields.nullable('rcp');
  const dsn = Object.hasOwn(fields.all, 'dsn') ? fields.object('dsn') : null;
  return {
    account: fields.text('account'),
    address: fields.text('address'),
    dateMs: fields.number('date'),
    ...(dsn === null
      ? {}
      : { dsn: { notify: dsn.nullableText('notify'), orcpt: dsn.nullableText('orcpt') } }),
    emailId: fields.text('email'),
    flags: fields.texts('flags'),
    mailbox: fields.text('mailbox'),
    messageSeq: fields.number('message'),
    modSeq: fields.number('modseq'),
    prefix: utf8(fields.text('prefix')),
    recipient:
      proof === null
        ? null
        : { index: proof.number('index'), path: proof.texts('path'), salt: proof.text('salt') },
    threadId: fields.text('thread'),
    uid: fields.number('uid'),
    uidl: fields.text('uidl'),
  };
};

export const encodeState = (content: StateContent, salt: string): Uint8Array =>
  utf8(
    canonicalJson({
      account: content.account,
      actor: content.actor,
      change: content.change as unknown as JsonObject,
      mailbox: content.mailbox,
      modseq: content.modSeq,
      salt,
      time: content.timeMs,
      v: 1,
    }),
  );

export const decodeState = (octets: Uint8Array): StateContent => {
  const fields = new Fields(octets, 'STATE');
  return {
    account: fields.text('account'),
    actor: fields.text('actor'),
    change: decodeChange(fields.object('change')),
    mailbox: fields.text('mailbox'),
    modSeq: fields.number('modseq'),
    timeMs: fields.number('time'),
  };
};

/** @param salt null for a table that the schema marks impersonal: its rows are in clear */
export const encodeRow = (content: RowContent, salt: string | null): Uint8Array =>
  utf8(
    canonicalJson({
      key: content.key,
      ...(salt === null ? {} : { salt }),
      table: content.table,
      v: 1,
      value: content.value,
    }),
  );

export const decodeRow = (octets: Uint8Array): RowContent => {
  const fields = new Fields(octets, 'ROW');
  return {
    key: fields.text('key'),
    table: fields.text('table'),
    value: fields.nullable('value')?.all ?? null,
  };
};

const decodeChange = (fields: Fields): StateChange => {
  const op = fields.text('op');
  switch (op) {
    case 'create':
      return {
        op,
        name: fields.text('name'),
        role: fields.nullableText('role'),
        uidValidity: fields.number('uidValidity'),
        subscribed: fields.flag('subscribed'),
      };
    case 'rename':
      return { op, name: fields.text('name') };
    case 'delete':
      return { op };
    case 'subscribe':
      return { op, name: fields.text('name'), subscribed: fields.flag('subscribed') };
    case 'flags': {
      const mode = fields.text('mode');
      if (mode !== 'add' && mode !== 'remove' && mode !== 'replace') throw fields.wrong('mode');
      return { op, mode, flags: fields.texts('flags'), uids: fields.uidSet('uids') };
    }
    case 'expunge':
      return { op, uids: fields.uidSet('uids') };
    case 'place':
      return {
        op,
        placements: fields.objects('placements').map((each) => ({
          uid: each.number('uid'),
          emailId: each.text('emailId'),
          flags: each.texts('flags'),
          dateMs: each.number('dateMs'),
          savedMs: each.number('savedMs'),
          uidl: each.text('uidl'),
        })),
      };
    case 'recent':
      return { op, below: fields.number('below') };
    case 'numbers':
      return {
        op,
        uidNexts: fields.objects('uidNexts').map((each) => ({
          mailbox: each.text('mailbox'),
          uidNext: each.number('uidNext'),
        })),
      };
    default:
      throw fields.wrong('op');
  }
};

/** Prefixes are ASCII or UTF-8 (SMTPUTF8); anything else never left the SMTP engine. */
const prefixText = (prefix: Uint8Array): string => {
  try {
    return new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(prefix);
  } catch (cause) {
    throw new FengniError('prefix-not-text', {
      subject: `a prefix of ${prefix.length} octets that is not UTF-8: ${JSON.stringify(latin1(prefix.subarray(0, 60)))}`,
      remedy: 'report this as a bug: the SMTP engine lets only UTF-8 through',
      cause,
    });
  }
};

import { concat } from '#base/bytes';
import type { Clock, Random } from '#base/clock';
import { FengniError } from '#base/errors';
import { toAscii } from '#base/idna';
import type { Logger } from '#base/logger';
import {
  type AcceptedRecipient,
  type InboundDelivery,
  type InboundService,
  type InboundTransaction,
  type RecipientVerdict,
  type Refusal,
  type RefusedMessage,
  refusal,
  type SenderVerdict,
  storeIsAway,
} from '#protocols/smtp';
import type { Authentication, Disposition, JunkReason, SenderFindings } from '#services/authentication';
import {
  createMessageParser,
  createMessageSealer,
  type LargeBodies,
  type MailstoreWriter,
  type MessageParser,
  ownFileBytesMin,
  type SealedRecipient,
} from '#services/mailstore';
import type { Poison } from '#services/poison';
import { envelopeFields } from '#services/trace';
import {
  buildRecipientsTree,
  encodeAuthentication,
  encodeEnvelope,
  encodeSession,
  saltBytes,
  sha256,
} from '#trust/seal';
import { commonPrefix, copyPrefix } from './trace.ts';

export interface InboundOptions {
  /** `keepMailOf` may be left out where nobody is authenticated */
  writer: Pick<MailstoreWriter, 'resolve' | 'deliver'> & Partial<Pick<MailstoreWriter, 'keepMailOf'>>;
  hostname: string;
  /** `<hostname>/fengni/s<shard>/g<N>`, as the writer says it */
  origin(): string;
  clock: Clock;
  random: Random;
  logger: Logger;
  /** where large messages go as they arrive; null keeps every message in memory */
  large: LargeBodies | null;
  /** octets of unfinished messages in the memory of this process; beyond it new octets are refused for a while */
  heldBytesMax: number;
  /** whether no new message should be begun */
  isDiskNearlyFull?(): boolean;
  /** counts by name why it refuses; names as `/metrics` has them */
  count?(name: string): void;
  /** for a process that serves strangers; one that serves one message and ends has none */
  poison?: Poison;
  /** who sent it; without it nothing is checked, as for mail that comes by a command on this machine */
  authentication?: Authentication;
  /** `createMessageParser`, but for tests */
  createParser?(): MessageParser;
}

/** A message that came by a command on this machine: no peer, no session, no TLS. */
export interface LocalTransaction extends Pick<InboundTransaction, 'mailFrom' | 'parameters'> {
  readonly peer: null;
  readonly helo: null;
  readonly protocol: 'LOCAL';
  readonly tls: null;
  /** who ran the command, as the system numbers users */
  readonly uid: number;
  /** of an attempt before this one, so that the message has the same id again; null: a fresh one */
  readonly msgSalt: Uint8Array | null;
}

/** What the SMTP engine asks, and the command line by the same way. */
export interface Inbound extends InboundService {
  sender(transaction: InboundTransaction | LocalTransaction): SenderVerdict;
  recipient(transaction: InboundTransaction | LocalTransaction, address: string): Promise<RecipientVerdict>;
  begin(
    transaction: InboundTransaction | LocalTransaction,
    recipients: readonly AcceptedRecipient[],
  ): InboundDelivery;
}

const unknown = refusal(550, '5.1.1', 'No such mailbox here');
const relaying = refusal(
  550,
  '5.7.1',
  'Relaying is not allowed: this server takes mail for its own domains only',
);
const disabled = refusal(550, '5.2.1', 'This mailbox is disabled');
const diskNearlyFull = refusal(452, '4.3.1', 'Insufficient system storage, try again later');
const tooMuch = refusal(452, '4.3.1', 'Too much mail arrives at once, try again later');

const parserFailed = refusal(451, '4.3.0', 'This message could not be read here, try again later');
const isSetAside = refusal(
  451,
  '4.3.0',
  'This message has stopped the server twice and is set aside; ask its postmaster',
);

const counted: ReadonlyMap<Refusal, string> = new Map([
  [unknown, 'smtp-recipient-unknown'],
  [relaying, 'smtp-relay-refused'],
  [disabled, 'smtp-recipient-disabled'],
  [storeIsAway, 'smtp-store-unavailable'],
  [diskNearlyFull, 'smtp-disk-nearly-full'],
  [tooMuch, 'smtp-too-much-at-once'],
  [parserFailed, 'smtp-parser-failed'],
  [isSetAside, 'smtp-poison'],
]);

/** What the SMTP engine asks of the mail system, for one process. */
export const createInbound = (options: InboundOptions): Inbound => {
  const { writer, logger, poison, authentication, createParser = createMessageParser } = options;
  let heldBytes = 0;
  const noted = (refused: Refusal): Refusal => {
    const name = counted.get(refused);
    if (name === undefined) return refused;
    options.count?.(name);
    return { ...refused, reason: name.replace(/^smtp-/, '') };
  };

  const recipient = async (
    transaction: InboundTransaction | LocalTransaction,
    address: string,
  ): Promise<RecipientVerdict> => {
    if (options.isDiskNearlyFull?.() === true) return noted(diskNearlyFull);
    const verdict = await resolve(address);
    // Whoever has no recipient here is not asked for in DNS.
    if (verdict.kind === 'accepted' && transaction.peer !== null) authentication?.prepare(transaction);
    return verdict;
  };

  // Postfix too says so at MAIL: a sender with many recipients learns it at once.
  const sender = (): SenderVerdict =>
    options.isDiskNearlyFull?.() === true ? noted(diskNearlyFull) : { kind: 'accepted' };

  const resolve = async (address: string): Promise<RecipientVerdict> => {
    try {
      const verdict = await writer.resolve(address);
      switch (verdict.kind) {
        case 'accepted':
          return { kind: 'accepted', key: verdict.recipients.map(({ account }) => account).join(' ') };
        case 'unknown':
          return noted(unknown);
        case 'relay':
          return noted(relaying);
        case 'disabled':
          return noted(disabled);
      }
    } catch (error) {
      logger.warn('recipient could not be looked up', { code: codeOf(error) });
      return noted(storeIsAway);
    }
  };

  /** Recipients that have gone between RCPT and the end of the message, by index. */
  const lostSince = async (recipients: readonly AcceptedRecipient[]): Promise<Map<number, Refusal>> => {
    const lost = new Map<number, Refusal>();
    const verdicts = await Promise.all(recipients.map(({ address }) => resolve(address)));
    for (const [index, verdict] of verdicts.entries())
      if (verdict.kind === 'refused') lost.set(index, verdict);
    return lost;
  };

  /**
   * What a verdict means for these recipients. Over SMTP one reply is for all: the message is refused unless it is taken for each account
   * that it would go to. Over LMTP it is refused for those recipients alone for whom it is not taken.
   */
  const settle = async (
    disposition: Disposition,
    recipients: readonly AcceptedRecipient[],
    isLmtp: boolean,
  ): Promise<Refusal | Settled> => {
    const junk = (why: JunkReason): { kind: 'taken'; isJunk: true } => {
      options.count?.(`smtp-sender-junk-${why}`);
      return { kind: 'taken', isJunk: true };
    };
    const refused = (why: 'dmarc' | 'forged-results', reason: Refusal): Refusal => {
      options.count?.(`smtp-sender-refused-${why}`);
      return reason.reason === undefined ? { ...reason, reason: 'authentication' } : reason;
    };
    switch (disposition.kind) {
      case 'accept':
        return { kind: 'taken', isJunk: false };
      case 'junk':
        return junk(disposition.why);
      case 'refuse':
        return refused(disposition.why, disposition.refusal);
    }
    const { domain, results, why, refusal: unnamed } = disposition;
    const accounts = [...new Set(recipients.flatMap(({ key }) => key.split(' ')))];
    let keeps: readonly boolean[];
    try {
      keeps = (await writer.keepMailOf?.({ accounts, domain })) ?? [];
    } catch (error) {
      logger.warn('kept mail could not be looked up', { code: codeOf(error) });
      return storeIsAway;
    }
    const keepers = new Set(accounts.filter((_, at) => keeps[at] === true));
    const others = recipients.flatMap(({ key }, index) =>
      key.split(' ').every((account) => keepers.has(account)) ? [] : [index],
    );
    if (others.length === recipients.length || (others.length > 0 && !isLmtp)) return refused(why, unnamed);
    const except = new Map(others.map((index) => [index, refused(why, unnamed)]));
    return { ...junk('kept-mail'), results, except };
  };

  const begin = (
    transaction: InboundTransaction | LocalTransaction,
    recipients: readonly AcceptedRecipient[],
  ): InboundDelivery => {
    const isLocal = transaction.peer === null;
    const sealer = createMessageSealer(
      options.random,
      options.large,
      (isLocal ? transaction.msgSalt : null) ?? undefined,
    );
    const parser = createParser();
    const checks = isLocal ? null : (authentication?.begin(transaction, domainsOf(recipients)) ?? null);
    const read = (octets: Uint8Array): void => {
      parser.write(octets);
      checks?.write(octets);
    };
    /** where its octets wait for the parser, in a process that is careful; the promise is kept until the first `write` */
    const suspect = poison?.isCareful === true ? poison.open() : null;
    suspect?.catch(() => {});
    let held = 0;
    let isOver = false;
    let refusedWith: Refusal | null = null;
    /** for the record of what was refused */
    let facts: RefusedMessage = {};
    let isWithdrawn = false;
    const hold = (bytes: number): void => {
      heldBytes += bytes - held;
      held = bytes;
    };
    const release = (): void => hold(0);
    const discard = (): Promise<void> =>
      Promise.all([sealer.discard(), suspect?.then((file) => file.discard())]).then(
        () => {},
        (error: unknown) => {
          // What stays behind is removed when this process starts again.
          logger.warn('spool file not removed', { code: codeOf(error) });
        },
      );
    /** What parsing ends with; a refusal when the parser fails. */
    const parsed = async (sha256Hex: string): Promise<ReturnType<MessageParser['end']> | Refusal> => {
      try {
        if (suspect === null) return parser.end();
      } catch (error) {
        return parserThrew(error);
      }
      let ended: ReturnType<MessageParser['end']> | null = null;
      const outcome = await (await suspect).parse(sha256Hex, read, () => {
        ended = parser.end();
      });
      if (outcome === 'parsed') return ended ?? parser.end();
      return outcome === 'failed' ? parserFailed : isSetAside;
    };
    const parserThrew = (error: unknown): Refusal => {
      logger.error('parser failed', { error: error instanceof Error ? (error.stack ?? error.message) : '' });
      poison?.beCareful();
      return parserFailed;
    };
    const refuse = (reason: Refusal): Promise<void> => {
      refusedWith = reason;
      release();
      checks?.abort();
      return discard();
    };
    const spoolFailed = (error: unknown): Promise<void> => {
      logger.warn('spool cannot be written', { code: codeOf(error) });
      const isFull = error instanceof FengniError && error.code === 'disk-full';
      return refuse(isFull ? diskNearlyFull : storeIsAway);
    };

    // Not in `write`, whose closures would keep the octets while the disk is waited for.
    const settled = (written: Promise<unknown>): Promise<void> =>
      written.then(() => {
        if (refusedWith === null && !isOver) hold(sealer.heldBytes + parser.heldBytes);
      }, spoolFailed);

    const finish = async (): ReturnType<InboundDelivery['finish']> => {
      if (refusedWith !== null) return refusedWith;
      const timeMs = options.clock.nowMs();
      const completeMs = options.clock.monotonicMs();
      let completed: Awaited<ReturnType<typeof sealer.complete>>;
      try {
        completed = await sealer.complete();
      } catch (error) {
        await spoolFailed(error);
        return refusedWith ?? storeIsAway;
      }
      const { id, sha256Hex, sizeBytes } = completed;
      facts = { id, sha256Hex, sizeBytes };
      let structure: Awaited<ReturnType<typeof parsed>>;
      try {
        structure = await parsed(sha256Hex);
      } catch (error) {
        await spoolFailed(error);
        return refusedWith ?? storeIsAway;
      }
      if ('kind' in structure) {
        await discard();
        return structure;
      }
      facts = { ...facts, ...envelopeFields(structure.envelope) };
      let sender: SenderFindings | null = null;
      try {
        sender = (await checks?.finish()) ?? null;
        facts = { ...facts, reverse: sender?.reverseName ?? null };
      } catch (error) {
        await discard();
        return parserThrew(error);
      }
      const { peer, helo, protocol, tls, mailFrom } = transaction;
      const isLmtp = protocol.includes('LMTP');
      const said = sender === null ? null : await settle(sender.disposition, recipients, isLmtp);
      if (said?.kind === 'refused') {
        logger.info('message refused', { id, enhanced: said.enhanced, protocol });
        await discard();
        return said;
      }
      const except = isLmtp ? await lostSince(recipients) : new Map<number, Refusal>();
      for (const [index, reason] of said?.except ?? []) if (!except.has(index)) except.set(index, reason);
      const taking = recipients.filter((_, index) => !except.has(index));
      if (taking.length === 0) {
        await discard();
        return { kind: 'accepted', id, sha256Hex, except };
      }
      const results = said?.results ?? sender?.results ?? [`${options.hostname}; none`];
      const keys = sender?.keys ?? [];
      const common = commonPrefix({
        from:
          peer === null
            ? null
            : { helo, address: peer.address, name: peer.name ?? sender?.reverseName ?? null, via: peer.via },
        ...(peer === null ? { uid: transaction.uid } : {}),
        hostname: options.hostname,
        protocol,
        tls,
        id,
        sha256Hex,
        onlyRecipient: recipients.length === 1 ? (recipients[0]?.address ?? null) : null,
        timeMs,
        results,
        origin: options.origin(),
      });
      const salted = taking.map(({ address }) => ({ address, salt: options.random(saltBytes) }));
      const tree = await buildRecipientsTree(salted, options.random);
      const message = sealer.seal({
        kind: 'received',
        evidence: {
          env: encodeEnvelope({ mailFrom, parameters: transaction.parameters }),
          ses: encodeSession({
            ...(peer === null
              ? { uid: transaction.uid }
              : { ...peerEvidence(peer, sender?.reverseName ?? null), helo }),
            protocol,
            ...(tls === null
              ? {}
              : {
                  tls: {
                    version: tls.version,
                    cipher: tls.cipher,
                    ...(tls.group === null ? {} : { group: tls.group }),
                    ...(tls.client === undefined || tls.client === null ? {} : { client: tls.client }),
                  },
                }),
            timeMs,
          }),
          aut: encodeAuthentication({
            results,
            keys: keys.map(({ name, record }) => ({ name, sha256: sha256(record) })),
          }),
        },
        keys,
        prefix: common,
        rcp: tree.root,
        parsed: structure,
      });
      const isJunk = said?.isJunk === true;
      const copies = new Map<string, SealedRecipient>();
      for (const [at, { address, key, dsn }] of taking.entries()) {
        const place = tree.places[at];
        const salt = salted[at]?.salt;
        if (place === undefined || salt === undefined) throw new Error('every recipient has its place');
        const prefix = concat([copyPrefix({ mailFrom, recipient: address }), common]);
        for (const account of key.split(' ')) {
          // An account that two of the addresses lead to gets one copy, as the first of them.
          if (!copies.has(account))
            copies.set(account, { account, address, prefix, proof: { ...place, salt }, dsn, isJunk });
        }
      }
      try {
        // No time-out of our own: what is in the writer's group gets what the group gets, however late (WIRE, “Limits and replies”).
        const outcome = await writer.deliver(message, [...copies.values()], completeMs);
        if (outcome.kind === 'refused') {
          await discard();
          return { ...refusal(451, '4.3.0', outcome.text), reason: 'store-refused' };
        }
        logger.info('message received', { id, sizeBytes, recipients: taking.length, protocol });
        return { kind: 'accepted', id, sha256Hex, ...(except.size === 0 ? {} : { except }) };
      } catch (error) {
        logger.warn('message not taken', { id, code: codeOf(error) });
        isWithdrawn = codeOf(error) === 'writer-late';
        await discard();
        return storeIsAway;
      }
    };

    return {
      write: (octets) => {
        if (refusedWith !== null) return;
        if (heldBytes + octets.length > options.heldBytesMax) return refuse(tooMuch);
        // A large message that began in time stops as well: what is left of the disk is for what was promised.
        if (sealer.sizeBytes > ownFileBytesMin && options.isDiskNearlyFull?.() === true)
          return refuse(diskNearlyFull);
        const sealed = sealer.write(octets);
        hold(sealer.heldBytes + parser.heldBytes);
        if (suspect === null) {
          try {
            read(octets);
          } catch (error) {
            return refuse(parserThrew(error));
          }
          return sealed === undefined ? undefined : settled(sealed);
        }
        return settled(Promise.all([sealed, suspect.then((file) => file.write(octets))]));
      },
      finish: () => {
        isOver = true;
        return finish()
          .then((outcome) =>
            outcome.kind === 'refused'
              ? { ...noted(outcome), message: facts, ...(isWithdrawn ? { reason: 'withdrawn' } : {}) }
              : outcome,
          )
          .finally(release);
      },
      seen: () => {
        const sizeOnly = { sizeBytes: sealer.sizeBytes };
        // In a careful process it was not parsed, and must not be for this.
        if (suspect !== null || refusedWith !== null) return sizeOnly;
        try {
          return { ...sizeOnly, ...envelopeFields(parser.end().envelope) };
        } catch {
          return sizeOnly;
        }
      },
      abort: () => {
        isOver = true;
        release();
        checks?.abort();
        void discard();
      },
    };
  };

  return { sender, recipient, begin };
};

/** A message is taken, for all recipients but these. */
interface Settled {
  readonly kind: 'taken';
  readonly isJunk: boolean;
  /** what is said of the sender, where that depends on the recipients */
  readonly results?: readonly string[];
  readonly except?: ReadonlyMap<number, Refusal>;
}

/** In A-labels; `Postmaster` may come without. */
const domainsOf = (recipients: readonly AcceptedRecipient[]): Set<string> =>
  new Set(
    recipients.flatMap(({ address }) => {
      const domain = address.slice(address.lastIndexOf('@') + 1);
      return domain === address ? [] : [toAscii(domain) ?? domain.toLowerCase()];
    }),
  );

/** `unix` for a Unix socket: nobody's address. */
const peerEvidence = ({ address, port, name, via }: InboundTransaction['peer'], reverse: string | null) => ({
  peer: address === '' ? (via.length === 0 ? 'unix' : 'unknown') : address,
  ...(address === '' ? {} : { port }),
  ...(name === null ? {} : { name }),
  ...(reverse === null ? {} : { reverse }),
  via: via.map(({ by, address: of }) => `${by} ${of === '' ? 'unix' : of}`),
});

const codeOf = (error: unknown): string => (error instanceof FengniError ? error.code : String(error));

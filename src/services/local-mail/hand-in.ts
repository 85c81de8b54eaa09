import type { Refusal } from '#protocols/smtp';
import type { Inbound, LocalTransaction } from '#services/inbound';

/** A message of a local program, complete. */
export interface LocalMail {
  /** without angle brackets; empty for `<>` */
  mailFrom: string;
  recipients: readonly { address: string; notify: string | null }[];
  /** of MAIL, as SMTP writes them */
  parameters: readonly string[];
  uid: number;
  msgSalt: Uint8Array;
  pieces: readonly Uint8Array[];
}

export interface RefusedRecipient {
  address: string;
  refusal: Refusal;
}

export type HandedIn =
  | { kind: 'accepted'; id: string; sha256Hex: string }
  /** for good; nobody got it */
  | { kind: 'refused'; refused: readonly RefusedRecipient[] }
  /** for now; nobody got it, or nobody knows: the same under the same salt does no harm */
  | { kind: 'later'; refusal: Refusal };

export const localTransaction = (
  mail: Pick<LocalMail, 'mailFrom' | 'parameters' | 'uid' | 'msgSalt'>,
): LocalTransaction => ({
  peer: null,
  helo: null,
  protocol: 'LOCAL',
  tls: null,
  mailFrom: mail.mailFrom,
  parameters: mail.parameters,
  uid: mail.uid,
  msgSalt: mail.msgSalt,
});

/** The parameters that a MAIL command would have had. */
export const mailParameters = (options: {
  addresses: readonly string[];
  body: '7BIT' | '8BITMIME';
  ret: string | null;
  envid: string | null;
}): string[] => [
  `BODY=${options.body}`,
  // biome-ignore lint/suspicious/noControlCharactersInRegex: everything that is not ASCII
  ...(options.addresses.some((address) => /[^\x00-\x7f]/.test(address)) ? ['SMTPUTF8'] : []),
  ...(options.ret === null ? [] : [`RET=${options.ret}`]),
  ...(options.envid === null ? [] : [`ENVID=${options.envid}`]),
];

/** Asks for each recipient; who is refused, or a refusal for now of any. */
export const checkRecipients = async (
  inbound: Pick<Inbound, 'recipient'>,
  mail: Omit<LocalMail, 'pieces'>,
): Promise<
  { kind: 'accepted'; keys: readonly string[] } | Extract<HandedIn, { kind: 'refused' | 'later' }>
> => {
  const keys: string[] = [];
  const refused: RefusedRecipient[] = [];
  for (const { address } of mail.recipients) {
    const verdict = await inbound.recipient(localTransaction(mail), address);
    if (verdict.kind === 'accepted') keys.push(verdict.key);
    else if (verdict.code < 500) return { kind: 'later', refusal: verdict };
    else refused.push({ address, refusal: verdict });
  }
  return refused.length > 0 ? { kind: 'refused', refused } : { kind: 'accepted', keys };
};

/** Hands a message in the way that mail from outside takes: for all of its recipients, or none. */
export const handIn = async (inbound: Inbound, mail: LocalMail): Promise<HandedIn> => {
  const checked = await checkRecipients(inbound, mail);
  if (checked.kind !== 'accepted') return checked;
  const delivery = inbound.begin(
    localTransaction(mail),
    mail.recipients.map(({ address, notify }, at) => ({
      address,
      key: checked.keys[at] ?? '',
      dsn: notify === null ? null : { notify, orcpt: null },
    })),
  );
  for (const piece of mail.pieces) await delivery.write(piece);
  const outcome = await delivery.finish();
  if (outcome.kind === 'accepted') return outcome;
  if (outcome.code < 500) return { kind: 'later', refusal: outcome };
  return {
    kind: 'refused',
    refused: mail.recipients.map(({ address }) => ({ address, refusal: outcome })),
  };
};

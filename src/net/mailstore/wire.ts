import { concat } from '#base/bytes';
import { FengniError } from '#base/errors';
import type { SealedMessage, SealedRecipient } from '#services/mailstore';
import type { AddedAs } from '#store/index';

/** A message as parameters and attachments; both ends are of one build. */
export interface MessageParams {
  kind: AddedAs;
  id: string;
  sha256Hex: string;
  sizeBytes: number;
  storedOctetsBytes: number;
  /** the file in `spool/` that has the octets; its hash is the last of the fixed fields */
  spoolName: string | null;
  threadKeys: readonly string[];
  preview: string;
}

const hashBytes = 32;
const fileKeyBytes = 16;
/** hashes before the one of the spooled file */
const leafEnd = 8;
const noOctets = new Uint8Array(0);
const leafFields = ['msg', 'pre', 'env', 'rcp', 'ses', 'aut'] as const;

/** One attachment of fixed fields, five of strings, then the octets in pieces. */
export const encodeMessageParams = (
  message: SealedMessage,
): { params: MessageParams; attachments: Uint8Array[] } => {
  const { parsed } = message;
  return {
    params: {
      kind: message.kind,
      id: message.id,
      sha256Hex: message.sha256Hex,
      sizeBytes: message.sizeBytes,
      storedOctetsBytes: message.storedOctetsBytes,
      spoolName: message.ownFile?.spoolName ?? null,
      threadKeys: parsed.threadKeys,
      preview: parsed.preview,
    },
    attachments: [
      concat([
        message.fileKey,
        message.storedHash,
        message.bodyCommitment,
        ...leafFields.map((field) => message.leaf[field]),
        message.ownFile?.sha256 ?? noOctets,
      ]),
      message.storedHead,
      parsed.envelope,
      parsed.bodyStructure,
      parsed.body,
      parsed.structure,
      ...message.storedOctets,
    ],
  };
};

export const decodeMessageParams = (
  params: MessageParams,
  attachments: readonly Uint8Array[],
): SealedMessage => {
  const { spoolName, threadKeys, preview, ...rest } = params;
  const [fixed, storedHead, envelope, bodyStructure, body, structure, ...storedOctets] = attachments;
  if (
    fixed?.length !== fileKeyBytes + (spoolName === null ? leafEnd : leafEnd + 1) * hashBytes ||
    storedHead === undefined ||
    envelope === undefined ||
    bodyStructure === undefined ||
    body === undefined ||
    structure === undefined
  ) {
    throw malformed('a message with attachments missing');
  }
  const hash = (at: number): Uint8Array =>
    fixed.slice(fileKeyBytes + at * hashBytes, fileKeyBytes + (at + 1) * hashBytes);
  const field = (name: (typeof leafFields)[number]): Uint8Array => hash(2 + leafFields.indexOf(name));
  return {
    ...rest,
    ownFile: spoolName === null ? null : { spoolName, sha256: hash(leafEnd) },
    fileKey: fixed.slice(0, fileKeyBytes),
    storedHash: hash(0),
    bodyCommitment: hash(1),
    leaf: {
      msg: field('msg'),
      pre: field('pre'),
      env: field('env'),
      rcp: field('rcp'),
      ses: field('ses'),
      aut: field('aut'),
    },
    storedHead,
    storedOctets,
    parsed: { envelope, bodyStructure, body, structure, threadKeys, preview },
  };
};

export interface RecipientParams {
  account: string;
  address: string;
  index: number;
  dsn: NonNullable<SealedRecipient['dsn']> | null;
  isJunk: boolean;
}

/** Two attachments a recipient: the prefix; salt and path. */
export const encodeRecipients = (
  recipients: readonly SealedRecipient[],
): { params: RecipientParams[]; attachments: Uint8Array[] } => ({
  params: recipients.map(({ account, address, proof, dsn, isJunk }) => ({
    account,
    address,
    index: proof.index,
    dsn: dsn ?? null,
    isJunk: isJunk === true,
  })),
  attachments: recipients.flatMap(({ prefix, proof }) => [prefix, concat([proof.salt, ...proof.path])]),
});

export const decodeRecipients = (
  params: readonly RecipientParams[],
  attachments: readonly Uint8Array[],
): SealedRecipient[] =>
  params.map(({ account, address, index, dsn, isJunk }, at) => {
    const prefix = attachments[2 * at];
    const proof = attachments[2 * at + 1];
    if (
      prefix === undefined ||
      proof === undefined ||
      proof.length < hashBytes ||
      proof.length % hashBytes !== 0
    ) {
      throw malformed('a recipient with attachments missing');
    }
    const path = Array.from({ length: proof.length / hashBytes - 1 }, (_, level) =>
      proof.slice((level + 1) * hashBytes, (level + 2) * hashBytes),
    );
    return { account, address, prefix, proof: { index, path, salt: proof.slice(0, hashBytes) }, dsn, isJunk };
  });

const malformed = (subject: string): FengniError =>
  new FengniError('ipc-params-malformed', {
    subject,
    remedy: 'the two processes are not of the same build; restart the server',
  });

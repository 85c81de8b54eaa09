import { type ChildProcess, fork } from 'node:child_process';
import { generateKeyPairSync, type KeyObject } from 'node:crypto';
import path from 'node:path';
import type { Zone, ZoneRecords } from '../../test/support/dns-zone.ts';
import { signDkim } from '../../test/support/sign-dkim.ts';
import type { LoadMessages } from './load-message.ts';

// Who sends the load of `bench -- smtp --auth`, as far as others can find out: its address, its records in DNS, its signatures.

/** what relays say of the load: an address of TEST-NET-1, since loopback is everybody's own */
export const loadXclient = 'NAME=mx.load.example ADDR=192.0.2.10 PORT=40025 PROTO=ESMTP HELO=mx.load.example';

const signedFields = ['From', 'To', 'Subject', 'Date', 'MIME-Version', 'Content-Type'];
/** signers of one message, the author's domain first: with one signature it is that */
const signers = [
  ['s1', 'load.example'],
  ['s2', 'load.example'],
  ['a', 'sender.example'],
  ['b', 'sender.example'],
  ['x', 'list.example'],
] as const;
export const signaturesMax = signers.length;

export interface SignedLoad {
  /** `ADDRESS`, whose port 53 answers for the load's domains */
  readonly resolver: string;
  readonly dns: ChildProcess;
  /** The fields DKIM-Signature for messages of a round. */
  sign(messages: Pick<LoadMessages, 'signed'>, count: number): Promise<string>;
  /** octets of so many of them */
  sizeOf(count: number): Promise<number>;
}

/** Makes keys, and serves them and the rest that vouches for the load by DNS, in a process of its own. */
export const startSignedLoad = async (): Promise<SignedLoad> => {
  const keys: KeyObject[] = [];
  const zone: Record<string, ZoneRecords> = {
    'load.example': { TXT: ['v=spf1 include:_spf.load.example -all'] },
    '_spf.load.example': { TXT: ['v=spf1 ip4:192.0.2.0/28 ip4:198.51.100.0/24 ~all'] },
    'mx.load.example': { A: ['192.0.2.10'], TXT: ['v=spf1 a -all'] },
    '192.0.2.10': { PTR: ['mx.load.example'] },
    '_dmarc.load.example': { TXT: ['v=DMARC1; p=reject'] },
  };
  for (const [selector, domain] of signers) {
    const { privateKey, publicKey } = generateKeyPairSync('rsa', { modulusLength: 2_048 });
    keys.push(privateKey);
    const spki = publicKey.export({ type: 'spki', format: 'der' }).toString('base64');
    zone[`${selector}._domainkey.${domain}`] = { TXT: [`v=DKIM1; k=rsa; p=${spki}`] };
  }
  const dns = fork(path.join(import.meta.dirname, 'loopback-dns.ts'));
  const answer = await new Promise<{ address?: string; error?: string }>((resolve) => {
    dns.once('message', (said) => resolve(said as { address?: string; error?: string }));
    dns.send(zone satisfies Zone);
  });
  if (answer.address === undefined) {
    dns.kill();
    throw new Error(`no DNS on port 53 of loopback: ${answer.error}`);
  }
  const load: SignedLoad = {
    resolver: answer.address,
    dns,
    sizeOf: async (count) => (await load.sign({ signed: Buffer.from('From: x\r\n\r\n') }, count)).length,
    sign: async ({ signed }, count) => {
      const fields: string[] = [];
      for (const [at, [selector, domain]] of signers.slice(0, count).entries()) {
        const key = keys[at];
        if (key === undefined) throw new Error('every signer has a key');
        fields.push(await signDkim([signed], { domain, selector, key, signedFields }));
      }
      return fields.join('');
    },
  };
  return load;
};

import { type EvidenceLine, evidenceValue } from '#services/integrity';
import type { CommandContext } from '../command.ts';

/** Who handed it over, in words. */
export const peer = (context: CommandContext, session: readonly EvidenceLine[]): string => {
  const value = (name: string): string | null => evidenceValue(session, name);
  const via = session.flatMap(([name, words]) => (name === 'via' ? [words] : []));
  if (via.length > 0) return throughOthers(context, session, via);
  const [address, account, helo] = [value('peer'), value('account'), value('helo')];
  const place = { peer: address ?? '-', port: value('port') ?? '-' };
  if (account !== null)
    return address === null
      ? context.say('show.peer.account', { account })
      : context.say('show.peer.account-at', { account, ...place });
  if (address === 'unix') return context.say('show.peer.unix');
  if (address === 'unknown') return context.say('show.peer.unknown');
  if (address === null) {
    const uid = value('uid');
    return uid === null ? context.say('show.peer.local') : context.say('show.peer.local-user', { uid });
  }
  return helo === null
    ? context.say('show.peer.nameless', place)
    : context.say('show.peer', { ...place, helo });
};

/** What proxies and relays say of the peer, and which of them said it; none of it was seen by the server itself. */
const throughOthers = (
  context: CommandContext,
  session: readonly EvidenceLine[],
  via: readonly string[],
): string => {
  const own = session.filter(([name]) => name !== 'via');
  const name = evidenceValue(own, 'name');
  const whom = peer(context, own);
  return via
    .map((words) => words.split(' '))
    .reduce(
      (said, [by = '', address = '']) => context.say('show.peer.via', { peer: said, by, address }),
      name === null ? whom : context.say('show.peer.named', { peer: whom, name }),
    );
};

/** The certificate that the peer showed, in words; null where it showed none. */
export const clientCertificate = (
  context: CommandContext,
  session: readonly EvidenceLine[],
): string | null => {
  const fingerprint = evidenceValue(session, 'client')?.replace(/^sha256=/, '');
  if (fingerprint === undefined) return null;
  const names = session.flatMap(([name, value]) => (name === 'client-name' ? [value] : []));
  const subject = evidenceValue(session, 'client-subject') ?? '-';
  const reason = evidenceValue(session, 'client-check') ?? '-';
  return context.say('show.client', {
    subject: names.length === 0 ? subject : `${subject} (${names.join(', ')})`,
    digest: Buffer.from(fingerprint, 'base64').toString('hex'),
    check:
      reason === 'verified'
        ? context.say('show.client.verified')
        : context.say('show.client.not-verified', { reason }),
  });
};

/** By which protocol and how it was protected, in words. */
export const way = (context: CommandContext, session: readonly EvidenceLine[]): string => {
  const protocol = evidenceValue(session, 'protocol') ?? '-';
  const version = evidenceValue(session, 'tls');
  // On the same machine, without a network, there was nothing to encrypt.
  if (version === null) return protocol === 'LOCAL' ? protocol : context.say('show.way.clear', { protocol });
  const group = evidenceValue(session, 'group');
  return context.say('show.way.tls', {
    protocol,
    version,
    cipher: evidenceValue(session, 'cipher') ?? '-',
    group: group === null ? '' : context.say('show.way.group', { group }),
  });
};

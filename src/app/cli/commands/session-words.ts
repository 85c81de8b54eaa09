import { type EvidenceLine, evidenceValue } from '#services/integrity';
import type { CommandContext } from '../command.ts';

/** Who handed it over, in words. */
export const peer = (context: CommandContext, session: readonly EvidenceLine[]): string => {
  const value = (name: string): string | null => evidenceValue(session, name);
  const address = value('peer');
  if (address !== null)
    return context.say('show.peer', {
      peer: address,
      port: value('port') ?? '-',
      helo: value('helo') ?? '-',
    });
  const account = value('account');
  return account === null ? context.say('show.peer.local') : context.say('show.peer.account', { account });
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

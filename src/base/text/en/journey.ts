/** Words of `fengni show` on how a message came. */
export const journey = {
  'show.peer.local-user': 'a command on this machine, of its user {uid}',
  'show.option.as': 'as this recipient: its own address alone, neither others nor their number',
  'show.field.parameters': 'asked',
  'show.peer.unix': 'a program on this machine, by a Unix socket',
  'show.peer.unknown': 'a peer that the relay does not name',
  'show.peer.named': '{peer}, with the host name {name}',
  'show.peer.via': '{peer}; as {address} says by {by}',
  'show.field.claims': 'claimed',
  'show.claims': 'not proven: {count} Received fields of the message itself, newest first',
  'show.claims.unreadable': 'the header cannot be read: run "fengni verify"',
  'show.field.claim': 'claim {number}',
  'show.claim': '{time}, {by} took it from {from} by {protocol}',
} as const;

/** Words of erasure and holds. */
export const erase = {
  'account.option.yes': 'purge: this is meant, nothing can bring it back',
  'account.purged':
    '{address} was erased, and {copies} copies of messages with it. Nothing can bring them back; their places in the log and all proofs remain.',
  'account.purged-aliases': 'Aliases that led only there went too: {aliases}',
  'account.purge-not-confirmed':
    'This would erase {address} and all that it has, for good. Nothing was done.',
  'account.purge-not-confirmed.remedy': 'if it is meant: fengni account purge {address} --yes',
  'hold.summary': 'holds: accounts of which nothing is erased',
  'hold.usage':
    'hold add A [--reason TEXT] | release A | list\n\nadd      from now on nothing of the account is erased, whoever deletes it; the account works as before\nrelease  what was deleted meanwhile is erased once its days are over\nlist     all of them, with their reasons',
  'hold.option.reason': 'why; it stands encrypted in the log, and nowhere in the public seal',
  'hold.added': 'Nothing of {address} is erased from now on.',
  'hold.released': 'The hold on {address} has ended: deleted mail is erased again once its days are over.',
  'hold.none': 'There is no hold.',
  'error.account-on-hold': 'This account is on hold, nothing of it is erased: {subject}',
  'remedy.account-on-hold': 'see "fengni hold list"; "fengni hold release A" ends it',
  'error.hold-refused': 'This cannot be done with this hold: {subject}',
  'remedy.hold-refused': 'see "fengni hold list" and "fengni account list"',
} as const;

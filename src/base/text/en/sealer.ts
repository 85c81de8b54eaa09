/** The sealer: what it is permitted, how it is, and what helps. */
export const sealer = {
  'log.rotated':
    'Generation {before} of the log is over: {leaves} leaves under its last head, whose last leaf names the next key. Generation {generation} has begun. Its key:',
  'sealer.allowed.rotation':
    'Permitted once, until {until}: the key of generation {after} may hand over to the next. Now, where the server is: fengni log rotate-key',
  'sealer.allowed.new-generation':
    'Permitted once, until {until}: a new generation behind a loss (the sealer is in generation {after}). Now, where the server is: fengni log new-generation',
  'sealer.allowed.key':
    'The next key will be this one. Whoever checks receipts can have it before it is used:',
  'error.sealer-away': 'The sealer does not answer: {subject}',
  'remedy.sealer-away': 'start the sealer ("systemctl start fengni-sealer"), then run this again',
  'error.sealer-not-allowed': 'The sealer has no permission to begin another generation: {subject}',
  'remedy.sealer-not-allowed':
    'nothing was changed; on the sealer’s side, as its user, run "fengni sealer allow rotation --state DIR" for a planned key rotation, or "fengni sealer allow new-generation --state DIR" after a loss; then, within an hour, run this again',
  'error.sealer-not-begun': 'This sealer has not begun any generation: {subject}',
  'remedy.sealer-not-begun': 'there is no key to rotate: start the server first, or see "fengni status"',
  'status.field.todo': 'what to do',
  'status.field.disk': 'disk',
  'status.disk.nearly-full':
    'NEARLY FULL: {free} MiB free; new mail gets 452 4.3.1, reading and deleting go on',
  'status.todo.disk': 'make room on the disk of the data folder; mail flows again by itself',
  'status.todo.role':
    'it is started again by itself; if it stays away, the log of the server says why (journalctl -u fengni)',
  'status.todo.writer': 'look at the log of the server (journalctl -u fengni): it says why',
  'status.todo.down':
    'mail flows, nothing is sealed; start the sealer (systemctl start fengni-sealer, journalctl -u fengni-sealer): one step catches up',
  'status.todo.copied':
    'the sealer’s folder is a copy of another one, and a copy signs nothing; stop it and start the original; if that is lost: fengni sealer allow new-generation, then fengni log new-generation',
  'status.todo.rolled-back':
    'the sealer’s folder was put back to an older time (a backup, a snapshot of the machine); find out who did it; then: fengni sealer allow new-generation, then fengni log new-generation',
  'status.todo.lost':
    'the sealer cannot know what it signed: never put an older copy back; fengni sealer allow new-generation, then fengni log new-generation',
  'status.todo.key-lost':
    'the sealer’s key file is gone: put that one file back if there is a copy; else fengni sealer allow new-generation, then fengni log new-generation',
  'status.todo.behind':
    'log and sealer are in different generations: run the command that was cut short again (fengni log rotate-key, fengni log new-generation)',
  'status.todo.fork':
    'the server asks for another history than the one that was signed: treat it as an attack or a restored backup; stop the server, keep its disk, compare with a head kept outside: fengni verify --checkpoint FILE',
  'status.todo.entries':
    'the ledger’s files cannot be read or do not give the root of the log: fengni verify, then fengni verify --repair; may the sealer’s user read DATA/ledger?',
  'status.todo.unusable':
    'look at the disk of the sealer’s folder: a write failed there; then start the sealer again',
} as const;

/** Words of `fengni verify`: one sentence for each kind of finding, with what to do, and for each kind of note. */
export const verify = {
  'verify.summary': 'check every octet against the log, and the log against heads kept outside; --repair',
  'verify.usage':
    'Checks segments, keys, every message, the ledger, its heads and the projections, beside a running server or without one. Exit status 0 when all is good, 1 when something is wrong.',
  'verify.option.all': 'check everything (what happens without --account too)',
  'verify.option.account':
    'open the messages of this account only; stored octets of all others are checked unopened',
  'verify.option.checkpoint':
    'a head kept outside ("fengni log checkpoint"): is the log at least that long, and the same?',
  'verify.option.repair':
    'then repair what can be repaired; the server must be stopped for what lies in the log',
  'verify.option.from':
    'for --repair: a plain copy of the data folder, older or newer, to take octets from that fit',
  'verify.progress': 'verifying',
  'verify.octets': 'octets',
  'verify.since': ' Since {time} at the latest known good.',
  'verify.id': ' (message {id})',
  'verify.finding': 'WRONG {file}{place}: {sentence}{id}{since} {remedy}',
  'verify.note': 'note: {sentence}',
  'verify.good':
    'Good: {frames} frames in {segments} segments, {leaves} leaves, {heads} heads, {octets} octets.',
  'verify.wrong':
    '{count} findings. {frames} frames in {segments} segments, {leaves} leaves, {heads} heads, {octets} octets were read.',
  'verify.content':
    'Messages: {checked} checked, {unchecked} with stored octets unchanged but content not checked (no key), {erased} erased.',
  'verify.content.account':
    'Messages: {checked} checked, {unchecked} with stored octets unchanged but content not opened, {erased} erased.',
  'verify.finding.format': 'the format file is not what it must be: {what}.',
  'verify.finding.file-missing': '{what}.',
  'verify.finding.file-unexpected': '{what}.',
  'verify.finding.log-damaged': 'damaged: {what}.',
  'verify.finding.tail-damaged': 'the end of the log is damaged: {what}.',
  'verify.finding.rolled-back': 'the log was rolled back: {what}.',
  'verify.finding.other-history': 'this is another history: {what}.',
  'verify.finding.content-changed': 'a stored body is not what its leaf says: {what}.',
  'verify.finding.leaf-wrong': 'a leaf is wrong: {what}.',
  'verify.finding.head-wrong': 'a signed head is wrong: {what}.',
  'verify.finding.head-foreign': 'the head kept outside is not one of this log: {what}.',
  'verify.finding.ledger-damaged': 'not what the leaves give: {what}.',
  'verify.finding.ledger-keys': 'the published keys are wrong: {what}.',
  'verify.finding.sealer-state': 'the sealer cannot know what it signed: {what}.',
  'verify.finding.projection-damaged': 'SQLite finds it damaged: {what}.',
  'verify.finding.projection-ahead': 'ahead of the log: {what}.',
  'verify.finding.row-changed': 'a row was changed behind the log’s back: {what}.',
  'verify.finding.row-hidden': 'a row is missing that the log says is there: {what}.',
  'verify.finding.row-extra': 'a row is there that no event in the log explains: {what}.',
  'verify.finding.snapshot-wrong': 'a snapshot says something else than the frames before it: {what}.',
  'verify.finding.message-hidden': 'a message is hidden, the log has it and the index does not: {what}.',
  'verify.finding.more': 'and {what} more that are not told.',
  'verify.remedy.format': 'Put the file back from a copy.',
  'verify.remedy.file-missing': 'Stop the server and run "fengni verify --repair --from COPY".',
  'verify.remedy.file-unexpected': 'Find out who put it there; move it away.',
  'verify.remedy.log-damaged':
    'It is never served. Stop the server and run "fengni verify --repair --from COPY".',
  'verify.remedy.tail-damaged': 'Stop the server and run "fengni verify --repair --from COPY".',
  'verify.remedy.rolled-back':
    'Bring the missing part back ("fengni verify --repair --from COPY", or a restore), or accept the loss: "fengni log new-generation".',
  'verify.remedy.other-history':
    'Somebody wrote this log anew: keep it, ask everybody who holds heads or receipts, restore a copy that fits.',
  'verify.remedy.content-changed':
    'It is never served. Stop the server and run "fengni verify --repair --from COPY".',
  'verify.remedy.leaf-wrong': 'The log was written by something else than Fengni: restore a copy that fits.',
  'verify.remedy.head-wrong': 'Compare with heads kept outside: "fengni verify --checkpoint FILE".',
  'verify.remedy.head-foreign':
    'Check that the file belongs to this server; if it does, the log was replaced.',
  'verify.remedy.ledger-damaged': 'Run "fengni verify --repair": it is made again from the log.',
  'verify.remedy.ledger-keys': 'Run "fengni verify --repair": it is made again from the log.',
  'verify.remedy.sealer-state': 'Begin a new generation: "fengni log new-generation".',
  'verify.remedy.projection-damaged':
    'Stop the server and run "fengni verify --repair": it is made again from the log.',
  'verify.remedy.projection-ahead':
    'The log is shorter than it was: run "fengni verify --repair --from COPY".',
  'verify.remedy.row-changed':
    'Stop the server and run "fengni verify --repair": it is made again from the log.',
  'verify.remedy.row-hidden':
    'Stop the server and run "fengni verify --repair": it is made again from the log.',
  'verify.remedy.row-extra':
    'Stop the server and run "fengni verify --repair": it is made again from the log.',
  'verify.remedy.snapshot-wrong':
    'Stop the server, run "fengni index rebuild --without-snapshots", and report this as a bug.',
  'verify.remedy.message-hidden':
    'Stop the server and run "fengni verify --repair": it is made again from the log.',
  'verify.remedy.more': 'Repair these, then run it again.',
  'verify.note.tail-unfinished':
    'octets of a group that was never acknowledged, which the next start puts aside: {what}',
  'verify.note.large-unnamed':
    'files of messages that were never acknowledged, or whose frames are damaged: {what}',
  'verify.note.projection-behind': 'behind the log, the next start applies the rest: {what}',
  'verify.note.not-compared': 'not compared, for the reason in brackets: {what}',
  'verify.note.account-only': 'not compared, since only one account was asked for: {what}',
  'verify.note.loss-accepted': 'lost, and accepted as lost with a new generation: {what}',
  'verify.note.sealer-copied': 'the sealer’s folder is a copy and will sign nothing: {what}',
  'verify.note.sealer-unknown': 'the sealer’s state is not here, so it was not compared: {what}',
  'verify.repair.done': 'Repaired: {what}',
  'verify.repair.refused': 'Not repaired: {what}',
  'verify.repair.nothing': 'There was nothing to repair.',
  'verify.repair.logged': 'The repair stands in the log as frame {seq}.',
  'verify.repair.not-logged': 'The repair could not be written into the log: {why}',
  'verify.repair.again': 'Verified again after the repair:',
  'verify.from-without-repair': '--from belongs to --repair.',
  'verify.account-and-repair': '--repair checks everything: leave --account out.',
} as const;

/** Words of `fengni demo`, for people who never saw mail software. */
export const demo = {
  'demo.summary': 'the story in one minute: a real mail, its receipt, and tampering caught',
  'demo.usage':
    'Starts a server of its own on free ports of this machine, in a temporary folder, and shows with real mail what Fengni is for. Nothing of\nyours is touched and nothing is left behind. Exit status 0 only when every step did what it says.',
  'demo.option.keep': 'leave the folder behind and say where it is',
  'demo.title': 'Fengni in one minute: a real letter, a real seal, and three kinds of tampering.',
  'demo.place':
    'Everything happens on this machine, with the same programs that "npm start" runs, and is removed at the end.',
  'demo.failed': 'FAILED:',

  'demo.step.start.title': 'A mail server starts',
  'demo.step.start.says':
    'It makes its keys, a certificate for encrypted connections and one account: admin@fengni.test.',
  'demo.step.start.proves': 'It is ready for mail.',
  'demo.step.receive.title': 'A letter arrives',
  'demo.step.receive.says':
    'A stranger’s mail server connects, switches to encryption (STARTTLS) and hands over this letter; then a second one.',
  'demo.step.receive.proves':
    'The server says “250” only when the letter is safely on disk. With it comes the fingerprint of what it stored, and the sender can see that it is the right one.',
  'demo.step.read.title': 'The letter is read',
  'demo.step.read.says':
    'Two mail programs log in over encrypted connections and fetch it, one by IMAP, one by POP3.',
  'demo.step.read.proves':
    'Both got what was sent, octet for octet. Before it stand {lines} lines that say how it came; the last one is its seal.',
  'demo.step.receipt.title': 'A receipt convinces a stranger',
  'demo.step.receipt.says':
    'A receipt is a small file. With it and the public key anybody can check the letter later, without this server and without believing it: here with Fengni’s own command and with a Python program that shares no code with it.',
  'demo.step.receipt.proves': 'The true letter passes. With one digit changed it does not.',
  'demo.step.copy.title': 'A copy is put aside',
  'demo.step.copy.says':
    'Somebody copies the data folder as it is, and “fengni verify” checks every octet on the disk.',
  'demo.step.copy.proves': 'All is well. Now the tampering begins.',
  'demo.step.flip.title': 'Tampering 1: one bit on the disk',
  'demo.step.flip.says':
    'Somebody changes a single bit in the stored letter, behind the server’s back, so that its reader would pay more.',
  'demo.step.flip.proves':
    'The forged letter is shown to nobody, and “verify” names the file, the place and the letter.',
  'demo.step.mend.title': 'The letter is mended from the copy',
  'demo.step.mend.says': 'The server is stopped, repaired with octets from the copy, and started again.',
  'demo.step.mend.proves': 'The letter is what it was, octet for octet, and the repair stands in the log.',
  'demo.step.remove.title': 'Tampering 2: a letter disappears',
  'demo.step.remove.says':
    'While the server is stopped, somebody cuts the second letter out of the log and closes the gap, as if it had never come.',
  'demo.step.remove.proves':
    'The gap is found and named, the letter comes back from the copy, and it reads as before.',
  'demo.step.rollback.title': 'Tampering 3: time is turned back',
  'demo.step.rollback.says':
    'A third letter comes, and somebody outside keeps the signed head of the log: a few lines of text. Then the whole data folder is replaced by the older copy, in which everything fits together and the third letter never came; only the sealer’s memory stays, which is in no copy.',
  'demo.step.rollback.proves':
    'A few lines kept outside tell exactly how much is missing and since when; the server refuses to go on as if nothing had happened. What no copy has cannot be brought back, but nobody can hide that it is gone.',

  'demo.evidence.folder': 'folder',
  'demo.evidence.ports': 'ports',
  'demo.evidence.letter': 'letter',
  'demo.evidence.secured': 'encrypted',
  'demo.evidence.reply': 'server says',
  'demo.evidence.fingerprint': 'fingerprint',
  'demo.evidence.imaps': 'IMAPS',
  'demo.evidence.pop3s': 'POP3S',
  'demo.evidence.seal': 'seal',
  'demo.evidence.file': 'receipt',
  'demo.evidence.verifyReceipt': 'true letter',
  'demo.evidence.python': '… in Python',
  'demo.evidence.changed': 'forged one',
  'demo.evidence.changedPython': '… in Python',
  'demo.evidence.verify': 'verify',
  'demo.evidence.damage': 'damage',
  'demo.evidence.octet': 'octet',
  'demo.evidence.meaning': 'would read',
  'demo.evidence.repair': 'repair',
  'demo.evidence.again': 'read again',
  'demo.evidence.head': 'head',
  'demo.evidence.missing': 'missing',
  'demo.evidence.serve': 'serve',

  'demo.same-digest': 'SHA-256 {digest}…, the same that the sender computes',
  'demo.same-octets': '{octets} octets, all as sent ({tls})',
  'demo.receipt-file': '{bytes} octets, with the signed head of the log in it',
  'demo.no-python': 'not run: this machine has no python3',
  'demo.octet': '{file}, octet {offset}',
  'demo.frame': '{file}: {octets} octets from {offset} on, which were record {seq}',
  'demo.read-again': '{octets} octets by IMAPS and POP3S, SHA-256 {digest}…, as sent',
  'demo.head': '{origin}: {size} entries, root {root}…',
  'demo.missing': 'the last {count} of {size} entries, the third letter among them',

  'demo.failure.status': '“{command}” ended with {status} instead of {expected}: {said}',
  'demo.failure.reply': 'the server’s reply has no id, or another fingerprint than the letter: {reply}',
  'demo.failure.refused': 'the letter could not be read over {protocol}: {reply}',
  'demo.failure.changed': 'what came back over {protocol} is not what was sent.',
  'demo.failure.seal': 'the last line before the letter is not its seal: {seal}',
  'demo.failure.served': 'the forged letter was handed out over {protocol}.',
  'demo.failure.not-named': '“verify” does not name {what}.',
  'demo.failure.not-refused': 'the server did not start, but not because the folder was turned back: {said}',
  'demo.failure.started': 'the server started on a folder that was turned back.',

  'demo.good': 'Every step did what it says, in {seconds} s.',
  'demo.bad': 'The story ends here: this step did not do what it says.',
  'demo.unwitnessed':
    'Unwitnessed (未见证): here the demo itself kept the head. On your own server let somebody else keep it: “fengni log checkpoint”.',
  'demo.kept': 'Everything is still in {folder}.',
  'demo.next': 'What you can do next',
  'demo.next.start': 'starts your own server; it says where the first password is',
  'demo.next.send': 'sends it a letter, from another terminal',
  'demo.next.receipt': 'its receipt; ID is in the server’s reply',

  'error.demo-not-run': 'The demo cannot run: {subject}',
  'remedy.demo-not-run': 'give it a folder with room that this user may write to: TMPDIR=DIR ./fengni demo',
  'error.demo-server-not-started': 'The demo’s server does not start: {subject}',
  'remedy.demo-server-not-started':
    'what keeps "fengni serve" from starting keeps the demo from it too; start that to see more',
} as const;

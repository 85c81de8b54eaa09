/** Faults of the commands. */
export const commandsErrors = {
  'error.message-refused': 'The message was not taken: {subject}',
  'remedy.message-refused': 'see "fengni account list" and "fengni alias list" for who is here',
  'error.mail-file-unusable': 'This file is no mail as it stands: {subject}',
  'remedy.mail-file-unusable':
    'give every line the same line end, CRLF or LF; "file mail.eml" says what it has',
  'error.message-unknown': 'There is no such message: {subject}',
  'remedy.message-unknown':
    'the id is 26 letters and digits: in the reply to the sender and in the field Fengni-Seal of the mail',
  'error.not-sealed-yet': 'No signed head covers this message yet: {subject}',
  'remedy.not-sealed-yet': 'try again in a moment; if it stays, "fengni status" says what the sealer does',
  'error.sealer-refuses': 'The sealer does not begin the new generation: {subject}',
  'remedy.sealer-refuses': 'see "fengni status", then run "fengni log new-generation" again',
  'error.server-not-running': 'No server runs on this data folder: {subject}',
  'remedy.server-not-running': 'start it: fengni serve',
  'error.file-unreadable': 'A file cannot be read: {subject}',
  'remedy.file-unreadable': 'check the path and who may read it',
  'error.file-unwritable': 'A file cannot be written: {subject}',
  'remedy.file-unwritable': 'check the path, who may write there, and the disk',
  'error.account-refused': 'This cannot be done with this account: {subject}',
  'remedy.account-refused': 'see "fengni account list" and "fengni domain list"',
  'error.alias-refused': 'This cannot be done with this alias: {subject}',
  'remedy.alias-refused': 'see "fengni alias list" and "fengni account list"',
  'error.domain-refused': 'This cannot be done with this domain: {subject}',
  'remedy.domain-refused': 'see "fengni domain list"',
} as const;

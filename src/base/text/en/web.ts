/** Words of the first page of the web server. */
export const web = {
  'web.title': 'Fengni at {host}',
  'web.what':
    'This is a mail server that can prove that the mail you read is the mail that arrived: every message is hashed as it comes in, entered into a log that can only grow, and sealed with a signature.',
  'web.no-webmail': 'Reading mail in the browser is not possible here yet. Use a mail program.',
  'web.programs': 'Set up a mail program',
  'web.programs.text': 'The user name is your whole mail address.',
  'web.server': 'server',
  'web.port': 'port',
  'web.security': 'security',
  'web.service.IMAP': 'read mail (IMAP)',
  'web.service.POP3': 'fetch mail (POP3)',
  'web.service.SMTP': 'send mail (SMTP)',
  'web.authority':
    'The certificate of this server was made by itself. Have your mail program trust tls/ca.pem from the data folder of the server; it is good for the names of this installation only.',
  'web.seal': 'Check the seal',
  'web.seal.text':
    'Every message has an id in its line Fengni-Seal. Whoever runs this server can make a receipt for it; anybody can check the receipt with the message and the key, offline.',
  'web.seal.key': 'the key that seals are checked with',
  'web.seal.checkpoint': 'the newest public head of the log',
  'web.seal.none': 'Nothing has been sealed yet.',
} as const;

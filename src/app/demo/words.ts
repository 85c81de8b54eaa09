/** The steps of the story, in its order. */
export const stepNames = [
  'start',
  'receive',
  'read',
  'receipt',
  'copy',
  'flip',
  'mend',
  'remove',
  'rollback',
] as const;
export type StepName = (typeof stepNames)[number];

/** What a step can show; the label is `demo.evidence.<name>`. */
export const evidenceNames = [
  'folder',
  'ports',
  'letter',
  'secured',
  'reply',
  'fingerprint',
  'imaps',
  'pop3s',
  'seal',
  'file',
  'verifyReceipt',
  'python',
  'changed',
  'changedPython',
  'verify',
  'damage',
  'octet',
  'meaning',
  'repair',
  'again',
  'head',
  'missing',
  'serve',
] as const;
export type EvidenceName = (typeof evidenceNames)[number];

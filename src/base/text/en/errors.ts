/**
 * Faults by code: `error.CODE` says what is wrong (`{subject}` is what it concerns), `remedy.CODE` what to do next.
 *
 * Every code of a `FengniError` in the source has both; `docs/errors.md` is made from here (`npm run docs`).
 */
export const errors = {
  'error.config-invalid': 'The configuration is not right: {subject}',
  'remedy.config-invalid':
    'correct the setting; "fengni config schema" and docs/operate/configuration.md list them all',
  'error.config-unreadable': 'The configuration file cannot be read: {subject}',
  'remedy.config-unreadable': 'check the path and who may read it, or leave --config out to use the defaults',
  'error.json-not-canonical': 'This JSON is not in its canonical form: {subject}',
  'remedy.json-not-canonical': 'the text was not written by this program, or was changed; take the original',
  'error.usage': '{subject}',
  'remedy.usage': 'see "fengni --help"',
} as const;

// The rows of bench/imap.ts that are named so, and no others.
process.argv.splice(2, 0, 'flat', '--only');
await import('./imap.ts');

/** The role is named in its first message, which comes after its start: so its arguments say it. */
export const roleOf = (args) => {
  if (!args.some((arg) => arg.endsWith('role-main.ts'))) return null;
  const granted = args.filter((arg) => arg.startsWith('--allow-fs-')).join(' ');
  if (granted.includes('/segments')) return 'access';
  if (granted.includes('secrets.db')) return 'auth';
  if (granted.includes('/ledger')) return 'web';
  if (granted.includes('/spool')) return 'mx';
  if (granted !== '') return 'parser';
  return args.includes('--no-experimental-sqlite') ? 'sealer' : 'writer';
};

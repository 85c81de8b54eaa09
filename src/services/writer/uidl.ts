/** UIDL of a placement: its first UIDVALIDITY and UID, 16 hex digits, fixed for ever (FORMATS §3). */
export const uidlOf = (uidValidity: number, uid: number): string =>
  uidValidity.toString(16).padStart(8, '0') + uid.toString(16).padStart(8, '0');

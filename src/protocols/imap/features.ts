/** What a client has switched on for its session; nothing is switched off again. @source RFC 9051 §6.3.1, RFC 7162, RFC 6855 */
export interface Features {
  /** MODSEQ stands in each FETCH reply that tells of flags */
  condstore: boolean;
  /** VANISHED instead of EXPUNGE, and the UID in each FETCH reply */
  qresync: boolean;
  /** mailbox names and strings are UTF-8 */
  utf8: boolean;
  /** ESEARCH instead of SEARCH, UTF-8 names, no `\Recent` */
  rev2: boolean;
}

export const noFeatures = (): Features => ({ condstore: false, qresync: false, utf8: false, rev2: false });

/** Whether names of mailboxes are UTF-8 on the wire; otherwise they are modified UTF-7. */
export const namesAreUtf8 = ({ utf8, rev2 }: Features): boolean => utf8 || rev2;

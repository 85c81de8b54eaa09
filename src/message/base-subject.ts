export interface BaseSubject {
  /** in Unicode, as written but for blanks; compare it folded (RFC 5051) */
  subject: string;
  isReplyOrForward: boolean;
}

/** Characters that are looked at: a subject of a threaded mail is shorter. */
const lengthMax = 2000;

/**
 * The subject without what replies and forwards put around it.
 *
 * @param decoded the subject with its encoded-words decoded (step 1 of the algorithm)
 * @source RFC 5256 §2.1, also with the prefixes of other languages (答复, 回复, 转发, AW, WG, SV, Antw, TR, RIF, ENC, …)
 */
export const baseSubject = (decoded: string): BaseSubject => {
  let subject = decoded.slice(0, lengthMax).replace(/\s+/g, ' ').trim();
  let isReplyOrForward = false;
  for (let before = ''; before !== subject; ) {
    before = subject;
    // (2) trailers
    for (
      let trailer = /(?: ?\(fwd\)| )$/i.exec(subject);
      trailer !== null;
      trailer = /(?: ?\(fwd\)| )$/i.exec(subject)
    ) {
      if (trailer[0] !== ' ') isReplyOrForward = true;
      subject = subject.slice(0, trailer.index);
    }
    // (3) to (5) leaders
    for (let inner = ''; inner !== subject; ) {
      inner = subject;
      const leader = leaderPattern.exec(subject);
      if (leader !== null) {
        isReplyOrForward = true;
        subject = subject.slice(leader[0].length);
      }
      const blob = blobPattern.exec(subject);
      if (blob !== null && blob[0].length < subject.length) subject = subject.slice(blob[0].length);
    }
    // (6) [fwd: … ]
    const forward = /^\[fwd:(.*)\]$/is.exec(subject);
    if (forward !== null) {
      isReplyOrForward = true;
      subject = (forward[1] ?? '').trim();
    }
  }
  return { subject, isReplyOrForward };
};

const blobPattern = /^\[[^[\]]*\] ?/;
const leaderPattern =
  /^ ?(?:\[[^[\]]*\] ?){0,20}(?:re|fwd?|aw|antw|wg|sv|vs|vb|tr|rif|enc|res|odp|pd|ynt|答[复覆]|回[复覆]|转发|轉寄|轉發)(?: ?\[[^[\]]*\])?(?: ?[([]?\d{1,3}[)\]]?)? ?[:：] ?/i;

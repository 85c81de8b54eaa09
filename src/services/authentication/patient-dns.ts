import type { Dns, DnsAnswer } from '#trust/dns';

/** DNS for one message, until its time is over. */
export interface PatientDns extends Dns {
  /** What has not come from now on is unavailable, and so is what is asked later. */
  giveUp(): void;
}

const over = { kind: 'unavailable', why: 'out of time' } as const;

/**
 * Answers that are not there when the time of a message is over are unavailable: however slow the name servers of strangers are,
 * a message is answered.
 */
export const createPatientDns = (dns: Dns): PatientDns => {
  let isOver = false;
  let end: () => void = () => {};
  const ended = new Promise<typeof over>((resolve) => {
    end = () => resolve(over);
  });
  const bounded = <T>(ask: () => Promise<DnsAnswer<T>>): Promise<DnsAnswer<T>> =>
    isOver ? Promise.resolve(over) : Promise.race([ask(), ended]);
  return {
    txt: (name) => bounded(() => dns.txt(name)),
    a: (name) => bounded(() => dns.a(name)),
    aaaa: (name) => bounded(() => dns.aaaa(name)),
    mx: (name) => bounded(() => dns.mx(name)),
    ptr: (address) => bounded(() => dns.ptr(address)),
    giveUp: () => {
      isOver = true;
      end();
    },
  };
};

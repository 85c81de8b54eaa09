import type { InboundTransaction } from '#protocols/smtp';

/** A transaction of a stranger without TLS or parameters, but for what is named. */
export const inboundTransaction = (
  of: Pick<InboundTransaction, 'peer' | 'helo' | 'mailFrom'> & Partial<InboundTransaction>,
): InboundTransaction => ({
  protocol: 'ESMTP',
  tls: null,
  smtpUtf8: false,
  body: '7BIT',
  sizeDeclared: null,
  requireTls: false,
  ret: null,
  envid: null,
  parameters: [],
  ...of,
});

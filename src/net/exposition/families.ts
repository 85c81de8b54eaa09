import type { PlainTextKey } from '#base/text';
import { limitNames } from '#net/connection';

export interface Family {
  type: 'counter' | 'gauge' | 'histogram';
  labels: readonly string[];
  /** its unit, which stands in its name */
  unit?: 'seconds' | 'bytes' | 'octets';
}

/**
 * Every family of `/metrics`, in the order in which it shows them. Names and labels are a contract (docs/operate/metrics.md); values of
 * labels are constants of the code, never anything that a peer or a person chose.
 */
export const families = {
  fengni_info: { type: 'gauge', labels: ['version'] },
  fengni_role_up: { type: 'gauge', labels: ['role'] },
  fengni_role_restarts_total: { type: 'counter', labels: ['role'] },
  fengni_process_cpu_seconds_total: { type: 'counter', labels: ['role', 'mode'], unit: 'seconds' },
  fengni_process_resident_memory_bytes: { type: 'gauge', labels: ['role'], unit: 'bytes' },
  fengni_process_start_time_seconds: { type: 'gauge', labels: ['role'], unit: 'seconds' },
  fengni_event_loop_delay_seconds: { type: 'histogram', labels: ['role'], unit: 'seconds' },
  fengni_sessions_open: { type: 'gauge', labels: ['protocol'] },
  fengni_sessions_total: { type: 'counter', labels: ['protocol'] },
  fengni_sessions_refused_total: { type: 'counter', labels: ['protocol', 'reason'] },
  fengni_tls_handshakes_total: { type: 'counter', labels: ['protocol', 'version'] },
  fengni_tls_handshakes_failed_total: { type: 'counter', labels: ['protocol'] },
  fengni_received_bytes_total: { type: 'counter', labels: ['protocol'], unit: 'bytes' },
  fengni_replies_total: { type: 'counter', labels: ['protocol', 'class'] },
  fengni_messages_total: { type: 'counter', labels: ['protocol', 'outcome'] },
  fengni_refused_total: { type: 'counter', labels: ['protocol', 'what'] },
  fengni_authentication_results_total: { type: 'counter', labels: ['protocol', 'method', 'result'] },
  fengni_sender_refused_total: { type: 'counter', labels: ['protocol', 'reason'] },
  fengni_sender_junk_total: { type: 'counter', labels: ['protocol', 'reason'] },
  fengni_logins_total: { type: 'counter', labels: ['protocol', 'outcome'] },
  fengni_limits_total: { type: 'counter', labels: ['protocol', 'limit'] },
  fengni_errors_total: { type: 'counter', labels: ['protocol', 'kind'] },
  fengni_events_total: { type: 'counter', labels: ['protocol', 'event'] },
  fengni_writer_groups_total: { type: 'counter', labels: [] },
  fengni_writer_frames_total: { type: 'counter', labels: [] },
  fengni_writer_leaves_total: { type: 'counter', labels: [] },
  fengni_writer_queue_requests: { type: 'gauge', labels: [] },
  fengni_writer_sync_seconds: { type: 'histogram', labels: [], unit: 'seconds' },
  fengni_sealer_state: { type: 'gauge', labels: ['state'] },
  fengni_sealer_head_leaves: { type: 'gauge', labels: [] },
  fengni_sealer_head_age_seconds: { type: 'gauge', labels: [], unit: 'seconds' },
  fengni_disk_free_bytes: { type: 'gauge', labels: [], unit: 'bytes' },
  fengni_disk_size_bytes: { type: 'gauge', labels: [], unit: 'bytes' },
  fengni_disk_nearly_full: { type: 'gauge', labels: [] },
  fengni_pickup_messages: { type: 'gauge', labels: ['state'] },
} as const satisfies Record<`fengni_${string}`, Family>;

export type FamilyName = keyof typeof families;

/** Its meaning in the text catalogue. */
export const meaningKey = (name: FamilyName): PlainTextKey => `metrics.${name}`;

/** Counters of the code by what stands behind the protocol's name, and the family and label value that show them. */
const errors = [
  'service-failed',
  'parser-failed',
  'bug',
  'session-failed',
  'command-failed',
  'message-damaged',
  'body-damaged',
  'message-broken-off',
  'quit-failed',
  'seen-not-kept',
  'store-unavailable',
] as const;

const events = [
  'starttls',
  'stls',
  'auth',
  'nul',
  'error',
  'bad',
  'bdat-discarded',
  'xclient',
  'xforward',
  'message-sent',
  'shutdown',
  'revoked',
  'poison',
  'lookup',
  'cache-hit',
  'unavailable',
  'stray-answer',
  'silence',
] as const;

export const labelValues = { limit: limitNames, kind: errors, event: events } as const;

/** The meaning of a label's value in the text catalogue. */
export const valueKey = (value: (typeof labelValues)[keyof typeof labelValues][number]): PlainTextKey =>
  `metrics.value.${value}`;

/** What a counter of the code is shown as; what the table does not know is an event, so that nothing is lost. */
export const shownAs = (name: string): { family: FamilyName; labels: Readonly<Record<string, string>> } => {
  const dash = name.indexOf('-');
  const protocol = name.slice(0, dash);
  const rest = name.slice(dash + 1);
  const of = (family: FamilyName, more: Readonly<Record<string, string>> = {}) => ({
    family,
    labels: { protocol, ...more },
  });
  const refused = /^session-refused-(.+)$/.exec(rest)?.[1];
  if (refused !== undefined) return of('fengni_sessions_refused_total', { reason: refused });
  const version = /^tls-(TLSv[\d.]+)$/.exec(rest)?.[1];
  if (version !== undefined) return of('fengni_tls_handshakes_total', { version });
  const replies = /^reply-(\w+)$/.exec(rest)?.[1];
  if (replies !== undefined) return of('fengni_replies_total', { class: replies });
  const [, method, result] = /^auth-([a-z]+)-([a-z]+)$/.exec(rest) ?? [];
  if (method !== undefined && result !== undefined)
    return of('fengni_authentication_results_total', { method, result });
  const [, done, why] = /^sender-(refused|junk)-([a-z-]+)$/.exec(rest) ?? [];
  if (why !== undefined)
    return of(done === 'junk' ? 'fengni_sender_junk_total' : 'fengni_sender_refused_total', { reason: why });
  switch (rest) {
    case 'session':
      return of('fengni_sessions_total');
    case 'proxy-refused':
      return of('fengni_sessions_refused_total', { reason: 'proxy-header' });
    case 'tls-handshake-failed':
      return of('fengni_tls_handshakes_failed_total');
    case 'octets':
      return of('fengni_received_bytes_total');
    case 'message-accepted':
      return of('fengni_messages_total', { outcome: 'accepted' });
    case 'message-refused':
      return of('fengni_messages_total', { outcome: 'refused' });
    case 'recipient-refused':
      return of('fengni_refused_total', { what: 'recipient' });
    case 'sender-refused':
      return of('fengni_refused_total', { what: 'sender' });
    case 'login':
      return of('fengni_logins_total', { outcome: 'granted' });
    case 'login-refused':
      return of('fengni_logins_total', { outcome: 'refused' });
  }
  if ((limitNames as readonly string[]).includes(rest)) return of('fengni_limits_total', { limit: rest });
  if ((errors as readonly string[]).includes(rest)) return of('fengni_errors_total', { kind: rest });
  return of('fengni_events_total', { event: rest });
};

import type { Gathered, ProcessSample, RoleSample, WriterSample } from '#net/metrics';
import { createExposition, type Exposition } from './exposition.ts';
import { shownAs } from './families.ts';

const sealerStates = ['none', 'signing', 'down', 'refusing'] as const;

/** All that was gathered, as families. A role that did not answer is `fengni_role_up 0`, and has nothing else. */
export const expose = (gathered: Gathered): Exposition => {
  const to = createExposition();
  to.add('fengni_info', 1, { version: gathered.version });
  for (const { role, restarts, sample } of gathered.roles) {
    to.add('fengni_role_up', sample === null ? 0 : 1, { role });
    to.add('fengni_role_restarts_total', restarts, { role });
    if (sample === null) continue;
    exposeProcess(to, role, sample.process);
    exposeCounters(to, sample);
    if (sample.writer !== undefined) exposeWriter(to, sample.writer);
  }
  exposeProcess(to, 'supervisor', gathered.supervisor);
  if (gathered.disk !== null) {
    to.add('fengni_disk_free_bytes', gathered.disk.freeBytes);
    to.add('fengni_disk_size_bytes', gathered.disk.sizeBytes);
    to.add('fengni_disk_nearly_full', gathered.disk.isNearlyFull ? 1 : 0);
  }
  to.add('fengni_pickup_messages', gathered.pickup.waiting, { state: 'waiting' });
  to.add('fengni_pickup_messages', gathered.pickup.held, { state: 'held' });
  return to;
};

const exposeProcess = (to: Exposition, role: string, sample: ProcessSample): void => {
  to.add('fengni_process_cpu_seconds_total', sample.cpuUserSeconds, { role, mode: 'user' });
  to.add('fengni_process_cpu_seconds_total', sample.cpuSystemSeconds, { role, mode: 'system' });
  to.add('fengni_process_resident_memory_bytes', sample.residentBytes, { role });
  to.add('fengni_process_start_time_seconds', sample.startedSeconds, { role });
  to.histogram('fengni_event_loop_delay_seconds', sample.eventLoopDelay, { role });
};

const exposeCounters = (to: Exposition, { counters, sessions }: RoleSample): void => {
  for (const [name, value] of Object.entries(counters)) {
    const { family, labels } = shownAs(name);
    to.add(family, value, labels);
  }
  for (const [protocol, count] of Object.entries(sessions))
    to.add('fengni_sessions_open', count, { protocol });
};

const exposeWriter = (to: Exposition, writer: WriterSample): void => {
  to.add('fengni_writer_groups_total', writer.groups);
  to.add('fengni_writer_frames_total', writer.frames);
  to.add('fengni_writer_leaves_total', writer.leaves);
  to.add('fengni_writer_queue_requests', writer.waiting);
  to.histogram('fengni_writer_sync_seconds', writer.sync);
  to.add('fengni_limits_total', writer.late, { protocol: 'writer', limit: 'late' });
  to.add('fengni_limits_total', writer.overloaded, { protocol: 'writer', limit: 'overloaded' });
  for (const state of sealerStates) to.add('fengni_sealer_state', state === writer.sealer ? 1 : 0, { state });
  to.add('fengni_sealer_head_leaves', writer.sealedLeaves);
  if (writer.headAgeSeconds !== null) to.add('fengni_sealer_head_age_seconds', writer.headAgeSeconds);
};

import { systemClock } from '#base/clock';
import { createSessionGate, type SessionGate, sessionGateDefaults } from '#net/connection';
import type { RoleContext } from './role-main.ts';

/** how often other roles hear of sessions here: an address that opens them in two roles at once may have some more for so long */
const reportMs = 250;

/**
 * The gate of a role, which knows what an address has open in the others and has opened there (WIRE, “Limits and
 * replies”: 50 sessions an address, 10 new a second).
 */
export const createSharedGate = ({
  start,
  tell,
}: Pick<RoleContext, 'start' | 'tell'>): SessionGate & { close(): void } => {
  const { limits } = start.config;
  const gate = createSessionGate(
    {
      ...sessionGateDefaults,
      sessionsPerAddressMax: limits.sessionsPerAddress,
      sessionsPerSecondMax: limits.sessionsPerSecond,
      trusted: limits.trusted,
    },
    systemClock,
  );
  let told = '{}';
  const timer = setInterval(() => {
    const opened = gate.takeOpened();
    if (Object.keys(opened).length > 0) tell({ kind: 'opened', counts: opened });
    const counts = gate.report();
    const text = JSON.stringify(counts);
    if (text === told) return;
    told = text;
    tell({ kind: 'sessions', counts });
  }, reportMs);
  timer.unref();
  return Object.assign(gate, { close: () => clearInterval(timer) });
};

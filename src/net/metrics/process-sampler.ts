import { createHistogram, delayBounds } from './histogram.ts';
import type { ProcessSample } from './sample.ts';

const everyMs = 500;

/** Watches how late this process's event loop is, twice a second, and tells what the process costs. */
export const createProcessSampler = (): { sample(): ProcessSample; stop(): void } => {
  const delay = createHistogram(delayBounds);
  let dueMs = performance.now() + everyMs;
  const timer = setInterval(() => {
    const nowMs = performance.now();
    delay.observe(Math.max(0, nowMs - dueMs) / 1_000);
    dueMs = nowMs + everyMs;
  }, everyMs);
  timer.unref();
  return {
    sample: () => {
      const { user, system } = process.cpuUsage();
      return {
        cpuUserSeconds: user / 1e6,
        cpuSystemSeconds: system / 1e6,
        residentBytes: process.memoryUsage.rss(),
        startedSeconds: Math.round(Date.now() / 1_000 - process.uptime()),
        eventLoopDelay: delay.sample(),
      };
    },
    stop: () => clearInterval(timer),
  };
};

import childProcess from 'node:child_process';
import { syncBuiltinESMExports } from 'node:module';
import { roleOf } from './role-of.mjs';

// Loaded before Fengni by bench/large.ts: mx and writer write once in 100 ms, as a line of JSON, the most that Node counted meanwhile. The
// server itself knows nothing of it.

const watch = (role) => `
  let most = {};
  setInterval(() => {
    for (const [name, bytes] of Object.entries(process.memoryUsage())) most[name] = Math.max(most[name] ?? 0, bytes);
  }, 10).unref();
  setInterval(() => {
    process.stderr.write(JSON.stringify({ benchMemory: '${role}', ...most }) + '\\n');
    most = {};
  }, 100).unref();`;
const { spawn } = childProcess;

childProcess.spawn = (file, args, options) => {
  const role = roleOf(args);
  if (role !== 'mx' && role !== 'writer') return spawn(file, args, options);
  return spawn(file, [`--import=data:text/javascript,${encodeURIComponent(watch(role))}`, ...args], options);
};
syncBuiltinESMExports();

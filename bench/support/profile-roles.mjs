import childProcess from 'node:child_process';
import { syncBuiltinESMExports } from 'node:module';
import { roleOf } from './role-of.mjs';

// Loaded before Fengni by bench/peers/fengni.ts: the roles named in BENCH_PROFILE write CPU profiles into the folder BENCH_PROFILE_FOLDER
// when they end. The server itself knows nothing of it.

const roles = new Set((process.env['BENCH_PROFILE'] ?? '').split(','));
const folder = process.env['BENCH_PROFILE_FOLDER'] ?? '';
const { spawn } = childProcess;

childProcess.spawn = (file, args, options) => {
  const role = roleOf(args);
  if (role === null || !roles.has(role)) return spawn(file, args, options);
  const profile = ['--cpu-prof', `--cpu-prof-dir=${folder}`, `--cpu-prof-name=${role}.cpuprofile`];
  const allowed = args.includes('--permission')
    ? // The profiler is the inspector.
      ['--allow-inspector', `--allow-fs-write=${folder}`, `--allow-fs-write=${folder}/*`]
    : [];
  return spawn(file, [...profile, ...allowed, ...args], options);
};
syncBuiltinESMExports();

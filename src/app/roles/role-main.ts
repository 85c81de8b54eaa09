import { resolveOwnModules } from '#app/loading';

resolveOwnModules();
const { runRole } = await import('./run-role.ts');
runRole();

export { resolveOwnModules } from './resolve-own-modules.ts';

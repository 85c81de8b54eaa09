/**
 * The configuration: one optional `fengni.toml`, read and checked once, at the edge.
 *
 * Always holds: every key has a default, an unknown one is refused, the value is complete and frozen, and a message names the key, the
 * value and the remedy. The checks, the JSON Schema and the manual come from one table, `schema.ts`.
 */
export { type CheckedConfig, checkConfig, type EffectiveSetting } from './check.ts';
export type { CertificateFiles, Config, Listener } from './config.ts';
export { ConfigError } from './config-error.ts';
export { jsonSchema } from './json-schema.ts';
export { type LoadOptions, loadConfig, readConfig } from './load.ts';
export { configurationManual } from './manual.ts';
export { type ServiceName, services, type TlsMode } from './services.ts';
export { tomlValue } from './toml.ts';

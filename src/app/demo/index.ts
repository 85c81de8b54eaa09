/**
 * `fengni demo`: the story in one minute. A real server in a temporary folder, real mail over real TLS, real damage.
 *
 * Always holds: nothing is left running, and no folder unless asked for; every client trusts the demo's own authority alone; the damage is
 * done by code that knows the formats from docs/formats and nothing of the program that writes them; a step that did not do what it says
 * ends the story.
 */
export { type DemoOptions, type DemoReport, runDemo } from './demo.ts';
export { cellsOf } from './layout.ts';
export type { Screen, StepRecord } from './telling.ts';
export { type EvidenceName, type StepName, stepNames } from './words.ts';

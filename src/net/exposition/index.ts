/**
 * What was gathered of all processes, as the text of `/metrics`: Prometheus 0.0.4 and OpenMetrics 1.0.
 *
 * Always: names and values of labels are constants of the code, so nothing of a peer or a person is in them and their number is bounded.
 *
 * @source https://prometheus.io/docs/instrumenting/exposition_formats/; OpenMetrics 1.0
 */

export { expose } from './expose.ts';
export { askedForm, contentTypes, createExposition, type Exposition } from './exposition.ts';
export {
  type Family,
  type FamilyName,
  families,
  labelValues,
  meaningKey,
  shownAs,
  valueKey,
} from './families.ts';
export { metricsManual } from './manual.ts';
export { metricsRoute } from './route.ts';

/**
 * What the command line asks of the writer, wherever that is: in its role, behind `run/control`, or in the command's own process when no
 * server runs. Both have the same methods, made here.
 */
export { controlMethods } from './control-methods.ts';
export { projectionsIn, removeProjections, removeTrace, traceFile } from './projections.ts';
export { publishKeys } from './publish-keys.ts';
export { attemptsFile, openTraceFiles, type TraceFiles } from './trace-files.ts';

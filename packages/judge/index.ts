export * from './confidence-sequence.ts';
export * from './histogram.ts';
export { judgeLimit, replay } from './limits.ts';
export { unavailable } from './observed.ts';
export * from './settle.ts';
export * from './verdict.ts';

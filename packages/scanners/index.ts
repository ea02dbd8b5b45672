export * from './ignore.ts';
export * from './judge.ts';
export * from './model.ts';
export * from './trivy/report.ts';

export * from './ignore.ts';
export * from './judge.ts';
export * from './model.ts';
export * from './trivy/report.ts';
export * from './trivy/run.ts';
export * from './trivy/targets.ts';
export * from './trivy/versions.ts';

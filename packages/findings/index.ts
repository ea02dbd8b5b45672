export * from './annotations.ts';
export * from './comment.ts';
export * from './fingerprint.ts';
export * from './gate.ts';
export * from './model.ts';
export * from './order.ts';
export * from './sarif.ts';

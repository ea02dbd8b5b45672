export * from './model.ts';
export * from './send.ts';
export { signatureHeader } from './webhook.ts';

export * from './embedded-proxy.ts';
export * from './nginx.ts';
export * from './replica-weight.ts';
export * from './service-selector.ts';

/** Every router there is. A name that is not here is an error; there is no default. */
export const routerNames = ['embedded-proxy', 'nginx', 'replica-weight', 'service-selector'] as const;

export type RouterName = (typeof routerNames)[number];

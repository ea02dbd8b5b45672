export { fetchText, type FetchText, type TextAnswer, type TextRequest } from './http-text.ts';
export * from './port.ts';
export * from './prometheus-text.ts';
export * from './query.ts';
export * from './registry.ts';
export { createScrape, type ScrapeOptions } from './scrape.ts';
export { parseSelector, type Matcher, type Selector } from './selector.ts';

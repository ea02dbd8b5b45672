// What the routes of the double have in common.

import type { Repository } from '../repository.ts';
import type { Need, Permission, Token } from '../tokens.ts';

export interface Request {
  repository: Repository;
  token: Token;
  parameters: Record<string, string>;
  query: Record<string, string>;
  /** Valid by the description. */
  body: Record<string, unknown>;
  /** ISO 8601 in whole seconds, by the double's clock. */
  now: string;
  /** Base of the API, for addresses in answers. */
  api: string;
  /** Records something that a client must never send. */
  broken(rule: string): void;
}

export interface Answer {
  status: number;
  body?: unknown;
  headers?: Record<string, string>;
}

export interface Route {
  need: Need;
  handle(request: Request): Answer;
}

/** Ends the handling of a request with an answer that says no. */
export class Refused extends Error {
  readonly status: number;
  constructor(status: number, message: string) {
    super(message);
    this.status = status;
  }
}

export const notFound = () => new Refused(404, 'Not Found');

/** A rule of GitHub's that the description does not hold: the caller is wrong, not unlucky. */
export function invalid(request: Request, rule: string): Refused {
  request.broken(rule);
  return new Refused(422, `Invalid request.\n\n${rule}`);
}

export const need = (level: 'read' | 'write', ...anyOf: Permission[]): Need => ({ level, anyOf });
export const bytes = (text: string): number => Buffer.byteLength(text);
export const text = (value: unknown): string => (typeof value === 'string' ? value : '');

export const base = '/repos/{owner}/{repo}';

export const web = ({ repository }: Request): string =>
  `https://github.example/${repository.owner}/${repository.name}`;
export const api = ({ api: at, repository }: Request): string =>
  `${at}/repos/${repository.owner}/${repository.name}`;

/** A page of a list, with links to the others. */
export function paged(
  request: Request,
  items: unknown[],
  body: (page: unknown[]) => unknown = (page) => page,
): Answer {
  const perPage = Math.min(Number(request.query['per_page'] ?? 30), 100);
  const page = Number(request.query['page'] ?? 1);
  const last = Math.max(1, Math.ceil(items.length / perPage));
  const link = (to: number, rel: string) => `<${request.api}/?per_page=${perPage}&page=${to}>; rel="${rel}"`;
  return {
    status: 200,
    body: body(items.slice((page - 1) * perPage, page * perPage)),
    headers: page < last ? { link: `${link(page + 1, 'next')}, ${link(last, 'last')}` } : {},
  };
}

export type Routes = Readonly<Record<string, Route>>;

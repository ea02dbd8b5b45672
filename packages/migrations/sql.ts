/**
 * PostgreSQL's SQL in tokens and statements, by the lexical rules of its manual (section "Lexical Structure"): enough to
 * tell a word from what stands in a string, a dollar quote, a comment or a quoted name.
 */

export interface Token {
  /** `word`: a key word or plain name, in lower case; `name`: a quoted name, as it is; the rest as written. */
  kind: 'word' | 'name' | 'string' | 'symbol';
  text: string;
  /** Depth of parentheses around it. */
  depth: number;
}

export type Statement = Token[];

/** What a token can begin with, tried in this order. Comments nest and are skipped by hand. */
const space = /\s+/y;
const lineComment = /--[^\n]*/y;
const escapeString = /[eE]'(?:[^'\\]|\\[\s\S]|'')*(?:'|$)/y;
const plainString = /(?:[bBxXnN]|[uU]&)?'(?:[^']|'')*(?:'|$)/y;
const quotedName = /(?:[uU]&)?"(?:[^"]|"")*(?:"|$)/y;
const dollarTag = /\$(?:[A-Za-z_\u0080-\uffff][\w\u0080-\uffff]*)?\$/y;
const word = /[A-Za-z_\u0080-\uffff][\w$\u0080-\uffff]*|\d[\w.]*/y;

/** Splits at semicolons outside of everything that can hold one; empty statements are left out. */
export function statementsOf(sql: string): Statement[] {
  const statements: Statement[] = [];
  let current: Statement = [];
  let depth = 0;
  let position = 0;
  const take = (pattern: RegExp): string | undefined => {
    pattern.lastIndex = position;
    const match = pattern.exec(sql)?.[0];
    if (match !== undefined) position += match.length;
    return match;
  };
  const push = (kind: Token['kind'], text: string) => current.push({ kind, text, depth });

  while (position < sql.length) {
    if (take(space) !== undefined || take(lineComment) !== undefined) continue;
    if (sql.startsWith('/*', position)) {
      position = endOfComment(sql, position);
      continue;
    }
    const string = take(escapeString) ?? take(plainString);
    if (string !== undefined) {
      push('string', string);
      continue;
    }
    const quoted = take(quotedName);
    if (quoted !== undefined) {
      push('name', quoted.slice(quoted.indexOf('"') + 1, -1).replaceAll('""', '"'));
      continue;
    }
    const tag = take(dollarTag);
    if (tag !== undefined) {
      const close = sql.indexOf(tag, position);
      const end = close < 0 ? sql.length : close + tag.length;
      push('string', sql.slice(position - tag.length, end));
      position = end;
      continue;
    }
    const plain = take(word);
    if (plain !== undefined) {
      push('word', plain.toLowerCase());
      continue;
    }
    const symbol = String.fromCodePoint(sql.codePointAt(position) ?? 0);
    position += symbol.length;
    if (symbol === ';' && depth === 0 && !insideBody(current)) {
      statements.push(current);
      current = [];
      continue;
    }
    if (symbol === ')') depth = Math.max(0, depth - 1);
    push('symbol', symbol);
    if (symbol === '(') depth += 1;
  }
  statements.push(current);
  return statements.filter((statement) => statement.length > 0);
}

function endOfComment(sql: string, start: number): number {
  const mark = /\/\*|\*\//g;
  mark.lastIndex = start;
  let nested = 0;
  for (let match = mark.exec(sql); match !== null; match = mark.exec(sql)) {
    nested += match[0] === '/*' ? 1 : -1;
    if (nested === 0) return mark.lastIndex;
  }
  return sql.length;
}

/** Whether a function's body of the SQL standard (`BEGIN ATOMIC … END`) is open; semicolons there end nothing. */
function insideBody(statement: Statement): boolean {
  if (statement[0]?.text !== 'create') return false;
  const words = statement.filter((token) => token.kind === 'word').map((token) => token.text);
  const begin = words.findIndex((text, index) => text === 'begin' && words[index + 1] === 'atomic');
  if (begin < 0) return false;
  const opened = words.slice(begin).filter((text) => text === 'begin' || text === 'case').length;
  return opened > words.slice(begin).filter((text) => text === 'end').length;
}

/** Reads a statement from left to right. */
export class Reader {
  private readonly tokens: Token[];
  private position = 0;

  constructor(tokens: Token[]) {
    this.tokens = tokens;
  }

  /** Steps over these key words if they come next. */
  accept(...words: string[]): boolean {
    const matches = words.every((text, index) => {
      const token = this.tokens[this.position + index];
      return token?.kind === 'word' && token.text === text;
    });
    if (matches) this.position += words.length;
    return matches;
  }

  acceptSymbol(text: string): boolean {
    const token = this.tokens[this.position];
    if (token?.kind !== 'symbol' || token.text !== text) return false;
    this.position += 1;
    return true;
  }

  /** A name, with its schema where it has one; `public` is left out, for it is where names without a schema go. */
  name(): string {
    const parts = [this.identifier()];
    while (this.acceptSymbol('.')) parts.push(this.identifier());
    return (parts[0] === 'public' && parts.length > 1 ? parts.slice(1) : parts).join('.');
  }

  private identifier(): string {
    const token = this.tokens[this.position];
    if (token === undefined || (token.kind !== 'word' && token.kind !== 'name')) return '';
    this.position += 1;
    return token.text;
  }

  peek(): string {
    return this.tokens[this.position]?.text ?? '';
  }

  rest(): Token[] {
    return this.tokens.slice(this.position);
  }
}

/** Whether the key words come one after the other somewhere in it, outside of deeper parentheses. */
export function contains(tokens: Token[], ...words: string[]): boolean {
  const depth = tokens[0]?.depth ?? 0;
  const flat = tokens.filter((token) => token.depth === depth);
  return flat.some((_, start) =>
    words.every((text, index) => {
      const token = flat[start + index];
      return token?.kind === 'word' && token.text === text;
    }),
  );
}

/** Splits at commas outside of deeper parentheses. */
export function commaParts(tokens: Token[]): Token[][] {
  const depth = tokens[0]?.depth ?? 0;
  const parts: Token[][] = [[]];
  for (const token of tokens) {
    if (token.kind === 'symbol' && token.text === ',' && token.depth === depth) parts.push([]);
    else parts.at(-1)?.push(token);
  }
  return parts;
}

import type { Finding, Operation, Plan, PlannedMigration } from './port.ts';
import { type Rule, rules } from './rules.ts';
import { Reader, commaParts, contains, statementsOf, type Statement, type Token } from './sql.ts';

/**
 * Findings of a plan, in its order. Tables that the plan itself makes are exempt: no live code knows them. What is
 * inside procedural code (DO blocks, functions) and in Python is not seen.
 */
export function lint(plan: Plan): Finding[] {
  const made = new Set<string>();
  const findings = plan.migrations.flatMap((migration) => lintMigration(migration, made));
  const stale = plan.invalidIndexes.map((index) =>
    finding(
      'invalid-index',
      '',
      null,
      null,
      `The index ${index} is invalid: an earlier concurrent build failed.`,
    ),
  );
  return [...findings, ...stale];
}

/** The findings that stop a run when unsafe migrations are not allowed. */
export function blocking(findings: Finding[]): Finding[] {
  return findings.filter(({ severity }) => severity === 'error');
}

function finding(
  rule: Rule,
  migration: string,
  file: string | null,
  line: number | null,
  message: string,
): Finding {
  const { severity, remedy } = rules[rule];
  return { rule, severity, migration, message, remedy, location: { file, line } };
}

type Report = (rule: Rule, message: string) => void;

function lintMigration(migration: PlannedMigration, made: Set<string>): Finding[] {
  const found: Finding[] = [];
  const reportAt =
    (line: number | null): Report =>
    (rule, message) =>
      found.push(finding(rule, `${migration.app}.${migration.name}`, migration.file, line, message));
  // Columns that were added NOT NULL, and whether a default is left: Django drops the one that fills old rows.
  const added = new Map<string, { column: string; table: string; hasDefault: boolean; report: Report }>();

  for (const operation of migration.operations) {
    const report = reportAt(operation.line);
    if (!operation.reversible) {
      const rule =
        operation.kind === 'RunPython'
          ? 'irreversible-code'
          : operation.kind === 'RunSQL'
            ? 'irreversible-sql'
            : 'irreversible';
      report(rule, `${operation.kind} cannot be taken back: ${operation.description}.`);
    }
    for (const statement of statementsOf(operation.sql)) {
      lintStatement(statement, { migration, operation, made, added, report });
    }
  }
  for (const statement of statementsOf(migration.deferredSql)) {
    lintStatement(statement, { migration, operation: null, made, added, report: reportAt(null) });
  }
  for (const { column, table, hasDefault, report } of added.values()) {
    if (hasDefault) continue;
    report(
      'add-not-null',
      `Column ${column} of ${table} is added NOT NULL and keeps no default: INSERTs of old code fail.`,
    );
  }
  if (migration.sql === null) {
    reportAt(null)('unknown-sql', `Its SQL is not known and not checked: ${migration.sqlProblem ?? ''}`);
  }
  return found;
}

interface Context {
  migration: PlannedMigration;
  operation: Operation | null;
  made: Set<string>;
  added: Map<string, { column: string; table: string; hasDefault: boolean; report: Report }>;
  report: Report;
}

function lintStatement(statement: Statement, context: Context): void {
  const { migration, made, report } = context;
  const reader = new Reader(statement);
  if (migration.atomic && isConcurrent(statement)) {
    report('concurrently-in-transaction', 'CONCURRENTLY fails inside the transaction of the migration.');
  }
  if (reader.accept('create')) lintCreate(reader, made, report);
  else if (reader.accept('alter', 'table')) lintAlterTable(reader, context);
  else if (reader.accept('alter')) lintAlterOther(reader, report);
  else if (reader.accept('drop')) lintDrop(reader, made, report);
  else if (reader.accept('truncate')) {
    reader.accept('table');
    reader.accept('only');
    report('truncate', `TRUNCATE empties ${reader.name()}.`);
  } else if (reader.accept('reindex') && !isConcurrent(statement)) {
    report('index-blocks', 'REINDEX without CONCURRENTLY blocks reads and writes.');
  }
}

/** The key word, not a column or a table of that name: it stands at the beginning of these statements alone. */
function isConcurrent(statement: Statement): boolean {
  const words = statement.slice(0, 6).filter((token) => token.kind === 'word' && token.depth === 0);
  return (
    ['create', 'drop', 'reindex', 'refresh'].includes(words[0]?.text ?? '') &&
    words.some((token) => token.text === 'concurrently')
  );
}

function lintCreate(reader: Reader, made: Set<string>, report: Report): void {
  for (const word of ['global', 'local', 'temporary', 'temp', 'unlogged', 'unique']) reader.accept(word);
  if (reader.accept('table')) {
    reader.accept('if', 'not', 'exists');
    made.add(reader.name());
    return;
  }
  if (!reader.accept('index')) return;
  const concurrently = reader.accept('concurrently');
  reader.accept('if', 'not', 'exists');
  const index = reader.peek() === 'on' ? 'An index' : `Index ${reader.name()}`;
  reader.accept('on');
  reader.accept('only');
  const table = reader.name();
  if (!concurrently && !made.has(table)) {
    report(
      'index-blocks',
      `${index} on ${table} is built without CONCURRENTLY: writes wait until it is done.`,
    );
  }
}

function lintDrop(reader: Reader, made: Set<string>, report: Report): void {
  const cascades = contains(reader.rest(), 'cascade');
  if (reader.accept('database') || reader.accept('schema')) {
    reader.accept('if', 'exists');
    report('drop-database', `${reader.name()} is dropped with all that is in it.`);
    return;
  }
  if (reader.accept('table') || reader.accept('view') || reader.accept('materialized', 'view')) {
    reader.accept('if', 'exists');
    for (const part of commaParts(reader.rest())) {
      const table = new Reader(part).name();
      if (!made.has(table))
        report('drop-table', `${table} is dropped: old code still reads it, and its data is gone.`);
    }
    return;
  }
  const concurrently = reader.accept('index', 'concurrently');
  if (!concurrently && reader.accept('index')) {
    reader.accept('if', 'exists');
    report(
      'index-blocks',
      `Index ${reader.name()} is dropped without CONCURRENTLY: reads and writes wait for its lock.`,
    );
  }
  if (cascades) report('cascade', 'CASCADE also drops whatever depends on it.');
}

function lintAlterOther(reader: Reader, report: Report): void {
  const kind = reader.peek();
  const rest = reader.rest();
  if (!['type', 'view', 'materialized', 'domain', 'schema'].includes(kind)) return;
  if (contains(rest, 'rename') && !contains(rest, 'rename', 'constraint')) {
    report('rename', `ALTER ${kind.toUpperCase()} renames: one of two live versions does not know the name.`);
  }
}

function lintAlterTable(reader: Reader, context: Context): void {
  const { made } = context;
  reader.accept('if', 'exists');
  reader.accept('only');
  const table = reader.name();
  reader.acceptSymbol('*');
  if (made.has(table)) {
    if (reader.accept('rename', 'to')) made.add(reader.name());
    return;
  }
  for (const part of commaParts(reader.rest())) lintAction(new Reader(part), table, context);
}

const constraintWords = ['constraint', 'primary', 'unique', 'foreign', 'check', 'exclude'];
const defaultTypes = ['serial', 'bigserial', 'smallserial', 'serial4', 'serial8', 'serial2'];

/** One action of ALTER TABLE. */
function lintAction(reader: Reader, table: string, context: Context): void {
  const { report, added } = context;
  if (reader.accept('rename')) {
    if (reader.accept('constraint')) return;
    const what = reader.accept('to')
      ? table
      : (reader.accept('column'), `column ${reader.name()} of ${table}`);
    report('rename', `${capitalised(what)} is renamed: one of two live versions does not know the name.`);
    return;
  }
  if (reader.accept('drop')) {
    if (reader.accept('constraint')) {
      if (contains(reader.rest(), 'cascade')) report('cascade', 'CASCADE also drops whatever depends on it.');
      return;
    }
    reader.accept('column');
    reader.accept('if', 'exists');
    report(
      'drop-column',
      `Column ${reader.name()} of ${table} is dropped: old code still names it, and its data is gone.`,
    );
    return;
  }
  if (reader.accept('add')) {
    if (constraintWords.includes(reader.peek())) lintConstraint(reader.rest(), table, report);
    else lintAddColumn(reader, table, context);
    return;
  }
  if (!reader.accept('alter') || reader.peek() === 'constraint') return;
  reader.accept('column');
  const column = reader.name();
  const fresh = added.get(`${table}.${column}`);
  if (reader.accept('set', 'not', 'null')) {
    report(
      'set-not-null',
      `Column ${column} of ${table} becomes NOT NULL: the table is scanned under an exclusive lock, and NULLs of old code fail.`,
    );
  } else if (reader.accept('drop', 'default')) {
    if (fresh !== undefined) fresh.hasDefault = false;
  } else if (reader.accept('set', 'default')) {
    if (fresh !== undefined) fresh.hasDefault = true;
  } else if (reader.accept('type') || reader.accept('set', 'data', 'type')) {
    const change = context.operation?.alters;
    const known = change?.table === table && change.column === column ? change : undefined;
    if (known !== undefined && isWidening(known.from, known.to)) return;
    const types = known === undefined ? '' : ` from ${known.from} to ${known.to}`;
    report(
      'change-type',
      `Column ${column} of ${table} changes its type${types}: the table may be rewritten under an exclusive lock.`,
    );
  }
}

function lintAddColumn(reader: Reader, table: string, context: Context): void {
  reader.accept('column');
  reader.accept('if', 'not', 'exists');
  const column = reader.name();
  const definition = reader.rest();
  if (contains(definition, 'unique') || contains(definition, 'primary', 'key')) {
    context.report(
      'constraint-blocks',
      `Column ${column} of ${table} is added with a unique index, which blocks the table while it is built.`,
    );
  }
  if (!contains(definition, 'not', 'null') && !contains(definition, 'primary', 'key')) return;
  const type = definition[0]?.text ?? '';
  const hasDefault =
    contains(definition, 'default') || contains(definition, 'generated') || defaultTypes.includes(type);
  context.added.set(`${table}.${column}`, { column, table, hasDefault, report: context.report });
}

function lintConstraint(tokens: Token[], table: string, report: Report): void {
  const reader = new Reader(tokens);
  const name = reader.accept('constraint') ? `Constraint ${reader.name()}` : 'A constraint';
  const definition = reader.rest();
  if (contains(definition, 'using', 'index')) return;
  if (['unique', 'primary', 'exclude'].includes(reader.peek())) {
    report(
      'constraint-blocks',
      `${name} on ${table} builds its index while the table is blocked, and duplicates of old code fail.`,
    );
  } else if (['foreign', 'check'].includes(reader.peek()) && !contains(definition, 'not', 'valid')) {
    report(
      'constraint-blocks',
      `${name} on ${table} is checked against every row while the table is locked.`,
    );
  }
}

/** Changes that PostgreSQL makes without touching a row and that every old value and statement survives. */
function isWidening(from: string, to: string): boolean {
  const before = /^(varchar|character varying|numeric)\((\d+)(?:,\s*(\d+))?\)$/.exec(from);
  const after = /^(varchar|character varying|numeric)\((\d+)(?:,\s*(\d+))?\)$/.exec(to);
  if (before === null) return false;
  if (to === 'text' || to === 'varchar') return before[1] !== 'numeric';
  if (after === null || (before[1] === 'numeric') !== (after[1] === 'numeric')) return false;
  return Number(after[2]) >= Number(before[2]) && (after[3] ?? '0') === (before[3] ?? '0');
}

function capitalised(text: string): string {
  return text.startsWith('column') ? `C${text.slice(1)}` : `Table ${text}`;
}

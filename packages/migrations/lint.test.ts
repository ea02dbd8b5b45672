import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { blocking, lint } from './lint.ts';
import type { Operation, Plan, PlannedMigration } from './port.ts';
import { statementsOf } from './sql.ts';

function operation(sql: string, more: Partial<Operation> = {}): Operation {
  return { kind: 'RunSQL', description: 'SQL', reversible: true, line: 7, sql, alters: null, ...more };
}

function planOf(operations: Operation[], more: Partial<PlannedMigration> = {}): Plan {
  const migration: PlannedMigration = {
    app: 'shop',
    name: '0002_change',
    atomic: false,
    reversible: true,
    operations,
    deferredSql: '',
    sql: '',
    sqlProblem: null,
    sqlHash: null,
    sourceHash: null,
    file: 'shop/migrations/0002_change.py',
    findings: [],
    ...more,
  };
  return {
    hash: '',
    database: { host: 'h', port: 5432, name: 'd', serverVersion: 180000 },
    targets: [],
    migrations: [migration],
    reverse: { possible: true, steps: [] },
    invalidIndexes: [],
  };
}

const rulesOf = (sql: string, more: Partial<PlannedMigration> = {}) =>
  lint(planOf([operation(sql)], more)).map(({ rule }) => rule);

describe('a rule', () => {
  const unsafe: [string, string[]][] = [
    ['DROP TABLE "shop_item" CASCADE;', ['drop-table']],
    ['drop table if exists a, public.b', ['drop-table', 'drop-table']],
    ['ALTER TABLE "shop_item" DROP COLUMN "price" CASCADE;', ['drop-column']],
    ['ALTER TABLE shop_item DROP price', ['drop-column']],
    ['ALTER TABLE shop_item ADD COLUMN a int, DROP COLUMN b', ['drop-column']],
    ['ALTER TABLE "a" RENAME TO "b"', ['rename']],
    ['ALTER TABLE "a" RENAME COLUMN "x" TO "y"', ['rename']],
    ['ALTER TABLE a RENAME x TO y', ['rename']],
    ["ALTER TYPE mood RENAME VALUE 'sad' TO 'blue'", ['rename']],
    ['ALTER TABLE "a" ADD COLUMN "x" integer NOT NULL', ['add-not-null']],
    [
      `ALTER TABLE "a" ADD COLUMN "x" varchar(9) DEFAULT 'n' NOT NULL;
       ALTER TABLE "a" ALTER COLUMN "x" DROP DEFAULT;`,
      ['add-not-null'],
    ],
    [`ALTER TABLE a ADD COLUMN x int DEFAULT 1 NOT NULL, ADD COLUMN y int NOT NULL`, ['add-not-null']],
    ['ALTER TABLE "a" ALTER COLUMN "x" SET NOT NULL', ['set-not-null']],
    ['ALTER TABLE "a" ALTER COLUMN "x" TYPE bigint USING "x"::bigint', ['change-type']],
    ['ALTER TABLE a ALTER x SET DATA TYPE bigint', ['change-type']],
    ['CREATE INDEX "i" ON "a" ("x")', ['index-blocks']],
    ['CREATE UNIQUE INDEX IF NOT EXISTS i ON ONLY public.a (x)', ['index-blocks']],
    ['CREATE INDEX ON a (x)', ['index-blocks']],
    ['DROP INDEX IF EXISTS "i"', ['index-blocks']],
    ['REINDEX TABLE a', ['index-blocks']],
    ['ALTER TABLE a ADD CONSTRAINT u UNIQUE (x)', ['constraint-blocks']],
    ['ALTER TABLE a ADD CONSTRAINT f FOREIGN KEY (x) REFERENCES b (id)', ['constraint-blocks']],
    ['ALTER TABLE a ADD CHECK (x > 0)', ['constraint-blocks']],
    ['TRUNCATE TABLE ONLY a CASCADE', ['truncate']],
    ['DROP TYPE mood CASCADE', ['cascade']],
    ['DROP SCHEMA old CASCADE', ['drop-database']],
    ['/* why */ DROP -- not the column\n TABLE a', ['drop-table']],
  ];
  test.each(unsafe)('finds %s', (sql, expected) => {
    expect(rulesOf(sql)).toEqual(expected);
  });

  const safe = [
    'ALTER TABLE "a" ADD COLUMN "x" integer NULL',
    'ALTER TABLE "a" ADD COLUMN "x" integer DEFAULT 0 NOT NULL',
    'ALTER TABLE a ADD COLUMN x bigint NOT NULL GENERATED ALWAYS AS IDENTITY',
    'ALTER TABLE a ADD COLUMN b_id bigint NULL CONSTRAINT f REFERENCES b (id) ON DELETE CASCADE',
    'CREATE INDEX CONCURRENTLY "i" ON "a" ("x")',
    'DROP INDEX CONCURRENTLY IF EXISTS "i"',
    'ALTER TABLE a ADD CONSTRAINT c CHECK (x IS NOT NULL) NOT VALID',
    'ALTER TABLE a VALIDATE CONSTRAINT c',
    'ALTER TABLE a ADD CONSTRAINT u UNIQUE USING INDEX i',
    'ALTER TABLE a DROP CONSTRAINT c',
    'ALTER TABLE a RENAME CONSTRAINT c TO d',
    'CREATE TABLE a (x integer NOT NULL UNIQUE); CREATE INDEX i ON a (x); DROP TABLE a',
    "INSERT INTO a VALUES ('DROP TABLE a; TRUNCATE b')",
    "COMMENT ON TABLE a IS E'it\\'s; DROP TABLE a'",
    'SELECT 1 -- ; DROP TABLE a',
    'SELECT 1 /* /* ; DROP TABLE a; */ ; DROP TABLE b; */',
    'DO $x$ BEGIN EXECUTE $$ DROP TABLE a; $$; END $x$',
    'UPDATE a SET "drop table a; truncate" = 1',
    'CREATE FUNCTION f() RETURNS int BEGIN ATOMIC SELECT CASE WHEN true THEN 1 END; SELECT 2; END',
  ];
  test.each(safe)('finds nothing in %s', (sql) => {
    expect(rulesOf(sql)).toEqual([]);
  });

  test('finds CONCURRENTLY inside a transaction, but not a column of that name', () => {
    expect(rulesOf('CREATE INDEX CONCURRENTLY i ON a (x)', { atomic: true })).toEqual([
      'concurrently-in-transaction',
    ]);
    expect(rulesOf('CREATE TABLE a (concurrently int)', { atomic: true })).toEqual([]);
  });

  test('lets a type grow and not shrink', () => {
    const change = (from: string, to: string) => {
      const alters = { table: 'a', column: 'x', from, to };
      const sql = `ALTER TABLE "a" ALTER COLUMN "x" TYPE ${to}`;
      return lint(planOf([operation(sql, { kind: 'AlterField', alters })])).length;
    };
    expect(change('varchar(50)', 'varchar(100)')).toBe(0);
    expect(change('varchar(50)', 'text')).toBe(0);
    expect(change('numeric(8, 2)', 'numeric(10, 2)')).toBe(0);
    expect(change('varchar(100)', 'varchar(50)')).toBe(1);
    expect(change('numeric(8, 2)', 'numeric(10, 4)')).toBe(1);
    expect(change('integer', 'bigint')).toBe(1);
    expect(change('text', 'varchar(9)')).toBe(1);
  });

  test('tells the place, and which findings block', () => {
    const findings = lint(
      planOf([
        operation('', {
          kind: 'RunPython',
          reversible: false,
          line: 12,
          description: 'Raw Python operation',
        }),
        operation('DROP TABLE a'),
      ]),
    );
    expect(findings.map(({ rule }) => rule)).toEqual(['irreversible-code', 'drop-table']);
    expect(findings[0]?.location).toEqual({ file: 'shop/migrations/0002_change.py', line: 12 });
    expect(blocking(findings).map(({ rule }) => rule)).toEqual(['drop-table']);
  });

  test('says that SQL which is not known was not checked', () => {
    expect(rulesOf('', { sql: null, sqlProblem: 'no such constraint' })).toEqual(['unknown-sql']);
  });
});

describe('statementsOf', () => {
  /** Pieces that hold a semicolon that ends nothing. */
  const piece = fc.oneof(
    fc.string().map((text) => `'${text.replaceAll("'", "''")};'`),
    fc.string().map((text) => `"${text.replaceAll('"', '""')};"`),
    fc.string().map((text) => `E'${text.replaceAll(/['\\]/g, '\\$&')};'`),
    fc.string().map((text) => `$tag$${text.replaceAll('$', '')};$tag$`),
    fc.string().map((text) => `/*${text.replaceAll(/[*/]/g, ' ')};*/ x`),
    fc.string().map((text) => `--${text.replaceAll('\n', ' ')};\nx`),
    fc.constantFrom('(a; b)', 'select', '1.5', '+', '::text'),
  );
  const statement = fc.array(piece, { minLength: 1 }).map((pieces) => pieces.join(' '));

  test('splits where statements were joined, and nowhere else', () => {
    fc.assert(
      fc.property(fc.array(statement, { minLength: 1 }), (statements) => {
        expect(statementsOf(statements.join(';\n'))).toEqual(statements.flatMap((one) => statementsOf(one)));
        expect(statementsOf(statements.join(';\n'))).toHaveLength(statements.length);
      }),
    );
  });

  test.each(["SELECT '; x", 'SELECT "; x', 'SELECT $a$; x', 'SELECT /* ; x', "SELECT E'\\"])(
    'takes what is not closed as one statement: %s',
    (text) => {
      expect(statementsOf(text)).toHaveLength(1);
    },
  );
});

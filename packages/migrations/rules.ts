import type { Severity } from './port.ts';

interface RuleText {
  severity: Severity;
  /** One line. */
  title: string;
  /** What to do instead. */
  remedy: string;
  /** Where what it is about is documented. */
  link: string;
}

/**
 * What the rules say. In a release with two live versions the old code runs on the new schema: `error` is what that
 * code does not survive, what loses data, or what blocks a table while it is in use.
 */
export const rules = {
  'drop-table': {
    severity: 'error',
    title: 'A table is dropped',
    remedy: 'Remove it from the code in one release and drop it in a later one.',
    link: 'https://www.postgresql.org/docs/current/sql-droptable.html',
  },
  'drop-column': {
    severity: 'error',
    title: 'A column is dropped',
    remedy: 'Remove it from the code in one release and drop it in a later one.',
    link: 'https://www.postgresql.org/docs/current/ddl-alter.html',
  },
  'drop-database': {
    severity: 'error',
    title: 'A database or schema is dropped',
    remedy: 'Do not drop a database or schema in a migration.',
    link: 'https://www.postgresql.org/docs/current/sql-dropschema.html',
  },
  rename: {
    severity: 'error',
    title: 'A name that old code uses is changed',
    remedy: 'Add the new name, write both, backfill, and drop the old one in a later release.',
    link: 'https://www.postgresql.org/docs/current/ddl-alter.html',
  },
  'add-not-null': {
    severity: 'error',
    title: 'A column is added that old code does not fill',
    remedy: 'Add it nullable, or with a default of the database (db_default), which Django keeps.',
    link: 'https://docs.djangoproject.com/en/stable/ref/models/fields/#db-default',
  },
  'set-not-null': {
    severity: 'error',
    title: 'A column becomes NOT NULL under a lock',
    remedy: 'Add CHECK (… IS NOT NULL) NOT VALID, VALIDATE it in another migration, then set NOT NULL.',
    link: 'https://www.postgresql.org/docs/current/sql-altertable.html',
  },
  'change-type': {
    severity: 'error',
    title: 'The type of a column is changed',
    remedy: 'Add a new column, write both, backfill, and drop the old one in a later release.',
    link: 'https://www.postgresql.org/docs/current/sql-altertable.html',
  },
  'index-blocks': {
    severity: 'error',
    title: 'Building or dropping an index blocks writes',
    remedy: 'Use AddIndexConcurrently or RemoveIndexConcurrently in a migration with atomic = False.',
    link: 'https://docs.djangoproject.com/en/stable/ref/contrib/postgres/operations/#concurrent-index-operations',
  },
  'constraint-blocks': {
    severity: 'error',
    title: 'Adding a constraint blocks writes',
    remedy:
      'Build a unique index concurrently and add the constraint USING INDEX; add others NOT VALID and VALIDATE later.',
    link: 'https://www.postgresql.org/docs/current/sql-altertable.html',
  },
  'concurrently-in-transaction': {
    severity: 'error',
    title: 'CONCURRENTLY stands in a transaction',
    remedy: 'Set atomic = False in the migration.',
    link: 'https://docs.djangoproject.com/en/stable/howto/writing-migrations/#non-atomic-migrations',
  },
  truncate: {
    severity: 'error',
    title: 'A table is emptied',
    remedy: 'Empty a table outside of a release, after a backup.',
    link: 'https://www.postgresql.org/docs/current/sql-truncate.html',
  },
  cascade: {
    severity: 'error',
    title: 'CASCADE drops what depends on it',
    remedy: 'Drop what depends on it by name, so that nothing else goes with it.',
    link: 'https://www.postgresql.org/docs/current/ddl-depend.html',
  },
  'irreversible-code': {
    severity: 'warning',
    title: 'Code has no way back',
    remedy: 'Give RunPython a reverse_code; RunPython.noop when nothing is to be undone.',
    link: 'https://docs.djangoproject.com/en/stable/ref/migration-operations/#runpython',
  },
  'irreversible-sql': {
    severity: 'warning',
    title: 'SQL has no way back',
    remedy: 'Give RunSQL a reverse_sql; RunSQL.noop when nothing is to be undone.',
    link: 'https://docs.djangoproject.com/en/stable/ref/migration-operations/#runsql',
  },
  irreversible: {
    severity: 'warning',
    title: 'An operation has no way back',
    remedy: 'Make the operation reversible, or be sure to have a backup.',
    link: 'https://docs.djangoproject.com/en/stable/topics/migrations/#reversing-migrations',
  },
  'unknown-sql': {
    severity: 'warning',
    title: 'SQL that is not known is not checked',
    remedy: 'Apply what comes before it first, and plan again to see its SQL.',
    link: 'https://docs.djangoproject.com/en/stable/ref/django-admin/#sqlmigrate',
  },
  'invalid-index': {
    severity: 'warning',
    title: 'An index is left invalid',
    remedy: 'Drop it with DROP INDEX CONCURRENTLY and build it again.',
    link: 'https://www.postgresql.org/docs/current/sql-createindex.html#SQL-CREATEINDEX-CONCURRENTLY',
  },
} as const satisfies Record<string, RuleText>;

export type Rule = keyof typeof rules;

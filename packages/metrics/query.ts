import { DeployError } from '@deploy-actions/core';
import type { MetricQuery } from './port.ts';

/**
 * Fills `{slot}` and `{version}` into the selectors of a query. Values are escaped for a quoted string. Throws
 * `invalid_input` for a placeholder without a value.
 */
export function fillQuery(query: MetricQuery, values: { slot?: string; version?: string }): MetricQuery {
  const fill = (selector: string) =>
    selector.replace(/\{(slot|version)\}/g, (whole, name: 'slot' | 'version') => {
      const value = values[name];
      if (value === undefined) {
        throw new DeployError(
          'invalid_input',
          `The selector ${selector} has ${whole}, but the ${name} is not known here.`,
        );
      }
      return value.replace(/["'\\]/g, '\\$&').replaceAll('\n', '\\n');
    });
  return query.kind === 'latency'
    ? { ...query, histogram: fill(query.histogram) }
    : { ...query, errors: fill(query.errors), total: fill(query.total) };
}

/** A query in the words of its selectors or expressions, for evidence. */
export function describeQuery(query: MetricQuery): string {
  return query.kind === 'latency' ? query.histogram : `${query.errors} / ${query.total}`;
}

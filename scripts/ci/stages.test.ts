import { describe, expect, it } from 'vitest';
import clusterConfig from '../../test/cluster/vitest.config.ts';
import platformsConfig from '../../test/platforms/vitest.config.ts';
import { stagesFor } from './stages.ts';

const namesFor = (scripts: Record<string, string>): string[] =>
  stagesFor(scripts)
    .flat()
    .flatMap(({ steps }) => steps.map(({ name }) => name));

/** `test:cluster alone beside` is of the script `test:cluster`. */
const scriptOf = (name: string): string => name.split(' ')[0] ?? '';

describe('the stages of CI', () => {
  it('have a place for every suite of package.json', () => {
    expect(namesFor({}).map(scriptOf)).toEqual(
      expect.arrayContaining(['check', 'test', 'demo', 'test:load', 'test:chaos', 'test:pages']),
    );
    expect(namesFor({ 'test:new': '', build: '' })).toEqual([...namesFor({}), 'test:new']);
  });

  it.each([
    ['test:cluster', clusterConfig],
    ['test:platforms', platformsConfig],
  ])('have every project of %s once', (script, { test }) => {
    const projects = (test?.projects ?? []).map((project) =>
      typeof project === 'object' && 'test' in project ? project.test?.name : project,
    );
    const run = namesFor({})
      .filter((name) => scriptOf(name) === script)
      .flatMap((name) => name.split(' ').slice(1));
    expect(run).toHaveLength(projects.length);
    expect(new Set(run)).toEqual(new Set(projects));
    expect(projects.length).toBeGreaterThan(0);
  });
});

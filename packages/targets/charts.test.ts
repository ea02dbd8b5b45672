import { describe, expect, it } from 'vitest';
import { trafficChart, weightChart } from './charts.ts';

describe('the picture of the traffic', () => {
  it('has the weights in the slots, and a dotted arrow to what gets none', () => {
    const chart = trafficChart([
      { slot: 'blue', version: '1.4.2', weight: 0 },
      { slot: 'green', version: '1.5.0', weight: 100 },
    ]);
    expect(chart.split('\n')).toEqual([
      'flowchart LR',
      '  clients(["clients"])',
      '  blue["1.4.2<br>blue, 0 %"]',
      '  clients -.-> blue',
      '  green["1.5.0<br>green, 100 %"]',
      '  clients --> green',
    ]);
  });

  it.each([
    ['4f9c1e7ab2d86035c4e1f7a9d3b25e608c7f1a42', '4f9c1e7ab2d8'],
    ['release-of-the-last-day-of-the-year', 'release-of-the-last-day…'],
    ['a"b<c>d#e', 'a_b_c_d_e'],
  ])('names %s as %s', (version, named) => {
    expect(trafficChart([{ slot: 'blue', version, weight: 100 }])).toContain(`["${named}<br>`);
  });
});

describe('the picture of a share', () => {
  const chartOf = (...steps: [at: number, weight: number][]) =>
    weightChart(steps.map(([at, weight]) => ({ at, weight })));

  it('has a bar for each change, under its time', () => {
    const chart = chartOf([400, 5], [61_200, 20], [660_000, 50], [5_430_000, 100]);
    expect(chart).toContain('x-axis ["0.4s", "1m1s", "11m", "1h31m"]');
    expect(chart).toContain('bar [5, 20, 50, 100]');
  });

  it('shows the last of changes at one time', () => {
    expect(chartOf([400, 5], [1_010, 20], [1_040, 50])).toContain('bar [5, 50]');
    expect(chartOf([1_010, 5], [1_040, 0])).toBeUndefined();
  });

  it('is none when the share changed once', () => {
    expect(chartOf([400, 100])).toBeUndefined();
  });
});

/**
 * How many writes the tests with real pods go on from one to the next: a release takes seconds there. `CHAOS=all` meets every one;
 * three meets odd and even ones by turns. chaos.test.ts meets all, on pods of its own.
 */
export const stride = process.env['CHAOS'] === 'all' ? 1 : 3;

// Apart from delivery.ts, so that a definition that lists them loads none of its code.

/** The outputs of every action that moves traffic. */
export const deliveryOutputs = {
  version: { description: 'The version that has all or most of the traffic now.' },
  slot: { description: 'The slot that it runs in.' },
  'rejected-version': { description: 'The version that was taken back or refused; empty when none was.' },
  'previous-version': { description: 'The version that had the traffic before, if there was one.' },
  'requests-sent': { description: 'How many probe requests were sent; empty without `probe-url`.' },
  'requests-lost': { description: 'How many of them were lost; empty without `probe-url`.' },
} as const;

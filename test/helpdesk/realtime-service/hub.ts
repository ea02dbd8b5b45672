// Who listens to which ticket, and who may: without sockets.

import { createHmac, timingSafeEqual } from 'node:crypto';

/** What a listener gets: a line of text, or the end. */
export interface Listener {
  send(text: string): void;
  close(code: number, reason: string): void;
}

export interface Hub {
  /** Adds a listener to a ticket; the result takes it away. */
  listen(ticket: number, listener: Listener): () => void;
  /** Sends an event to the ticket's listeners: how many there were. */
  publish(ticket: number, event: object): number;
  readonly listeners: number;
  /** Tells every listener that the service goes away, and to come back: close code 1001 of RFC 6455, 7.4.1. */
  close(): void;
}

export function createHub(): Hub {
  const listeners = new Map<number, Set<Listener>>();
  const all = (): Listener[] => [...listeners.values()].flatMap((some) => [...some]);
  return {
    listen(ticket, listener) {
      const some = listeners.get(ticket) ?? new Set();
      listeners.set(ticket, some.add(listener));
      return () => {
        some.delete(listener);
        if (some.size === 0 && listeners.get(ticket) === some) listeners.delete(ticket);
      };
    },
    publish(ticket, event) {
      const some = listeners.get(ticket) ?? new Set();
      const text = JSON.stringify({ ticket, ...event });
      for (const listener of some) listener.send(text);
      return some.size;
    },
    get listeners() {
      return all().length;
    },
    close() {
      for (const listener of all()) listener.close(1001, 'going away');
    },
  };
}

/** What a browser shows to listen to one ticket; the backend, which knows the secret, gives it to those who may see the ticket. */
export function accessTo(ticket: number, secret: string): string {
  return createHmac('sha256', secret).update(`ticket:${ticket}`).digest('hex');
}

/** In a time that does not tell where they differ. */
export function isSame(given: string, wanted: string): boolean {
  const digest = (text: string): Buffer => createHmac('sha256', 'compare').update(text).digest();
  return timingSafeEqual(digest(given), digest(wanted));
}

// Reads one HTTP/1.1 response off a stream of bytes and knows exactly when it is complete (RFC 9112 section 6.3),
// which is what tells a whole answer from a cut one. Bodies are counted, not kept.

export interface Answer {
  status: number;
  /** Names in lower case; a repeated header keeps its last value. */
  headers: ReadonlyMap<string, string>;
  /** The server announced that it closes the connection after this answer. */
  announcesClose: boolean;
}

type Part =
  'head' | 'sized-body' | 'chunk-size' | 'chunk-data' | 'trailers' | 'body-until-close' | 'complete';

const HEAD_LIMIT = 64 * 1024;

export class ResponseReader {
  answer: Answer | undefined;
  /** Bytes of the response read so far. */
  received = 0;
  #part: Part = 'head';
  #pending: Buffer = Buffer.alloc(0);
  #remaining = 0;

  get complete(): boolean {
    return this.#part === 'complete';
  }

  /**
   * Takes the next bytes.
   * @returns how many bytes came after the end of the response
   * @throws Error when they are no HTTP/1.x response
   */
  push(chunk: Buffer): number {
    this.received += chunk.length;
    this.#pending = this.#pending.length === 0 ? chunk : Buffer.concat([this.#pending, chunk]);
    while (this.#part !== 'complete' && this.#step());
    return this.complete ? this.#pending.length : 0;
  }

  /** The server ended the stream. True when that completes the response. */
  end(): boolean {
    if (this.#part === 'body-until-close') this.#part = 'complete';
    return this.complete;
  }

  /** One part further; false when more bytes are needed. */
  #step(): boolean {
    switch (this.#part) {
      case 'head': {
        const end = this.#pending.indexOf('\r\n\r\n');
        if (end < 0) {
          if (this.#pending.length > HEAD_LIMIT) throw new Error('response head exceeds 64 KiB');
          return false;
        }
        const head = this.#pending.toString('latin1', 0, end);
        this.#pending = this.#pending.subarray(end + 4);
        this.#startBody(head);
        return true;
      }
      case 'sized-body':
        if (!this.#skip()) return false;
        this.#part = 'complete';
        return true;
      case 'chunk-size': {
        const line = this.#line();
        if (line === undefined) return false;
        const size = Number.parseInt(line, 16);
        if (!/^[0-9a-f]+/i.test(line)) throw new Error(`bad chunk size "${line.slice(0, 20)}"`);
        this.#remaining = size + 2; // the data and its CRLF
        this.#part = size === 0 ? 'trailers' : 'chunk-data';
        return true;
      }
      case 'chunk-data':
        if (!this.#skip()) return false;
        this.#part = 'chunk-size';
        return true;
      case 'trailers': {
        const line = this.#line();
        if (line === undefined) return false;
        if (line === '') this.#part = 'complete';
        return true;
      }
      case 'body-until-close':
        this.#pending = Buffer.alloc(0);
        return false;
      case 'complete':
        return false;
    }
  }

  #startBody(head: string): void {
    const [statusLine = '', ...lines] = head.split('\r\n');
    const match = /^HTTP\/1\.([01]) (\d{3})/.exec(statusLine);
    if (match === null) throw new Error(`not an HTTP/1.x response: "${statusLine.slice(0, 40)}"`);
    const status = Number(match[2]);
    if (status >= 100 && status < 200) return; // interim response: the final one follows
    const headers = new Map<string, string>();
    for (const line of lines) {
      const colon = line.indexOf(':');
      headers.set(line.slice(0, colon).toLowerCase(), line.slice(colon + 1).trim());
    }
    const connection = headers.get('connection')?.toLowerCase() ?? '';
    const persistent = match[1] === '1' ? !/\bclose\b/.test(connection) : /\bkeep-alive\b/.test(connection);
    const chunked = /\bchunked\b/i.test(headers.get('transfer-encoding') ?? '');
    const length = headers.get('content-length');
    if (status === 204 || status === 304) this.#part = 'complete';
    else if (chunked) this.#part = 'chunk-size';
    else if (length === undefined) this.#part = 'body-until-close';
    else {
      this.#remaining = Number(length);
      if (!Number.isInteger(this.#remaining)) throw new Error(`bad content-length "${length}"`);
      this.#part = 'sized-body';
    }
    this.answer = { status, headers, announcesClose: !persistent || this.#part === 'body-until-close' };
  }

  #skip(): boolean {
    const taken = Math.min(this.#remaining, this.#pending.length);
    this.#remaining -= taken;
    this.#pending = this.#pending.subarray(taken);
    return this.#remaining === 0;
  }

  #line(): string | undefined {
    const end = this.#pending.indexOf('\r\n');
    if (end < 0) return undefined;
    const line = this.#pending.toString('latin1', 0, end);
    this.#pending = this.#pending.subarray(end + 2);
    return line;
  }
}

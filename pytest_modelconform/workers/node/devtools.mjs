// The little that we need of the DevTools protocol, on a pair of pipes: JSON messages, each followed by a zero byte.

export class DevTools {
  #next = 1;
  #waiting = new Map();
  #rest = [];
  #closed = null;

  // onEvent: called with each {method, params, sessionId}. onClose: once, when the browser has closed its end.
  constructor(toBrowser, fromBrowser, onEvent, onClose) {
    this.toBrowser = toBrowser;
    this.onEvent = onEvent;
    this.onClose = onClose;
    // Writing to a browser that has ended.
    toBrowser.on("error", () => this.#close());
    fromBrowser.on("error", () => this.#close());
    fromBrowser.on("end", () => this.#close());
    fromBrowser.on("data", (chunk) => this.#read(chunk));
  }

  // The result of a method. Rejects with what the browser says, or if it ends before it answers.
  send(method, params = {}, sessionId = undefined) {
    if (this.#closed) return Promise.reject(this.#closed);
    const id = this.#next++;
    return new Promise((resolve, reject) => {
      this.#waiting.set(id, { resolve, reject, method });
      this.toBrowser.write(JSON.stringify({ id, method, params, sessionId }) + "\0");
    });
  }

  #read(chunk) {
    for (let end; (end = chunk.indexOf(0)) >= 0; chunk = chunk.subarray(end + 1)) {
      this.#take(JSON.parse(Buffer.concat([...this.#rest, chunk.subarray(0, end)]).toString()));
      this.#rest = [];
    }
    this.#rest.push(chunk);
  }

  #take(message) {
    if (message.id === undefined) {
      this.onEvent(message);
      return;
    }
    const { resolve, reject, method } = this.#waiting.get(message.id) ?? {};
    this.#waiting.delete(message.id);
    if (message.error) reject?.(new Error(`${method}: ${message.error.message}`));
    else resolve?.(message.result);
  }

  #close() {
    if (this.#closed) return;
    this.#closed = new Error("the browser has ended");
    for (const { reject } of this.#waiting.values()) reject(this.#closed);
    this.#waiting.clear();
    this.onClose();
  }
}
